"""Small releases, and a host that brings one to a reader step by step; plain enough for MicroPython."""

import hashlib
import json

from firmware.boot import State, begin, store
from firmware.files import fact_of, firmware_files
from firmware.update import Update
from protocols.ccid.service import digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOARD = "unix"
PART = 240


def release(version: str, floor: str = "0.0.0") -> "tuple[bytes, dict[str, bytes]]":
    """Manifest and files; one is empty, one goes in several parts."""
    files = {
        "firmware/__init__.py": b"",
        "firmware/main.py": ("# " + version).encode() * 200,
        "firmware/version.py": ('VERSION = "' + version + '"\n').encode(),
        "protocols/ccid/frame.py": b"x = 1\n",
    }
    listed = [
        {"path": path, "size": len(files[path]), "sha256": hashlib.sha256(files[path]).digest().hex()}
        for path in sorted(files)
    ]
    return json.dumps({"board": BOARD, "files": listed, "floor": floor, "version": version}).encode(), files


def install(files: "Any", root: str, manifest: bytes, contents: "dict[str, bytes]") -> None:
    """Into slot b, confirmed, with a free: the harder way, as a reader that lost its state starts from a."""
    contents = dict(contents, **{"manifest.json": manifest})
    for path, data in contents.items():
        folder = root + "b"
        for part in path.split("/"):
            if not files.is_folder(folder):
                files.mkdir(folder)
            folder += "/" + part
        with files.open(root + "b/" + path, "wb") as file:
            file.write(data)
    store(files.open, files.rename, root, State("b"))


def digest_in(files: "Any", folder: str) -> bytes:
    """Over the firmware's files that are there."""
    return digest_of([fact_of(files, folder, path) for path in firmware_files(files, folder)])


def start(files: "Any", root: str) -> "tuple[str, bytes]":
    """The slot that is started, and the digest of what it holds."""
    slot = begin(files.open, files.rename, root)
    return slot, digest_in(files, root + slot + "/")


def send(update: Update, manifest: bytes, contents: "dict[str, bytes]") -> None:
    """Up to the trial."""
    update.begin(len(manifest), hashlib.sha256(manifest).digest())
    for which, data in enumerate([manifest] + [contents[path] for path in sorted(contents)]):
        held = update.write(which, len(data), b"")
        while held < len(data):
            held = update.write(which, held, data[held : held + PART])
        if which:
            update.check(which)
    update.finish()


def bring(files: "Any", root: str, manifest: bytes, contents: "dict[str, bytes]", wanted: bytes) -> None:
    """Starts and updates until the reader has confirmed what is wanted."""
    while True:
        _, digest = start(files, root)
        update = Update(files, root, BOARD)
        if digest == wanted:
            update.confirm()
            return
        send(update, manifest, contents)
