"""The file that a simulated card lives in: what it holds, and its checks."""

from pathlib import Path
from typing import Literal

import msgspec

from protocols.iso7816.atr import Atr
from protocols.sscard.files import CardFiles, Directory, File, card_files
from protocols.sscard.pin import pin_block

IN_USE = ("SSSE EF05", "SSSE EF06")
"""Files that every card has (ssc-card.md 3.3)."""
MAX_TRIES = 15


class CardFileError(Exception):
    """A card file that cannot be read, written or understood; names the file, never its content."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`digits` as entered, `limit` tries after a right one, `tries` left."""

    digits: str
    limit: int
    tries: int

    def __repr__(self) -> str:
        return f"Pin({self.tries} of {self.limit} tries)"


class CardKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of this card alone, in hexadecimal for each version, empty where it is not there in one.

    `tries` are left for EXTERNAL AUTHENTICATION.
    """

    values: tuple[str, ...]
    limit: int
    tries: int

    def __repr__(self) -> str:
        return f"CardKey({len(self.values)} versions, {self.tries} of {self.limit} tries)"


class CardImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a card file holds: `files` are records in hexadecimal under `SSSE EF05`; no `pin`, no PIN.

    Records of cyclic files begin with the newest; a transparent file is one entry without trailing 00, or none. A file
    or key that is not named is not on the card. `choices` answer open questions of the version's table. `blocked` are
    directories, `card_blocked` the whole card, for ever.
    """

    format: Literal[1] = 1
    version: str
    atr: str
    pin: Pin | None
    files: dict[str, tuple[str, ...]]
    choices: dict[str, str] = {}
    keys: dict[str, CardKey] = {}
    blocked: tuple[str, ...] = ()
    card_blocked: bool = False


def file_key(directory: Directory, file: File) -> str:
    """How a card file names an EF: `SSSE EF05`."""
    return f"{directory.name} {file.ef}"


def tables_of(path: Path, image: CardImage) -> CardFiles:
    """The table of what is on this card; `CardFileError` where the image makes no card."""
    try:
        tables = card_files(image.version)
    except KeyError:
        raise CardFileError(path, "has a card version without file table") from None
    try:
        tables = tables.answered(image.choices)
    except KeyError:
        raise CardFileError(path, "has a choice that its version does not leave open") from None
    known = {file_key(directory, file): file for directory, file in tables.all_files()}
    if not image.files.keys() <= known.keys() or not image.files.keys() >= set(IN_USE):
        raise CardFileError(path, "has other files than its version")
    for key, records in image.files.items():
        _check_file(path, known[key], records)
    _check_keys(path, tables, image)
    if image.pin is not None and not 0 <= image.pin.tries <= image.pin.limit <= MAX_TRIES:
        raise CardFileError(path, "has a wrong try counter")
    if not {each.name for each in tables.directories}.issuperset(image.blocked):
        raise CardFileError(path, "has another directory blocked than its version has")
    try:
        Atr.from_bytes(bytes.fromhex(image.atr))
        if image.pin is not None:
            pin_block(bytearray(image.pin.digits, "utf-8"))
    except ValueError:
        raise CardFileError(path, "has a malformed ATR or PIN") from None
    return _on_card(tables, image)


def _check_file(path: Path, file: File, records: tuple[str, ...]) -> None:
    try:
        content = [bytes.fromhex(record) for record in records]
    except ValueError:
        raise CardFileError(path, "has a malformed record") from None
    if not all(content):
        raise CardFileError(path, "has an empty record")
    if file.structure == "transparent" and (len(content) > 1 or len(b"".join(content)) > file.size):
        raise CardFileError(path, f"has more than {file.size} bytes in {file.ef}")
    if file.structure == "cyclic" and not {len(record) for record in content} <= {file.record_length, file.short}:
        raise CardFileError(path, f"has a record of another length in {file.ef}")


def _check_keys(path: Path, tables: CardFiles, image: CardImage) -> None:
    for name, key in image.keys.items():
        try:
            length = tables.keys.key(name).length(tables.algorithm)
            wrong = {len(bytes.fromhex(value)) for value in key.values if value} != {length}
        except (KeyError, ValueError):
            wrong = True
        if wrong or len(key.values) > len(tables.keys.versions):
            raise CardFileError(path, "has other keys than its version")
        if not 0 <= key.tries <= key.limit <= MAX_TRIES:
            raise CardFileError(path, "has a wrong try counter")


def _on_card(tables: CardFiles, image: CardImage) -> CardFiles:
    """The table without what the card lacks: files, and directories that have none left."""
    directories = []
    for directory in tables.directories:
        files = tuple(file for file in directory.files if file_key(directory, file) in image.files)
        if files:
            directories.append(msgspec.structs.replace(directory, files=files))
    return msgspec.structs.replace(tables, directories=tuple(directories))
