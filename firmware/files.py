"""The files of the firmware: which there are, and what they hold."""

import hashlib
import os

from protocols.ccid.service import FIRMWARE_FOLDERS, FIRMWARE_MODULES, FileFact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

SUFFIXES = (".py", ".mpy")
CHUNK = 512
IS_FOLDER = 0x4000  # of the mode that `stat` gives


class FileSystem:
    """What the firmware needs of one; paths have slashes. Errors are `OSError`."""

    listdir = staticmethod(os.listdir)
    mkdir = staticmethod(os.mkdir)
    remove = staticmethod(os.remove)
    rename = staticmethod(os.rename)
    rmdir = staticmethod(os.rmdir)

    def open(self, path: str, mode: str) -> "IO[Any]":
        return open(path, mode)

    def size(self, path: str) -> "int | None":
        """None where there is no file."""
        try:
            found = os.stat(path)
        except OSError:
            return None
        return None if found[0] & IS_FOLDER else found[6]

    def is_folder(self, path: str) -> bool:
        try:
            return bool(os.stat(path)[0] & IS_FOLDER)
        except OSError:
            return False


def firmware_files(files: FileSystem, base: str) -> "list[str]":
    """Sorted paths, below `base`, of what the firmware consists of."""
    found = [
        name + suffix
        for name in FIRMWARE_MODULES
        for suffix in SUFFIXES
        if files.size(base + name + suffix) is not None
    ]
    for folder in FIRMWARE_FOLDERS:
        _walk(files, base, folder, found)
    return sorted(found)


def _walk(files: FileSystem, base: str, folder: str, found: "list[str]") -> None:
    if not files.is_folder(base + folder):
        return
    for name in files.listdir(base + folder):
        path = folder + "/" + name
        if name.endswith(SUFFIXES):
            found.append(path)
        elif files.is_folder(base + path):
            _walk(files, base, path, found)


def fact_of(files: FileSystem, base: str, path: str) -> FileFact:
    """`OSError` where there is no such file."""
    hashed, size = hashlib.sha256(), 0
    with files.open(base + path, "rb") as file:
        data = file.read(CHUNK)
        while data:
            hashed.update(data)
            size += len(data)
            data = file.read(CHUNK)
    return FileFact(path, size, hashed.digest())
