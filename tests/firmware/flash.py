"""A littlefs on a simulated flash chip whose power fails in the middle of a write or an erase."""

from typing import Any, Self

from littlefs import LFSFileFlag, LittleFS, UserContext, lfs
from littlefs.errors import LittleFSError

BLOCK, BLOCKS, PROGRAM, READ = 4096, 32, 256, 32
"""As MicroPython's rp2 port makes it: `VfsLfs2.mkfs(flash, progsize=256)`."""
IO_ERROR = -5


class PowerCut(BaseException):
    """The power is gone; nothing after this happens."""


class Flash(UserContext):
    """Counts what is written and erased; the one number `cut_at`, from 0, is done by half, and none after it."""

    def __init__(self, content: bytes = b"", cut_at: int | None = None) -> None:
        super().__init__(buffer=bytearray(content or b"\xff" * (BLOCK * BLOCKS)))
        self.cut_at, self.done, self.dead = cut_at, 0, False

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        at = block * BLOCK + off
        return self.buffer[at : at + size]

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        return self._change(block * BLOCK + off, bytes(data))

    def erase(self, cfg: Any, block: int) -> int:
        return self._change(block * BLOCK, b"\xff" * BLOCK)

    def _change(self, at: int, data: bytes) -> int:
        if self.dead:
            return IO_ERROR
        self.dead = self.done == self.cut_at
        self.done += 1
        half = data[: len(data) // 2] if self.dead else data
        self.buffer[at : at + len(half)] = half
        return IO_ERROR if self.dead else 0


class FlashFiles:
    """`firmware.files.FileSystem` on such a chip; `PowerCut` from the moment the power fails."""

    def __init__(self, flash: Flash) -> None:
        self.flash = flash
        self._lfs = LittleFS(
            flash,
            mount=False,
            block_size=BLOCK,
            block_count=BLOCKS,
            prog_size=PROGRAM,
            read_size=READ,
            cache_size=PROGRAM,
            lookahead_size=READ,
        )

    def format(self) -> None:
        self._lfs.format()
        self._lfs.mount()

    def mount(self) -> None:
        """What is there; an error where it cannot be read."""
        self._lfs.mount()

    def open(self, path: str, mode: str) -> Any:
        return self._lfs.open(path, mode) if mode.startswith("r") else _Written(self, self._lfs.fs, path, mode)

    def listdir(self, path: str) -> list[str]:
        return list(self.checked(self._lfs.listdir, path))

    def mkdir(self, path: str) -> None:
        self.checked(self._lfs.mkdir, path)

    def remove(self, path: str) -> None:
        self.checked(self._lfs.remove, path)

    def rename(self, old: str, new: str) -> None:
        self.checked(self._lfs.rename, old, new)

    def rmdir(self, path: str) -> None:
        self.checked(self._lfs.rmdir, path)

    def size(self, path: str) -> int | None:
        found = self._stat(path)
        return None if found is None or found.type != 1 else int(found.size)

    def is_folder(self, path: str) -> bool:
        found = self._stat(path)
        return found is not None and found.type == 2

    def _stat(self, path: str) -> Any:
        try:
            return self._lfs.stat(path)
        except LittleFSError:
            return None

    def checked(self, call: Any, *arguments: Any) -> Any:
        """`PowerCut` where it fails for that."""
        try:
            return call(*arguments)
        except (LittleFSError, OSError):
            if self.flash.dead:
                raise PowerCut from None
            raise


class _Written:
    """A file that is written. Of littlefs-python's own a failed `close` is called again, which ends the process."""

    def __init__(self, files: FlashFiles, fs: lfs.LFSFilesystem, path: str, mode: str) -> None:
        self._files, self._fs = files, fs
        how = LFSFileFlag["append" if mode.startswith("a") else "trunc"]
        self._file = files.checked(lfs.file_open, fs, path, LFSFileFlag["wronly"] | LFSFileFlag["creat"] | how)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not PowerCut:
            self._files.checked(lfs.file_close, self._fs, self._file)

    def write(self, data: str | bytes) -> None:
        self._files.checked(lfs.file_write, self._fs, self._file, data.encode() if isinstance(data, str) else data)
