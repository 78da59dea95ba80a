"""The link's rules, on a port and a clock made for it (`reader.md A.1`, `A.3`)."""

import contextlib
import uuid
from collections.abc import Callable, Iterator

import pytest

from host_bridge.readers.reader import ReaderUnavailable
from host_bridge.readers.serial_link import READ_S, SILENCE_S, TOTAL_S, TRIES, SerialLink
from protocols.ccid.messages import ANSWER_TO, ESCAPE, GET_SLOT_STATUS, XFR_BLOCK, Answer, Command
from protocols.ccid.serial_frame import NAK_FRAME, SLOT_FILLED, FrameParser, frame

OURS, FOREIGN = b"ssc-terminal reader 0.1", b"GemTwRC2-V2.10"
PIN_BYTES = bytes.fromhex("0020000003135790")


def answer(command: Command, data: bytes = b"\x90\x00", seq: int | None = None) -> bytes:
    return frame(Answer(ANSWER_TO[command.kind], 0, command.seq if seq is None else seq, 0, 0, data).to_bytes())


def right(command: Command) -> bytes:
    return frame(command.echo()) + answer(command)


class ScriptedPort:
    """Answers the Escape at opening, then each command by the next of `replies`, the last again and again.

    Time passes only while somebody waits for bytes.
    """

    def __init__(self, name: bytes, *replies: Callable[[Command], bytes]) -> None:
        self._name, self._replies = name, list(replies)
        self._waiting = bytearray()
        self.commands: list[Command] = []
        self.now = 0.0
        self.endless = b""
        self.opened = 0
        self.closed = 0

    def open(self, path: str) -> "ScriptedPort":
        self.opened += 1
        return self

    def clock(self) -> float:
        return self.now

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, size: int = 1) -> bytes:
        if not self._waiting:
            self.now += READ_S
            self._waiting += self.endless
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken

    def write(self, data: bytes, /) -> int:
        for _, message in FrameParser(from_reader=False).feed(data):
            command = Command.from_bytes(message)
            if command.kind == ESCAPE:
                self._waiting += frame(command.echo()) + answer(command, self._name)
                continue
            self.commands.append(command)
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
            self._waiting += reply(command)
        return len(data)

    def reset_input_buffer(self) -> None:
        self._waiting.clear()

    def close(self) -> None:
        self.closed += 1


Open = Callable[[ScriptedPort], SerialLink]


@pytest.fixture
def link_on() -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def open_link(port: ScriptedPort) -> SerialLink:
            link = _link_on(port)
            stack.callback(link.close)
            return link

        yield open_link


def _link_on(port: ScriptedPort) -> SerialLink:
    return SerialLink(f"/dev/none-{uuid.uuid4()}", open_port=port.open, monotonic=port.clock)


@pytest.mark.parametrize(
    ("name", "around"),
    [
        ("echo skipped", lambda command: frame(command.echo()) + answer(command)),
        ("no echo", answer),
        ("true echo", lambda command: frame(command.to_bytes()) + answer(command)),
        ("console text before", lambda command: b"MicroPython v1.28\r\n>>> " + answer(command)),
        ("slot change before", lambda command: SLOT_FILLED + answer(command)),
        ("time bytes before", lambda command: b"\x80\x85\xff" + answer(command)),
        ("late answer before", lambda command: answer(command, b"\x63\xc2", command.seq - 1 & 0xFF) + answer(command)),
        ("other answer before", lambda command: frame(Answer(0x81, 0, command.seq, 0).to_bytes()) + answer(command)),
        ("SYNC before", lambda command: b"\x03" + answer(command)),
    ],
)
def test_the_answer_is_found(link_on: Open, name: str, around: Callable[[Command], bytes]) -> None:
    port = ScriptedPort(FOREIGN, around)
    assert link_on(port).ask(XFR_BLOCK, PIN_BYTES).data == b"\x90\x00"
    assert len(port.commands) == 1


def test_every_command_has_its_own_number(link_on: Open) -> None:
    port = ScriptedPort(FOREIGN, right)
    link = link_on(port)
    for _ in range(300):
        link.ask(GET_SLOT_STATUS)
    assert len({command.seq for command in port.commands[:256]}) == 256
    assert port.opened == 1


@pytest.mark.parametrize("name", [OURS, FOREIGN])
def test_after_a_nak_the_same_frame_is_sent_again(link_on: Open, name: bytes) -> None:
    port = ScriptedPort(name, lambda _: NAK_FRAME, lambda _: NAK_FRAME, right)
    assert link_on(port).ask(XFR_BLOCK, PIN_BYTES).data == b"\x90\x00"
    assert len(port.commands) == 3
    assert len(set(port.commands)) == 1


def damaged(command: Command) -> bytes:
    return answer(command)[:-1] + b"\x00"


@pytest.mark.parametrize("lost", [lambda _: b"", damaged, lambda command: frame(command.echo())])
def test_a_lost_answer_is_asked_for_again_of_our_firmware(link_on: Open, lost: Callable[[Command], bytes]) -> None:
    port = ScriptedPort(OURS, lost, right)
    assert link_on(port).ask(XFR_BLOCK, PIN_BYTES).data == b"\x90\x00"
    assert len(port.commands) == 2
    assert len(set(port.commands)) == 1


@pytest.mark.parametrize("lost", [lambda _: b"", damaged, lambda command: frame(command.echo())])
def test_another_reader_is_never_made_to_ask_the_card_twice(link_on: Open, lost: Callable[[Command], bytes]) -> None:
    port = ScriptedPort(FOREIGN, lost, right)
    link = link_on(port)
    with pytest.raises(ReaderUnavailable):
        link.ask(XFR_BLOCK, PIN_BYTES)
    assert len(port.commands) == 1
    assert not link.is_open


def test_a_silent_reader_is_given_up_in_time_and_opened_anew(link_on: Open) -> None:
    port = ScriptedPort(OURS, lambda _: b"", lambda _: b"", lambda _: b"", lambda _: b"", right)
    link = link_on(port)
    link.open()
    began = port.now
    with pytest.raises(ReaderUnavailable):
        link.ask(GET_SLOT_STATUS)
    assert port.now - began < TRIES * (SILENCE_S + 2 * READ_S)
    assert port.closed == 1
    generation = link.generation
    assert link.ask(GET_SLOT_STATUS).data == b"\x90\x00"
    assert link.generation == generation + 1


def test_time_bytes_extend_the_wait_but_not_for_ever(link_on: Open) -> None:
    port = ScriptedPort(OURS, lambda _: b"")
    link = link_on(port)
    link.open()
    port.endless = b"\x80"
    began = port.now
    with pytest.raises(ReaderUnavailable):
        link.ask(XFR_BLOCK, PIN_BYTES)
    assert TOTAL_S <= port.now - began < TOTAL_S + 2 * READ_S


def test_a_babbling_line_is_given_up_in_time(link_on: Open) -> None:
    port = ScriptedPort(OURS, lambda _: b"")
    link = link_on(port)
    link.open()
    port.endless = b"\x03\x06U"
    began = port.now
    with pytest.raises(ReaderUnavailable):
        link.ask(GET_SLOT_STATUS)
    assert port.now - began < TOTAL_S


def test_errors_do_not_show_what_was_sent(link_on: Open) -> None:
    port = ScriptedPort(FOREIGN, lambda _: b"")
    with pytest.raises(ReaderUnavailable) as caught:
        link_on(port).ask(XFR_BLOCK, PIN_BYTES)
    assert "1357" not in repr(caught.value)
