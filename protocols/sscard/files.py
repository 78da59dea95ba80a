"""The card's data dictionary: directories, files, items, access rules, keys; a table per version (`tables/*.toml`).

Whoever reads a card and whoever imitates one take them from here; a new version is a new table.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from protocols.sscard.items import Item
from protocols.sscard.keys import CardKeys

TABLES = Path(__file__).parent / "tables"
_VERSION = re.compile(r"[0-9]\.[0-9]{1,2}")

Structure = Literal["linear", "fixed", "cyclic", "transparent"]
Changes = dict[str, dict[str, bool | int | str]]
"""Fields of rows that differ: by `SSSE EF06` for a file, `DF02 EF06 60` for an item, `RKSSSE` for a key."""
_Row = TypeVar("_Row", bound=msgspec.Struct)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One elementary file. `read` and `update` are access rules for `granted`.

    Linear files hold a record per item, fixed ones of one length; the record number is the place in `records`. Cyclic
    files keep at least `capacity` records without tags, which end after `short` bytes where a card leaves out the last
    fields. Transparent files have `size` bytes. `preset`: foreseen, not in use. `unverified` tells what is inferred.
    """

    ef: str
    sfi: int
    zh: str
    en: str
    structure: Structure
    read: str
    update: str
    source: str
    mark: str
    unverified: str = ""
    preset: bool = False
    absent: bool = False
    size: int = 0
    capacity: int = 0
    short: int = 0
    items: tuple[Item, ...] = ()

    @property
    def fid(self) -> bytes:
        """The two-byte file identifier."""
        return bytes.fromhex(self.ef)

    @property
    def records(self) -> tuple[Item, ...]:
        """The item of each record on a linear file's card, from record 1."""
        return tuple(item for item in self.items if not item.absent for _ in range(item.count))

    @property
    def record_length(self) -> int:
        """Bytes of a cyclic record."""
        return sum(item.length for item in self.items)

    def item(self, tag: int) -> Item:
        """The item with this tag; `KeyError` where the table has none."""
        for item in self.items:
            if item.tag == tag:
                return item
        raise KeyError(tag)


class Internal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a directory keeps without a file: only commands of their own reach it."""

    zh: str
    en: str
    source: str
    mark: str
    items: tuple[Item, ...]


class Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The SSSE or a DF below it; `fid` and `df_name` are hexadecimal, "" where it has none."""

    name: str
    fid: str
    df_name: str
    zh: str
    en: str
    source: str
    mark: str
    unverified: str = ""
    files: tuple[File, ...] = msgspec.field(name="file", default=())
    internals: tuple[Internal, ...] = msgspec.field(name="internal", default=())

    def file(self, ef: str) -> File:
        """The file, such as `EF05`; `KeyError` where the table has none."""
        for file in self.files:
            if file.ef == ef:
                return file
        raise KeyError(f"{self.name} {ef}")


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What sources disagree about: question `number` of ssc-card.md 10; the first answer is what the rows say."""

    number: int
    name: str
    question: str
    answers: dict[str, Changes]


NO_KEYS = CardKeys(source="", versions=(), unverified="", rows=())


class CardFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything on a card of one version; `algorithm` is its cipher's number (ssc-card.md 1).

    Items may hold values with the meaning of version `rewritten`. A table with a `base` is that of another version
    with `changes`, and its own directories and questions besides; its keys are those of the other.
    """

    version: str
    algorithm: int
    source: str
    mark: str
    unverified: str = ""
    base: str = ""
    rewritten: str = ""
    changes: Changes = {}
    directories: tuple[Directory, ...] = msgspec.field(name="directory")
    keys: CardKeys = NO_KEYS
    questions: tuple[Question, ...] = msgspec.field(name="open", default=())

    def directory(self, name: str) -> Directory:
        """`SSSE`, `DF04` …; `KeyError` where the table has none."""
        for directory in self.directories:
            if directory.name == name:
                return directory
        raise KeyError(name)

    def all_files(self) -> Iterator[tuple[Directory, File]]:
        """Every file with its directory."""
        return ((directory, file) for directory in self.directories for file in directory.files)

    def answered(self, answers: Mapping[str, str]) -> "CardFiles":
        """The table where open questions have these answers; `KeyError` for an unknown question or answer."""
        table = self
        for name, answer in answers.items():
            known = {question.name: question.answers for question in self.questions}
            table = table.changed(known[name][answer])
        return table

    def changed(self, changes: Changes) -> "CardFiles":
        """The table with other fields in some rows; `KeyError` for a row it lacks."""
        table = self
        for where, fields in changes.items():
            if " " not in where:
                table = msgspec.structs.replace(table, keys=table.keys.changed(where, fields))
                continue
            name, ef, *tags = where.split()
            directory = table.directory(name)
            file = directory.file(ef)
            if tags:
                item = file.item(int(tags[0], 16))
                changed = msgspec.structs.replace(file, items=_exchange(file.items, item, _with(item, fields)))
            else:
                changed = _with(file, fields)
            new = msgspec.structs.replace(directory, files=_exchange(directory.files, file, changed))
            table = msgspec.structs.replace(table, directories=_exchange(table.directories, directory, new))
        return table


def _with(row: _Row, fields: dict[str, bool | int | str]) -> _Row:
    """The row with other values in some fields, checked."""
    return msgspec.convert({**msgspec.to_builtins(row), **fields}, type(row))


def _exchange(rows: tuple[_Row, ...], old: _Row, new: _Row) -> tuple[_Row, ...]:
    return tuple(new if row is old else row for row in rows)


def versions() -> tuple[str, ...]:
    """The card versions there is a table for, oldest first."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.toml")))


@cache
def card_files(version: str) -> CardFiles:
    """The table that reads a card of this version; `KeyError` where there is none.

    An amendment reads by the table it amends, `2.01` by `2.00`; some 2.00 cards say `2.0` (ssc-card.md 1).
    """
    table = {name[:2]: name for name in versions()}.get(version[:2])
    if table is None or not _VERSION.fullmatch(version):
        raise KeyError(f"no file table for card version {version!r}")
    files = msgspec.toml.decode((TABLES / f"{table}.toml").read_bytes(), type=CardFiles)
    if not files.base:
        return files
    base = card_files(files.base)
    return msgspec.structs.replace(
        files,
        directories=base.directories + files.directories,
        keys=base.keys,
        questions=base.questions + files.questions,
    ).changed(files.changes)


def card_keys(version: str) -> CardKeys:
    """The keys of a card of this version; `KeyError` where there is no table."""
    return card_files(version).keys


def granted(rule: str, rights: frozenset[str]) -> bool:
    """Whether `rights` (such as PIN, RK1DF04) satisfy an access rule of a table."""
    if rule in ("free", "never"):
        return rule == "free"
    return any(rights.issuperset(alternative.split(" and ")) for alternative in rule.split(" or "))
