"""FRAME: what damaged frames leave behind, and for how long (reader.md A.1, A.3, C.3)."""

from host_bridge.conformance.case import Case, Unexpected
from host_bridge.conformance.reader.bench import CCID, Bench
from host_bridge.conformance.reader.ccid_port import SILENCE_S, CcidPort
from protocols.ccid.messages import (
    ESCAPE,
    ESCAPE_FIRMWARE_NAME,
    GET_SLOT_STATUS,
    ICC_POWER_OFF,
    MAX_DATA,
    XFR_BLOCK,
    is_answer,
)
from protocols.ccid.serial_frame import MESSAGE, frame

NOISE = b"\r\n\r\n>>> "
"""What terminals and modem managers send."""
TRY_EVERY_S = 0.3
TAKES_S = 0.5
"""In which a damaged frame would have been answered."""


def bad_lrc(bench: Bench) -> str:
    """Not carried out; a NAK, or nothing."""
    with bench.ccid() as port:
        whole = frame(port.command(ESCAPE, ESCAPE_FIRMWARE_NAME).to_bytes())
        began = port.clock()
        port.write(whole[:-1] + bytes((whole[-1] ^ 0x5A,)))
        heard = port.next(TAKES_S)
        if heard is not None and heard[0] == MESSAGE:
            raise Unexpected("a frame with a wrong LRC", "NAK", "an answer")
        return _recovered(bench, port, began)


def cut(bench: Bench) -> str:
    """The first half of the longest frame, and then no more of it."""
    with bench.ccid() as port:
        whole = frame(port.command(XFR_BLOCK, bytes(MAX_DATA)).to_bytes())
        began = port.clock()
        port.write(whole[: len(whole) // 2])
        return _recovered(bench, port, began)


def noise(bench: Bench) -> str:
    with bench.ccid() as port:
        port.do(ICC_POWER_OFF)
        began = port.clock()
        port.write(NOISE)
        return _recovered(bench, port, began)


def echo(bench: Bench) -> None:
    """A reader that sends a frame before its answer does so always: the driver takes the first for it."""
    with bench.ccid() as port:
        port.do(ICC_POWER_OFF)
        counts = {_frames_before_answer(port) for _ in range(bench.effort.statuses)}
        if len(counts) != 1:
            raise Unexpected("frames before an answer", "always as many", " or ".join(map(str, sorted(counts))))


def _frames_before_answer(port: CcidPort) -> int:
    command = port.command(GET_SLOT_STATUS)
    port.send(command)
    count = 0
    while (heard := port.next(SILENCE_S)) is not None:
        kind, message = heard
        if kind == MESSAGE and is_answer(message):
            return count
        count += kind == MESSAGE
    raise Unexpected("GetSlotStatus", "an answer", "none")


def _recovered(bench: Bench, port: CcidPort, began: float) -> str:
    """How long it took until a good command was answered."""
    while True:
        command = port.command(GET_SLOT_STATUS)
        port.send(command)
        while (answer := port.next_answer(TRY_EVERY_S)) is not None:
            if answer.seq == command.seq and not answer.failed:
                return f"{(port.clock() - began) * 1000:.0f} ms"
        if port.clock() - began > bench.effort.recovers_s:
            raise Unexpected("recovery", f"within {bench.effort.recovers_s:.0f} s", "no answer")


CASES = (
    Case("FRAME.bad_lrc", "LRC 错误的帧不执行", "A frame with a wrong LRC is not carried out", "A.1", bad_lrc, (CCID,)),
    Case("FRAME.cut", "残缺帧之后恢复", "Recovers from half a frame", "A.1", cut, (CCID,)),
    Case("FRAME.noise", "帧间杂音", "Noise between frames", "C.3", noise, (CCID,)),
    Case("FRAME.echo", "回显前后一致", "Echoes, always or never", "A.3", echo, (CCID,)),
)
