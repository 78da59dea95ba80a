"""The card's data dictionary: directories, files, items, access rules; a table per version (`tables/*.toml`).

Whoever reads a card and whoever imitates one take them from here; a new version is a new table.
"""

import re
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

TABLES = Path(__file__).parent / "tables"
_VERSION = re.compile(r"[0-9]\.[0-9]{1,2}")

ItemType = Literal["an", "cn", "b"]
"""GBK text, packed digits, binary (ssc-card.md 3.2)."""
Structure = Literal["linear", "cyclic", "transparent"]


class ItemError(ValueError):
    """A value that does not fit its item; names the tag, never the value."""

    def __init__(self, tag: int, reason: str) -> None:
        self.tag, self.reason = tag, reason
        super().__init__(f"item {tag:02X}: {reason}")


def decode_text(tag: int, value: bytes) -> str:
    """Text of an `an` value without padding; `ItemError` where it is not GBK."""
    try:
        return value.rstrip(b"\0").decode("gb18030").strip()
    except UnicodeDecodeError:
        raise ItemError(tag, "not GBK") from None


def _encode_an(tag: int, text: str) -> bytes:
    # Codec gb18030 has two-byte codes that codec gbk lacks, such as 䶮 (FE9F); four-byte codes are not GBK.
    for character in text:
        if character == "\0" or not _fits_gbk(character):
            raise ItemError(tag, "has a character that GBK lacks")
    return text.encode("gb18030")


def _fits_gbk(character: str) -> bool:
    try:
        return len(character.encode("gb18030")) <= 2
    except UnicodeEncodeError:
        return False


def _encode_cn(tag: int, text: str) -> bytes:
    if not set(text) <= set("0123456789ABCDE"):
        raise ItemError(tag, "has a character that is no digit")
    return bytes.fromhex(text + "F" * (len(text) % 2))


def _encode_b(tag: int, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ItemError(tag, "is not hexadecimal") from None


_ENCODERS = {"an": _encode_an, "cn": _encode_cn, "b": _encode_b}
_PADDING: dict[str, bytes] = {"an": b"\0", "cn": b"\xff", "b": b"\0"}


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One data item; `length` is that of the value, which is always padded to it."""

    tag: int
    type: ItemType
    length: int
    zh: str
    en: str

    @property
    def record_length(self) -> int:
        """Bytes of the whole record: tag, length, value."""
        return 2 + self.length

    def encode(self, text: str) -> bytes:
        """The padded value of `text`; empty text gives a blank item. `ItemError` where it does not fit.

        `an` is text, `cn` digits (card identification codes hold A to E too), `b` hexadecimal of full length.
        """
        value = _ENCODERS[self.type](self.tag, text)
        if len(value) > self.length or (self.type == "b" and len(value) != self.length):
            raise ItemError(self.tag, f"does not fit {self.length} bytes")
        return value.ljust(self.length, _PADDING[self.type])

    def decode(self, value: bytes) -> str:
        """The text of a value without padding, "" where blank; `ItemError` on a wrong length or bad GBK."""
        if len(value) != self.length:
            raise ItemError(self.tag, f"{len(value)} bytes instead of {self.length}")
        if self.type == "an":
            return decode_text(self.tag, value)
        digits = value.hex().upper()
        return digits.rstrip("F") if self.type == "cn" else digits

    def record(self, text: str) -> bytes:
        """tag ‖ length ‖ value (ssc-card.md 3.2)."""
        return bytes((self.tag, self.length)) + self.encode(text)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One elementary file; the record number of an item is its place in `items`, from 1."""

    ef: str
    sfi: int
    zh: str
    en: str
    structure: Structure
    read: str
    update: str
    source: str
    items: tuple[Item, ...] = ()

    @property
    def fid(self) -> bytes:
        """The two-byte file identifier."""
        return bytes.fromhex(self.ef)

    def item(self, tag: int) -> Item:
        """The item with this tag; `KeyError` where the table has none."""
        for item in self.items:
            if item.tag == tag:
                return item
        raise KeyError(tag)


class Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The SSSE or a DF below it; `fid` and `df_name` are hexadecimal."""

    name: str
    fid: str
    df_name: str
    zh: str
    en: str
    source: str
    files: tuple[File, ...] = msgspec.field(name="file", default=())

    def file(self, ef: str) -> File:
        """The file, such as `EF05`; `KeyError` where the table has none."""
        for file in self.files:
            if file.ef == ef:
                return file
        raise KeyError(f"{self.name} {ef}")


class CardFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything on a card of one version; `algorithm` is its cipher's number (ssc-card.md 1)."""

    version: str
    algorithm: int
    source: str
    directories: tuple[Directory, ...] = msgspec.field(name="directory")

    def directory(self, name: str) -> Directory:
        """`SSSE`, `DF04` …; `KeyError` where the table has none."""
        for directory in self.directories:
            if directory.name == name:
                return directory
        raise KeyError(name)


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
    return msgspec.toml.decode((TABLES / f"{table}.toml").read_bytes(), type=CardFiles)


def granted(rule: str, rights: frozenset[str]) -> bool:
    """Whether `rights` (such as PIN, RK1DF04) satisfy an access rule of a table."""
    if rule in ("free", "never"):
        return rule == "free"
    return any(rights.issuperset(alternative.split(" and ")) for alternative in rule.split(" or "))
