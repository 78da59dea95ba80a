"""The unix board: under MicroPython's unix port and under CPython."""

import select
import sys

from firmware.board import Board
from firmware.boards.unix.connection import connect
from firmware.boards.unix.keypad import KeypadSocket, SocketIndicator, SocketKeypad
from firmware.contact_line import CharacterDamaged, ContactLine, HostLine, LineLost
from firmware.indicator import Indicator
from firmware.limits import Limits, standard_limits
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.iso7816.atr import EVERY_CLASS, classes_of
from protocols.iso7816.line import (
    CHARACTER,
    CLASS,
    CONTACTS,
    DAMAGED,
    OVERCURRENT,
    PRESENT,
    SPEED,
    LineError,
    LineParser,
    characters,
    message,
)

try:
    from os import read as read_fd
    from os import write as write_fd
except ImportError:
    read_fd = write_fd = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SLACK_MS = 500  # two processes on a busy machine
ANSWER_MS = 5000  # a slot that takes longer is broken
HOST_WRITE_MS = 500
MAX_HELD = 1024
CHUNK = 512
KEYPAD = "keypad"
POLLED_CHUNKS = 8  # a card that never stops sending must not hold up the host


class SocketLine(ContactLine):
    """The contact line to a virtual slot (`protocols.iso7816.line`); `LineLost` whenever it closes."""

    def __init__(self, address: str, classes: int) -> None:
        self.classes = classes
        self.socket = connect(address, "virtual slot")
        self._poll = select.poll()
        self._poll.register(self.socket, select.POLLIN)
        self._parser = LineParser()
        self._held: "list[int | None]" = []  # None: damaged
        self._greeted = False
        self._contacts = -1
        self._pump_until(lambda: self._greeted)

    def poll(self) -> None:
        for _ in range(POLLED_CHUNKS):
            if not self._pump(0):
                return

    def set_class(self, icc_class: int) -> None:
        self._write(message(CLASS, icc_class))

    def set_contacts(self, contacts: int) -> None:
        self._contacts = -1
        self._write(message(CONTACTS, contacts))
        self._pump_until(lambda: self._contacts == contacts)

    def set_speed(self, fi_di: int, extra_guard: int) -> None:  # noqa: ARG002 - characters take no time here
        self._write(message(SPEED, fi_di))

    def set_error_signal(self, on: bool) -> None:
        """The slot sends every character once and says which are damaged."""

    def wait_clocks(self, count: int) -> None:
        """Nothing to wait for: the slot takes the contacts in order."""

    def send(self, data: "bytes | bytearray | memoryview") -> None:
        self._write(characters(data))

    def receive(self, count: int, limit_ms: int) -> bytes:
        started = ticks_ms()
        left = limit_ms
        while not self._held and not self.gone and not self.overcurrent and left > 0:
            self._pump(left)
            left = limit_ms - elapsed_ms(started)
        if self.gone or self.overcurrent:
            return b""
        if self._held and self._held[0] is None:
            self._held = self._held[1:]
            raise CharacterDamaged()
        taken = bytearray()
        for value in self._held[:count]:
            if value is None:
                break
            taken.append(value)
        self._held = self._held[len(taken) :]
        return bytes(taken)

    def drop_received(self) -> None:
        self.poll()
        self._held = []

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[self.socket.send(data) :]
        except OSError:
            raise LineLost("the virtual slot went away")  # noqa: B904 - MicroPython does not chain

    def _pump_until(self, condition: "Callable[[], bool]") -> None:
        started = ticks_ms()
        while not condition():
            if elapsed_ms(started) > ANSWER_MS:
                raise LineLost("the virtual slot does not answer")
            self._pump(ANSWER_MS)

    def _pump(self, limit_ms: int) -> bool:
        """Take in what comes within the limit; whether anything did."""
        if not self._poll.poll(limit_ms):
            return False
        try:
            data = self.socket.recv(CHUNK)
            found = self._parser.feed(data)
        except (OSError, LineError):
            raise LineLost("the virtual slot went away")  # noqa: B904 - MicroPython does not chain
        if not data:
            raise LineLost("the virtual slot went away")
        for kind, value in found:
            self._take(kind, value)
        return True

    def _take(self, kind: int, value: int) -> None:
        if kind in (CHARACTER, DAMAGED):
            if len(self._held) < MAX_HELD:
                self._held.append(value if kind == CHARACTER else None)
        elif kind == CONTACTS:
            self._contacts = value
            self._held = []
        elif kind == OVERCURRENT:
            self.overcurrent = True
        elif kind == PRESENT:
            self.gone = self.gone or (self.present and not value)
            self.present = bool(value)
            self._greeted = True


class StandardStreams(HostLine):
    """stdin and stdout, the same open pty master."""

    def __init__(self) -> None:
        self._in = select.poll()
        self._in.register(sys.stdin, select.POLLIN)
        self._out = select.poll()
        self._out.register(sys.stdout, select.POLLOUT)

    def read(self) -> bytes:
        data = b""
        while len(data) < CHUNK and self._in.poll(0):
            try:
                # MicroPython's read(n) waits for all n bytes
                more = sys.stdin.buffer.read(1) if read_fd is None else read_fd(0, CHUNK)
            except OSError:
                raise LineLost("the host line closed")  # noqa: B904 - MicroPython does not chain
            if not more:
                raise LineLost("the host line closed")
            data += more
        return data

    def write(self, data: bytes) -> None:
        if not self._out.poll(HOST_WRITE_MS):
            return
        if write_fd is None:
            sys.stdout.buffer.write(data)
        else:
            while data:
                data = data[write_fd(1, data) :]


class UnixBoard(Board):
    """Arguments: `HOST:PORT` of each virtual slot, `keypad=HOST:PORT`, `LIMIT=MILLISECONDS` for fields of `Limits`,
    `classes=ABC`.
    """

    name = "unix"

    def __init__(self, arguments: "list[str]") -> None:
        settings = dict([argument.split("=") for argument in arguments if "=" in argument])
        classes = classes_of(settings.pop("classes")) if "classes" in settings else EVERY_CLASS
        self.indicator = Indicator()
        if KEYPAD in settings:
            wires = KeypadSocket(settings.pop(KEYPAD))
            self.keypad, self.indicator = SocketKeypad(wires), SocketIndicator(wires)
        lines = [SocketLine(argument, classes) for argument in arguments if "=" not in argument]
        self.contact_lines = tuple(lines)
        self.host_line = StandardStreams()
        self.limits = _limits(settings)
        self._any = select.poll()
        self._any.register(sys.stdin, select.POLLIN)
        for line in lines:
            self._any.register(line.socket, select.POLLIN)

    def wait(self, limit_ms: int) -> None:
        self._any.poll(limit_ms)


def _limits(settings: "dict[str, str]") -> Limits:
    standard = standard_limits(SLACK_MS)
    values = [getattr(standard, name) for name in Limits.FIELDS]
    for name, value in settings.items():
        values[Limits.FIELDS.index(name)] = int(value)
    return Limits(*values)
