"""CCID commands and answers over one serial port that may lose, delay and corrupt bytes, or vanish."""

import errno
import termios
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol, TypeVar

import serial

from host_bridge.readers.port_lock import PortLock
from host_bridge.readers.reader import ReaderInUse, ReaderUnavailable
from protocols.ccid.messages import (
    ABORT,
    ESCAPE,
    ESCAPE_FIRMWARE_NAME,
    OUR_FIRMWARE,
    SECURE,
    XFR_BLOCK,
    Answer,
    Command,
    MessageError,
    is_answer,
)
from protocols.ccid.secure import ESCAPE_FEATURES
from protocols.ccid.serial_frame import BAD_MESSAGE, MESSAGE, MORE_TIME, QUIET_MS, REFUSED, FrameParser, frame

BAUD_RATE = 115200
READ_S = 0.05
WRITE_S = 2.0
SILENCE_S = 1.0  # a working reader sends something every 0.3 s
TOTAL_S = 75.0  # our firmware gives a card 60 s
TRIES = 4

P = TypeVar("P")


class Port(Protocol):
    """What the link needs of pyserial's port. `read` waits at most `READ_S`."""

    @property
    def in_waiting(self) -> int: ...

    def read(self, size: int = 1) -> bytes: ...

    def write(self, data: bytes, /) -> int | None: ...

    def reset_input_buffer(self) -> None: ...

    def close(self) -> None: ...


def open_port(path: str) -> serial.Serial:
    """115200 8N2, exclusively; `OSError` where it cannot be had."""
    return serial.Serial(
        path,
        BAUD_RATE,
        stopbits=serial.STOPBITS_TWO,
        timeout=READ_S,
        write_timeout=WRITE_S,
        exclusive=True,
    )


def take_port(path: str, open_port: Callable[[str], P]) -> tuple[PortLock, P]:
    """The port's lock and the port, open; `ReaderInUse`, also by who takes no locks, or `ReaderUnavailable`."""
    lock = PortLock.acquire(path)
    try:
        return lock, open_port(path)
    except (OSError, termios.error, ValueError) as error:
        lock.release()
        if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.EBUSY):
            raise ReaderInUse(path, None, "") from None
        raise ReaderUnavailable(f"{path} cannot be opened") from error


class SerialLink:
    """One reader's port, for all its slots. `ask` opens it when needed and closes it when it fails.

    `busy` is held by whoever asks, and by a slot for as long as nobody else may.

    `generation` counts the times it was opened: what was powered before the last one no longer is.
    `is_ours`: the reader runs our firmware; `has_pad`: and has keys for a PIN. Both are known once it was open.
    """

    def __init__(
        self,
        path: str,
        silence_s: float = SILENCE_S,
        total_s: float = TOTAL_S,
        open_port: Callable[[str], Port] = open_port,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.busy = threading.RLock()
        self._users: set[int] = set()
        self._silence_s, self._total_s = silence_s, total_s
        self._open_port, self._monotonic = open_port, monotonic
        self._port: Port | None = None
        self._lock: PortLock | None = None
        self._seq = 0
        self._unwanted = threading.Event()
        self.is_ours = self.has_pad = False
        self.generation = 0

    @property
    def is_open(self) -> bool:
        return self._port is not None

    def ask(self, kind: int, data: bytes = b"", tries: int = TRIES, slot: int = 0, *, holder_s: float = 0.0) -> Answer:
        """The answer of a slot to one command; `ReaderInUse`, or `ReaderUnavailable` where none comes.

        A lost or damaged answer is asked for again with the same bSeq. An XfrBlock only of our own firmware,
        which then repeats the answer, or after a NAK: other readers would do it twice. `holder_s` is what the holder
        of the card may take beside.
        """
        with self.busy:
            self._users.add(slot)
            self.open()
            return self._ask(kind, data, tries, slot, holder_s)

    def begin_entry(self) -> None:
        """What `end_entry` said of the entry before is over."""
        self._unwanted.clear()

    def end_entry(self) -> None:
        """From another thread: the reader is told that the PIN which it waits for is not wanted."""
        self._unwanted.set()

    def open(self) -> None:
        """Take the port and find the reader behind it; nothing where that is done."""
        if self._port is not None:
            return
        self._lock, self._port = take_port(self.path, self._open_port)
        self.generation += 1
        name = self._ask(ESCAPE, ESCAPE_FIRMWARE_NAME, TRIES, 0).data
        self.is_ours = name.startswith(OUR_FIRMWARE)
        self.has_pad = self.is_ours and not self._ask(ESCAPE, ESCAPE_FEATURES, TRIES, 0).failed

    def release(self, slot: int) -> None:
        """This slot needs the port no more; it is closed when none does."""
        with self.busy:
            self._users.discard(slot)
            if not self._users:
                self.close()

    def close(self) -> None:
        """Harmless when closed."""
        port, self._port = self._port, None
        lock, self._lock = self._lock, None
        try:
            if port is not None:
                port.close()
        except (OSError, termios.error):
            pass  # it vanished
        finally:
            if lock is not None:
                lock.release()

    def _ask(self, kind: int, data: bytes, tries: int, slot: int, holder_s: float = 0.0) -> Answer:
        self._seq = self._seq + 1 & 0xFF
        command = Command(kind, slot, self._seq, data)
        deadline = self._monotonic() + self._total_s + holder_s
        try:
            for _ in range(tries):
                answer, again = self._ask_once(command, deadline)
                if answer is not None:
                    return answer
                if self._monotonic() > deadline or not again:
                    break
        except (OSError, termios.error) as error:
            self.close()
            raise ReaderUnavailable(f"{self.path} went away") from error
        self.close()
        raise ReaderUnavailable(f"the reader at {self.path} does not answer")

    def _ask_once(self, command: Command, deadline: float) -> tuple[Answer | None, bool]:
        """The answer, or None and whether the command may be sent again."""
        port = self._port
        if port is None:
            raise OSError(errno.ENODEV, "closed")
        port.reset_input_buffer()
        port.write(frame(command.to_bytes()))
        may_repeat = command.kind != XFR_BLOCK or self.is_ours
        parser = FrameParser(from_reader=True)
        heard = alive = self._monotonic()
        begun = False
        while (now := self._monotonic()) < min(alive + self._silence_s, deadline):
            if begun and command.kind == SECURE and self._unwanted.is_set():  # before, Abort would take its place
                self._unwanted.clear()
                self._seq = self._seq + 1 & 0xFF
                port.write(frame(Command(ABORT, command.slot, self._seq).to_bytes()))
            data = port.read(port.in_waiting or 1)
            if data:
                heard = self._monotonic()
                found = parser.feed(data)
            else:
                found = parser.give_up() if now - heard > QUIET_MS / 1000 else []
            for kind, message in found:
                if kind == MESSAGE:
                    answer = _answer_to(command, message)
                    if answer is not None:
                        return answer, False
                    begun = begun or message == command.echo()
                    alive = self._monotonic()
                elif kind == MORE_TIME:
                    alive = self._monotonic()
                elif kind == REFUSED or (kind == BAD_MESSAGE and may_repeat):
                    return None, True
        return None, may_repeat


_shared: "weakref.WeakValueDictionary[str, SerialLink]" = weakref.WeakValueDictionary()
_sharing = threading.Lock()


def shared_link(path: str) -> SerialLink:
    """The link at this path that this process has, or a new one; two names of one port are two links."""
    with _sharing:
        link = _shared.get(path)
        if link is None:
            link = _shared[path] = SerialLink(path)
        return link


def _answer_to(command: Command, message: bytes) -> Answer | None:
    """None for an echo and for a late answer to another command."""
    if not is_answer(message):
        return None
    try:
        answer = Answer.from_bytes(message)
    except MessageError:
        return None
    return answer if answer.is_to(command) else None
