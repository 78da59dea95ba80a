"""Dies at the first, second, third … change of a file in an update, and starts again after each; for MicroPython too.

Argument: the folder of the slots. Prints a line per death: which change it was, the slot and the digest at the start
after it. Each attempt begins from slot b alone.
"""

import sys

from firmware.boot import load
from firmware.files import FileSystem
from firmware.update import remove_tree
from tests.firmware.releases import bring, digest_in, install, release, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Died(BaseException):
    pass


class HalfWritten:
    """A file that takes half of what is written when the process dies."""

    def __init__(self, file: "Any", files: "Dying") -> None:
        self._file, self._files = file, files

    def __enter__(self) -> "HalfWritten":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: "Any") -> None:
        if self._files.dies():
            self._file.write(data[: len(data) // 2])
            self._file.close()
            raise Died()
        self._file.write(data)


class Dying(FileSystem):
    """Its change number `left`, from 0, is the last."""

    def __init__(self, left: int) -> None:
        self._left = left

    def dies(self) -> bool:
        self._left -= 1
        return self._left < 0

    def open(self, path: str, mode: str) -> "Any":
        if mode.startswith("r"):
            return FileSystem.open(self, path, mode)
        self._change()
        return HalfWritten(FileSystem.open(self, path, mode), self)

    def mkdir(self, path: str) -> None:  # type: ignore[override]
        self._change()
        FileSystem.mkdir(path)

    def remove(self, path: str) -> None:  # type: ignore[override]
        self._change()
        FileSystem.remove(path)

    def rename(self, old: str, new: str) -> None:  # type: ignore[override]
        self._change()
        FileSystem.rename(old, new)

    def rmdir(self, path: str) -> None:  # type: ignore[override]
        self._change()
        FileSystem.rmdir(path)

    def _change(self) -> None:
        if self.dies():
            raise Died()


def flashed(files: FileSystem, root: str) -> None:
    """Slot b with the old release and nothing else."""
    for slot in "ab":
        remove_tree(files, root + slot)
    for name in ("state", "state.new", "floor", "floor.new"):
        if files.size(root + name) is not None:
            files.remove(root + name)
    install(files, root, *release("0.1.0", floor="0.1.0"))


def main(root: str) -> None:
    new = release("0.2.0")
    alive = FileSystem()
    flashed(alive, root)
    install(alive, root, *new)
    wanted = digest_in(alive, root + "b/")
    count = 0
    while True:
        flashed(alive, root)
        try:
            bring(Dying(count), root, new[0], new[1], wanted)
            break
        except Died:
            slot, digest = start(alive, root)
            print(count, slot, digest.hex())
            bring(alive, root, new[0], new[1], wanted)
            state = load(alive.open, root)
            assert (state.confirmed, state.trial) == ("a", "-")
        count += 1


main(sys.argv[1])
