"""A reader's serial line as its tester uses it: CCID commands one by one, and bytes that are none."""

import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from host_bridge.conformance.case import Unexpected
from host_bridge.readers.ccid_names import COMMANDS
from host_bridge.readers.reader import ReaderUnavailable
from host_bridge.readers.serial_link import Port, open_port, take_port
from protocols.ccid.messages import ANSWER_TO, Answer, Command, MessageError, is_answer
from protocols.ccid.serial_frame import MESSAGE, MORE_TIME, FrameParser, frame

SILENCE_S = 3.0
"""A reader that waits for its card says so every 0.3 s (reader.md A.1); without echo it has 2 s."""
TOTAL_S = 75.0
DRAINED_S = 0.5

Clock = Callable[[], float]


class CcidPort:
    """One open port. `Unexpected` where the reader does not answer, or not to this command."""

    def __init__(self, port: Port, slot: int = 0, clock: Clock = time.monotonic) -> None:
        """Commands are for `slot` unless they name another."""
        self._port, self.slot, self.clock = port, slot, clock
        self._parser = FrameParser(from_reader=True)
        self._found: list[tuple[int, bytes]] = []
        self._seq = 0

    def command(self, kind: int, data: bytes = b"", *, slot: int | None = None) -> Command:
        """With the next bSeq."""
        self._seq = self._seq + 1 & 0xFF
        return Command(kind, self.slot if slot is None else slot, self._seq, data)

    def send(self, command: Command) -> None:
        self.write(frame(command.to_bytes()))

    def write(self, data: bytes) -> None:
        """Any bytes."""
        self._port.write(data)

    def next(self, within_s: float) -> tuple[int, bytes] | None:
        """What `FrameParser` finds next; None where nothing comes in time."""
        deadline = self.clock() + within_s
        while not self._found:
            if self.clock() > deadline:
                return None
            self._found += self._parser.feed(self._port.read(self._port.in_waiting or 1))
        return self._found.pop(0)

    def drain(self) -> None:
        """Until the reader says nothing more."""
        deadline = self.clock() + TOTAL_S
        while self.clock() < deadline and self.next(DRAINED_S) is not None:
            pass

    def next_answer(self, within_s: float) -> Answer | None:
        """The next answer, to whatever command; None where none comes. Time bytes give it more time."""
        deadline = self.clock() + TOTAL_S
        heard = self.next(within_s)
        while heard is not None and self.clock() < deadline:
            kind, message = heard
            if kind == MESSAGE and is_answer(message):
                try:
                    return Answer.from_bytes(message)
                except MessageError:
                    return None
            heard = self.next(SILENCE_S if kind == MORE_TIME else within_s)
        return None

    def answer_to(self, command: Command, within_s: float = SILENCE_S) -> Answer:
        """The next answer, which must be one to this command."""
        step, expected = step_name(command), f"bSeq {command.seq}"
        answer = self.next_answer(within_s)
        if answer is None:
            raise Unexpected(step, "an answer", "none")
        if answer.seq != command.seq:
            raise Unexpected(step, expected, f"bSeq {answer.seq}")
        if answer.slot != command.slot:
            raise Unexpected(step, f"bSlot {command.slot}", f"bSlot {answer.slot}")
        if answer.kind != ANSWER_TO.get(command.kind, answer.kind):
            raise Unexpected(step, f"{command.answer_kind:02X}", f"{answer.kind:02X}")
        return answer

    def ask(self, kind: int, data: bytes = b"") -> Answer:
        """Send a command and take its answer."""
        command = self.command(kind, data)
        self.send(command)
        return self.answer_to(command)

    def do(self, kind: int, data: bytes = b"") -> Answer:
        """A command that must succeed."""
        answer = self.ask(kind, data)
        if answer.failed:
            raise Unexpected(COMMANDS.get(kind, f"{kind:02X}"), "success", error_name(answer))
        return answer

    def refused(self, kind: int, data: bytes = b"", *, slot: int | None = None) -> Answer:
        """A command that must fail, with nothing but the error."""
        command = self.command(kind, data, slot=slot)
        self.send(command)
        answer = self.answer_to(command)
        if not answer.failed or answer.data:
            raise Unexpected(step_name(command), "failure", error_name(answer))
        return answer


@contextmanager
def open_ccid_port(path: str, slot: int = 0, clock: Clock = time.monotonic) -> Iterator[CcidPort]:
    """The port for oneself; `ReaderInUse`, `ReaderUnavailable`."""
    lock, port = take_port(path, open_port)
    try:
        with closing(port):
            port.reset_input_buffer()
            yield CcidPort(port, slot, clock)
    except (OSError, termios.error) as error:
        raise ReaderUnavailable(f"{path} went away") from error
    finally:
        lock.release()


def step_name(command: Command) -> str:
    """A command without its data."""
    return f"{COMMANDS.get(command.kind, f'{command.kind:02X}')} slot {command.slot}, {len(command.data)} bytes"


def error_name(answer: Answer) -> str:
    """How a command ended: `bError FE`, or `success + 5`."""
    if answer.failed:
        return f"bError {answer.error:02X}"
    return "success" + (f" + {len(answer.data)}" if answer.data else "")
