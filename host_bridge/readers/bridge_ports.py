"""The bridge's ports: the reader's, held alone while it is there, and a pty per slot that stays (`reader.md A.6`)."""

import contextlib
import errno
import os
import pty
import select
import termios
import time
import tty
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from host_bridge.readers.bridge import READER, Bridge
from host_bridge.readers.kept_files import KeptFiles
from host_bridge.readers.port_lock import PortLock
from host_bridge.readers.reader import ReaderError, ReaderInUse
from host_bridge.readers.serial_link import open_port, take_port

CHUNK = 4096
BUSY_EVERY_S = 0.02
REOPEN_EVERY_S = 0.5
POWER_OFF_WITHIN_S = 1.0
PTYS = Path("/dev/pts")


class BridgeError(Exception):
    """A link cannot be made; the text says which and why."""


class FilePort(Protocol):
    """What the bridge needs of pyserial's port."""

    def fileno(self) -> int: ...

    def close(self) -> None: ...


class Wire:
    """An open line that never makes anybody wait."""

    def __init__(self, file: int) -> None:
        self.file = file
        self._unsent = b""
        os.set_blocking(file, False)

    @property
    def unsent(self) -> bool:
        """Whether `flush` is to be called when the line takes bytes again."""
        return bool(self._unsent)

    def read(self) -> bytes:
        """What is there, b"" for nothing; `OSError` where the line is gone."""
        try:
            data = os.read(self.file, CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError(errno.EIO, "the line is gone")
        return data

    def write(self, data: bytes) -> None:
        """All of it or, where nobody takes what was written before, none. `OSError` where the line is gone."""
        if not self._unsent:
            self._unsent = data
            self.flush()

    def flush(self) -> None:
        """As much of what is left as the line takes now."""
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[os.write(self.file, self._unsent) :]


class LinkedPty(Wire):
    """A pty with a name of its own, which stays however often it is opened and closed.

    The one that was kept for this name, where there is one: who has it open has it still, and begins anew.
    """

    def __init__(self, link: Path, kept: KeptFiles) -> None:
        """`BridgeError` where that name is another's, or there is no folder for it; `OSError`."""
        if (link.exists() or link.is_symlink()) and not _leads_to_pty(link):
            raise BridgeError(f"{link} is there and leads to no line of a bridge")
        try:
            self._lock = PortLock.acquire_name(link)
        except ReaderInUse as error:
            raise BridgeError(f"{link} is a line already, of PID {error.pid}") from None
        except ReaderError as error:
            raise BridgeError(str(error)) from None
        names = f"{link.name}.master", f"{link.name}.slave"
        found = kept.take(*names)
        self.was_kept = bool(found)
        pair = found or pty.openpty()
        master, self._slave = pair
        super().__init__(master)
        tty.setraw(self._slave)
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        for name, file in zip(names, pair, strict=True):
            os.set_inheritable(file, False)
            kept.keep(name, file)
        self._link, self._path = link, Path(os.ttyname(self._slave))
        try:
            new = link.with_name(f".{link.name}.{os.getpid()}")
            new.symlink_to(self._path)
            new.replace(link)
        except OSError as error:
            self.close()
            raise BridgeError(f"{link}: {error.strerror}") from None

    def close(self) -> None:
        """The link goes too, where it is still ours."""
        with contextlib.suppress(OSError):
            if self._link.readlink() == self._path:
                self._link.unlink()
        os.close(self.file)
        os.close(self._slave)
        self._lock.release()


def _leads_to_pty(link: Path) -> bool:
    """One that there is, or was before a crash."""
    return link.is_symlink() and link.readlink().parent == PTYS


class BridgePorts:
    """Runs the bridge on one port. While the reader is away its port is looked for twice a second.

    `changed` hears whether the reader is here, once at first and at every change, and who holds its port if that is
    the reason.
    """

    def __init__(
        self,
        port: str,
        links: Iterable[Path],
        changed: Callable[[bool, ReaderInUse | None], None],
        *,
        kept: KeptFiles,
        open_port: Callable[[str], FilePort] = open_port,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`BridgeError` where a link cannot be made."""
        self._path, self._changed = port, changed
        self._open_port, self._monotonic = open_port, monotonic
        self._port: FilePort | None = None
        self._wire: Wire | None = None
        self._lock: PortLock | None = None
        self._told: tuple[bool, bool] | None = None
        self._look_at = monotonic()
        self._stopped, self._stop = os.pipe()
        self._ptys: list[LinkedPty] = []
        try:
            for link in links:
                if link.absolute() == Path(port).absolute():
                    raise BridgeError(f"{link} is the reader's port")
                self._ptys.append(LinkedPty(link, kept))
        except BridgeError:
            self._close_ptys()
            raise
        self._bridge = Bridge(len(self._ptys))
        for slot, line in enumerate(self._ptys):
            if line.was_kept:
                self._bridge.empty(slot, monotonic())

    @property
    def reader_name(self) -> str:
        """What the reader calls itself, "" where it was never here."""
        return self._bridge.reader_name

    def stop(self) -> None:
        """Makes `run` return; may be called from anywhere, signal handlers too."""
        os.write(self._stop, b"\0")

    def run(self) -> None:
        """Until `stop`: cards are powered off, the port is let go, the links are removed. Once only."""
        try:
            while not self._turn():
                pass
            os.read(self._stopped, 1)
            self._bridge.power_off(self._monotonic())
            deadline = self._monotonic() + POWER_OFF_WITHIN_S
            while self._wire is not None and self._bridge.busy and self._monotonic() < deadline:
                self._turn()
        finally:
            self._told = (False, False)  # the end of the bridge is no news of the reader
            self._close()
            self._close_ptys()
            os.close(self._stopped)
            os.close(self._stop)

    def _turn(self) -> bool:
        """Wait for something and deal with it; whether to stop."""
        self._look()
        wires: list[Wire] = [*self._ptys, *([self._wire] if self._wire else [])]
        limit = BUSY_EVERY_S if self._bridge.busy else REOPEN_EVERY_S
        files = [self._stopped, *(wire.file for wire in wires)]
        readable, writable, _ = select.select(files, [wire.file for wire in wires if wire.unsent], [], limit)
        for slot, line in enumerate(self._ptys):
            if line.file in readable:
                self._bridge.from_host(slot, line.read(), self._monotonic())
            if line.file in writable:
                line.flush()
        self._serve_reader(readable, writable)
        self._bridge.tick(self._monotonic())
        self._send()
        if self._bridge.hung:
            self._close()
            self._send()
        return self._stopped in readable

    def _serve_reader(self, readable: list[int], writable: list[int]) -> None:
        wire = self._wire
        if wire is None:
            return
        try:
            if wire.file in readable:
                self._bridge.from_reader(wire.read(), self._monotonic())
            if wire.file in writable:
                wire.flush()
        except OSError:
            self._close()
            return
        if self._bridge.here:
            self._tell(True, None)

    def _send(self) -> None:
        while taken := self._bridge.outgoing():
            for to, data in taken:
                if to != READER:
                    self._ptys[to].write(data)
                elif self._wire is not None:
                    try:
                        self._wire.write(data)
                    except OSError:
                        self._close()

    # The reader's port

    def _look(self) -> None:
        now = self._monotonic()
        if self._wire is not None or now < self._look_at:
            return
        self._look_at = now + REOPEN_EVERY_S
        try:
            self._lock, port = take_port(self._path, self._open_port)
            self._port = port
            self._wire = Wire(port.fileno())
        except ReaderInUse as error:
            self._close(error)
            return
        except (OSError, ReaderError):
            self._close()
            return
        self._bridge.reader_came(now)
        self._send()

    def _close(self, holder: ReaderInUse | None = None) -> None:
        """Harmless when closed."""
        self._wire = None
        port, self._port = self._port, None
        lock, self._lock = self._lock, None
        with contextlib.suppress(OSError, termios.error):
            if port is not None:
                port.close()
        if lock is not None:
            lock.release()
        self._bridge.reader_left(self._monotonic())
        self._tell(False, holder)

    def _tell(self, here: bool, holder: ReaderInUse | None) -> None:
        now = here, holder is not None
        if now != self._told:
            self._told = now
            self._changed(here, holder)

    def _close_ptys(self) -> None:
        for line in self._ptys:
            line.close()
