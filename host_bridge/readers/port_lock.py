"""Who holds a serial port, or the name of a line: a lock file for each that names process and command."""

import contextlib
import fcntl
import hashlib
import os
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self

from host_bridge.readers.reader import ReaderInUse, ReaderUnavailable

RUN_LOCK = Path("/run/lock")
PREFIX, NAME_PREFIX = "ssc-reader-", "ssc-line-"
TRIES = 4
TRY_EVERY_S = 0.02  # someone may be looking at the lock at this very moment
MAX_COMMAND = 200


class Holder(NamedTuple):
    """The process that holds `port`; `pid` is None where the lock file does not say."""

    port: str
    pid: int | None
    command: str


def lock_folder() -> Path:
    """`/run/lock`, or the temporary directory where that cannot be written."""
    return RUN_LOCK if os.access(RUN_LOCK, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def holder_of(port: str) -> Holder | None:
    """Who holds the port, without opening it; None for nobody."""
    return _holder_in(_lock_file(port))


def holders() -> tuple[Holder, ...]:
    """All ports that are held, by port."""
    found = (_holder_in(path) for path in lock_folder().glob(f"{PREFIX}*.lock"))
    return tuple(sorted(holder for holder in found if holder is not None))


def _lock_file(port: str) -> Path:
    """One file per device, whichever link names it."""
    return _lock_file_of(Path(os.path.realpath(port)), PREFIX)


def _lock_file_of(path: Path, prefix: str) -> Path:
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return lock_folder() / f"{prefix}{path.name}-{digest}.lock"


def _holder_in(path: Path) -> Holder | None:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file)
    finally:
        os.close(file)
    return None


def _read(file: int) -> Holder:
    lines = os.pread(file, 4096, 0).decode(errors="replace").splitlines()
    pid, command, port = [*lines, "", "", ""][:3]
    return Holder(port, int(pid) if pid.isdecimal() else None, command)


class PortLock:
    """Held from `acquire` to `release`, or to the end of the process."""

    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self._file: int | None = file

    @classmethod
    def acquire(cls, port: str) -> Self:
        """`ReaderInUse` where somebody holds it, `ReaderUnavailable` where no lock file can be made."""
        return cls._acquire(_lock_file(port), port)

    @classmethod
    def acquire_name(cls, link: Path) -> Self:
        """Of the link itself, wherever it leads; as `acquire`."""
        return cls._acquire(_lock_file_of(link.parent.resolve() / link.name, NAME_PREFIX), str(link))

    @classmethod
    def _acquire(cls, path: Path, port: str) -> Self:
        try:
            file = _take(path)
        except OSError as error:
            holder = _holder_in(path)
            if holder is not None:
                raise ReaderInUse(port, holder.pid, holder.command) from None
            if isinstance(error, BlockingIOError):
                raise ReaderInUse(port, None, "") from None
            raise ReaderUnavailable(f"{path}: {error.strerror}") from None
        text = f"{os.getpid()}\n{shlex.join(sys.argv)[:MAX_COMMAND]}\n{port}\n"
        os.ftruncate(file, 0)
        os.pwrite(file, text.encode(), 0)
        return cls(path, file)

    def release(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)
        self._file = None


def _take(path: Path) -> int:
    """The locked file. `BlockingIOError` where it is held, `OSError` where it cannot be written."""
    for left in reversed(range(TRIES)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(file).st_ino == path.stat().st_ino:
                return file  # and not one that its holder has just removed
        except OSError:
            if not left:
                os.close(file)
                raise
        os.close(file)
        time.sleep(TRY_EVERY_S)
    raise BlockingIOError
