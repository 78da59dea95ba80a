"""What an APDU costs the firmware above its two lines: one JSON object on standard output, by command.

Runs under MicroPython and CPython: `INTERPRETER tests/bench/firmware_steps.py COUNT`. Both lines are in memory and the
card answers at once. `us`: each of COUNT exchanges. `allocated`: bytes of one exchange under MicroPython, those of its
frame and of
the card's characters included. `bytecodes`, `lines`: of CPython, which alone can be asked for them.
"""

import gc
import json
import sys
import time

from firmware.ccid_device import CcidDevice
from firmware.contact_line import ContactLine, HostLine
from firmware.limits import standard_limits
from protocols.ccid.messages import ICC_POWER_ON, POWER_AUTOMATIC, SET_PARAMETERS, XFR_BLOCK, Answer, Command
from protocols.ccid.serial_frame import MESSAGE, FrameParser, frame
from protocols.iso7816.line import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import TraceFunction

ATR = bytes([0x3B, 0x10, 0x11])  # 372/1, T=0
T0_PARAMETERS = bytes([0x11, 0, 0, 10, 0])
OK = bytes([0x90, 0x00])
RECORD = b"\x55" * 32
# reader.md E.1: SELECT with 7 bytes, READ RECORD of 32, VERIFY with 8; what the card says after each send; the answer
EXCHANGES = {
    "select": (bytes([0x00, 0xA4, 0x04, 0x00, 7]) + b"\xf0" * 7, (b"\xa4", OK), OK),
    "read_record": (bytes([0x00, 0xB2, 0x01, 0x04, 32]), (b"\xb2" + RECORD + OK,), RECORD + OK),
    "verify": (bytes([0x00, 0x20, 0x00, 0x00, 8]) + b"\xff" * 8, (b"\x20", OK), OK),
}
OURS = ("firmware", "protocols")
MICROPYTHON = sys.implementation.name == "micropython"


def _monotonic_us() -> int:
    return time.perf_counter_ns() // 1000


def _difference(later: int, earlier: int) -> int:
    return later - earlier


_ticks_us = getattr(time, "ticks_us", _monotonic_us)
_ticks_diff = getattr(time, "ticks_diff", _difference)


def _ticks_since(since: int) -> int:
    return int(_ticks_diff(_ticks_us(), since))


class MemoryHost(HostLine):
    """What is put is read once; `written` is all that was written since."""

    def __init__(self) -> None:
        self._waiting = b""
        self.written = b""

    def put(self, data: bytes) -> None:
        self._waiting, self.written = data, b""

    def read(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        self.written += data


class MemoryLine(ContactLine):
    """A card that says `replies` one after another, the next whenever something was sent to it."""

    present = True

    def __init__(self) -> None:
        self.replies: tuple[bytes, ...] = ()
        self._next = 0
        self._said = b""

    def poll(self) -> None:
        pass

    def set_class(self, icc_class: int) -> None:
        pass

    def set_contacts(self, contacts: int) -> None:
        self._said = ATR if contacts == RUNNING else b""

    def set_speed(self, fi_di: int, extra_guard: int) -> None:
        pass

    def set_error_signal(self, on: bool) -> None:
        pass

    def wait_clocks(self, count: int) -> None:
        pass

    def send(self, data: "bytes | bytearray | memoryview") -> None:
        self._said = self.replies[self._next]
        self._next += 1

    def receive(self, count: int, limit_ms: int) -> bytes:
        taken, self._said = self._said[:count], self._said[count:]
        return taken

    def drop_received(self) -> None:
        self._said = b""

    def begin(self, replies: "tuple[bytes, ...]") -> None:
        self.replies, self._next = replies, 0


class Bench:
    """A device between the two, with a card in session."""

    def __init__(self) -> None:
        self._host, self._line = MemoryHost(), MemoryLine()
        self._device = CcidDevice(self._host, (self._line,), standard_limits(0))
        self._sequence = 0
        self._send(ICC_POWER_ON, b"", bytes([POWER_AUTOMATIC, 0, 0]))
        self._send(SET_PARAMETERS, T0_PARAMETERS, bytes(3))

    def prepare(self, name: str) -> None:
        """One exchange, to be served."""
        apdu, replies, _ = EXCHANGES[name]
        self._line.begin(replies)
        self._put(XFR_BLOCK, apdu)

    def serve(self) -> None:
        self._device.serve()

    def check(self, name: str) -> None:
        """The host got what the card said."""
        assert self._answer().data == EXCHANGES[name][2]

    def _send(self, kind: int, data: bytes, special: bytes) -> None:
        self._put(kind, data, special)
        self.serve()
        assert self._answer().error == 0

    def _put(self, kind: int, data: bytes, special: bytes = bytes(3)) -> None:
        self._sequence = (self._sequence + 1) & 0xFF
        self._host.put(frame(Command(kind, 0, self._sequence, data, special).to_bytes()))

    def _answer(self) -> Answer:
        messages = [data for kind, data in FrameParser(from_reader=True).feed(self._host.written) if kind == MESSAGE]
        return Answer.from_bytes(messages[-1])


def spent_us(bench: Bench, name: str, count: int) -> "list[int]":
    found = []
    for _ in range(count):
        bench.prepare(name)
        began = _ticks_us()
        bench.serve()
        found.append(_ticks_since(began))
        bench.check(name)
    return found


def allocated(bench: Bench, name: str) -> int:
    """Bytes of one exchange; the collector is off, so what is no longer used counts as well."""
    bench.prepare(name)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()  # type: ignore[attr-defined]
    bench.serve()
    after = gc.mem_alloc()  # type: ignore[attr-defined]
    gc.enable()
    bench.check(name)
    return int(after - before)


def steps(bench: Bench, name: str) -> "dict[str, int]":
    """Bytecodes and lines of our own files in one exchange."""
    counted = {"bytecodes": 0, "lines": 0}
    kinds = {"opcode": "bytecodes", "line": "lines"}

    def trace(frame: "FrameType", event: str, _: object) -> "TraceFunction | None":
        if event == "call" and frame.f_globals["__name__"].split(".")[0] not in OURS:
            return None
        frame.f_trace_opcodes = True
        if event in kinds:
            counted[kinds[event]] += 1
        return trace

    bench.prepare(name)
    before = sys.gettrace()
    sys.settrace(trace)
    bench.serve()
    sys.settrace(before)
    bench.check(name)
    return counted


def main(count: int) -> "dict[str, dict[str, object]]":
    bench = Bench()
    found: dict[str, dict[str, object]] = {}
    for name in EXCHANGES:
        spent_us(bench, name, 20)  # warm: interned strings, caches
        found[name] = {"us": spent_us(bench, name, count)}
        if MICROPYTHON:
            found[name]["allocated"] = allocated(bench, name)
        else:
            found[name].update(steps(bench, name))
    return found


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
