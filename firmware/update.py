"""Takes new files of the firmware into the slot that does not run, and has them tried (`firmware.boot`).

The host has checked who made them; here it counts that every file is what the manifest says.
"""

import json

from firmware.boot import ASKED, NO_SLOT, SLOTS, UPDATED, State, load, store
from firmware.files import SUFFIXES, FileSystem, fact_of
from firmware.slot_error import SlotError
from protocols.ccid.messages import ERROR_BAD_LENGTH
from protocols.ccid.service import (
    ERROR_BAD_FILE,
    ERROR_BAD_MANIFEST,
    ERROR_BELOW_FLOOR,
    ERROR_INCOMPLETE,
    ERROR_NOT_UPDATABLE,
    ERROR_ON_TRIAL,
    ERROR_WRONG_BOARD,
    MANIFEST,
    MANIFEST_FILE,
    MAX_MANIFEST,
    FileFact,
    ServiceError,
    version_of,
)

FLOOR, NEW_FLOOR = "floor", "floor.new"
LOWEST_FLOOR = "0.0.0"
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

TRIAL_STARTS = 3
PATH_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/."


class Update:
    """One reader's file slots; `slot` is the one that runs. Every call may raise `SlotError`, and `OSError`.

    What was taken before the power went is still there: the same manifest again goes on where it stopped.
    """

    def __init__(self, files: FileSystem, root: "str | None", board: str) -> None:
        """`root` is the folder of the slots, with a slash at its end or empty; None where there are none."""
        self._files, self._root, self._board = files, root, board
        self._size, self._sha256 = 0, b""
        self._facts: "list[FileFact]" = []
        self._whole: "set[int]" = set()
        self.state = State() if root is None else load(files.open, root)
        self.slot = NO_SLOT if root is None else self.state.running
        self.on_trial = self.state.trial != NO_SLOT

    @property
    def floor(self) -> str:
        """The highest of the manifest that runs and of those that ran confirmed before it."""
        if self._root is None:
            return LOWEST_FLOOR
        kept = self._kept_floor
        try:
            with self._files.open(self._root + self.slot + "/" + MANIFEST_FILE, "rb") as file:
                told = str(json.load(file)["floor"])
            return told if version_of(told) > version_of(kept) else kept
        except (OSError, ValueError, KeyError):
            return kept

    @property
    def _kept_floor(self) -> str:
        try:
            with self._files.open((self._root or "") + FLOOR, "r") as file:
                found = str(file.read())
            version_of(found)
        except (OSError, ValueError):
            return LOWEST_FLOOR
        return found

    def begin(self, size: int, sha256: bytes) -> int:
        """Take files by this manifest; how much of it is held. A trial that waits for its first start is off."""
        slot = self._slot()
        if self.on_trial:
            raise SlotError(ERROR_ON_TRIAL)
        if size > MAX_MANIFEST:
            raise SlotError(ERROR_BAD_MANIFEST)
        if self.state.trial != NO_SLOT:
            self.state.trial, self.state.starts_left = NO_SLOT, 0
            self._store()
        self._size, self._sha256 = size, sha256
        self._facts, self._whole = [], set()
        if self._held(slot, MANIFEST_FILE) == size and fact_of(self._files, slot, MANIFEST_FILE).sha256 == sha256:
            self._take_manifest(slot)
            return size
        remove_tree(self._files, slot[:-1])
        self._files.mkdir(slot[:-1])
        return 0

    def write(self, which: int, offset: int, data: bytes) -> int:
        """How much of it is held then; data at another offset changes nothing."""
        slot = self._slot()
        if not self._sha256:
            raise SlotError(ERROR_INCOMPLETE)
        path, size = (MANIFEST_FILE, self._size) if which == MANIFEST else self._wanted(which)
        held = self._held(slot, path)
        if offset != held or not data:
            return held
        if held + len(data) > size:
            raise SlotError(ERROR_BAD_LENGTH)
        self._append(slot, path, data)
        held += len(data)
        if which == MANIFEST and held == size:
            if fact_of(self._files, slot, MANIFEST_FILE).sha256 != self._sha256:
                self._files.remove(slot + MANIFEST_FILE)
                raise SlotError(ERROR_BAD_MANIFEST)
            self._take_manifest(slot)
        return held

    def check(self, which: int) -> None:
        """This file is whole; one that is not what it should be is removed."""
        slot = self._slot()
        path, size = self._wanted(which)
        held = self._held(slot, path)
        if held < size:
            raise SlotError(ERROR_INCOMPLETE)
        if size == 0:
            self._append(slot, path, b"")
        if fact_of(self._files, slot, path) != self._facts[which - 1]:
            self._files.remove(slot + path)
            raise SlotError(ERROR_BAD_FILE)
        self._whole.add(which)

    def finish(self) -> None:
        """Try the new files at the next start. The floor of what runs outlives it."""
        self._slot()
        if self.on_trial or not self._facts or len(self._whole) < len(self._facts):
            raise SlotError(ERROR_INCOMPLETE)
        self._keep_floor()
        self.state.trial, self.state.starts_left, self.state.next_reason = self._other, TRIAL_STARTS, UPDATED
        self._store()

    def confirm(self) -> None:
        """Keep what runs."""
        self._slot()
        if self.on_trial:
            self.state.confirmed, self.state.trial, self.state.starts_left = self.state.trial, NO_SLOT, 0
            self._store()
            self.on_trial = False

    def note_restart(self) -> None:
        """The next start is by request."""
        self._slot()
        if self.state.next_reason != UPDATED:
            self.state.next_reason = ASKED
            self._store()

    def _keep_floor(self) -> None:
        floor, root = self.floor, self._root or ""
        if floor != self._kept_floor:
            with self._files.open(root + NEW_FLOOR, "w") as file:
                file.write(floor)
            self._files.rename(root + NEW_FLOOR, root + FLOOR)

    @property
    def _other(self) -> str:
        return SLOTS[1 - SLOTS.index(self.slot)]

    def _slot(self) -> str:
        """Folder, with a slash, of the slot that does not run."""
        if self._root is None:
            raise SlotError(ERROR_NOT_UPDATABLE)
        return self._root + self._other + "/"

    def _store(self) -> None:
        store(self._files.open, self._files.rename, self._root or "", self.state)

    def _wanted(self, which: int) -> "tuple[str, int]":
        if not 1 <= which <= len(self._facts):
            raise SlotError(ERROR_INCOMPLETE)
        fact = self._facts[which - 1]
        return fact.path, fact.size

    def _held(self, slot: str, path: str) -> int:
        return self._files.size(slot + path) or 0

    def _append(self, slot: str, path: str, data: bytes) -> None:
        folders = path.split("/")[:-1]
        for count in range(1, len(folders) + 1):
            folder = slot + "/".join(folders[:count])
            if not self._files.is_folder(folder):
                self._files.mkdir(folder)
        with self._files.open(slot + path, "ab") as file:
            file.write(data)

    def _take_manifest(self, slot: str) -> None:
        """One that cannot be followed is removed."""
        try:
            with self._files.open(slot + MANIFEST_FILE, "rb") as file:
                board, version, facts = read_manifest(file)
            if board != self._board:
                raise SlotError(ERROR_WRONG_BOARD)
            if version_of(version) < version_of(self.floor):
                raise SlotError(ERROR_BELOW_FLOOR)
        except (ServiceError, SlotError) as error:
            self._files.remove(slot + MANIFEST_FILE)
            if isinstance(error, SlotError):
                raise
            raise SlotError(ERROR_BAD_MANIFEST)  # noqa: B904 - MicroPython does not chain
        self._facts = facts


def read_manifest(file: "IO[bytes]") -> "tuple[str, str, list[FileFact]]":
    """Board, version and files; `ServiceError` for any other bytes."""
    try:
        manifest = json.load(file)  # the whole text may find no room in one piece
        facts = [FileFact(each["path"], each["size"], bytes.fromhex(each["sha256"])) for each in manifest["files"]]
        inside = all(_is_path(fact.path) and fact.size >= 0 for fact in facts)
        board, version = manifest["board"], manifest["version"]
        version_of(version)
        version_of(manifest["floor"])
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):  # the last where it is nested too deep
        raise ServiceError("no manifest")  # noqa: B904 - MicroPython does not chain
    if not facts or not inside:
        raise ServiceError("no files, or not inside the slot")
    return board, version, facts


def _is_path(path: str) -> bool:
    """Of a file of the firmware, below its slot."""
    parts = path.split("/")
    return (
        len(parts) > 1
        and path.endswith(SUFFIXES)
        and all(part and not part.startswith(".") for part in parts)
        and all(character in PATH_CHARACTERS for character in path)
    )


def remove_tree(files: FileSystem, folder: str) -> None:
    """With all that is in it; nothing where there is none. `OSError`."""
    if not files.is_folder(folder):
        return
    for name in files.listdir(folder):
        path = folder + "/" + name
        if files.is_folder(path):
            remove_tree(files, path)
        else:
            files.remove(path)
    files.rmdir(folder)
