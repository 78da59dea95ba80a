"""Data items: their types, padding and blanks, B-TLV, and text in GBK (ssc-card.md 3.2)."""

from typing import Literal

import msgspec

from protocols.iso7816.tlv import TlvError, parse_tlvs

PART_SEPARATOR = "|"
FILL = b"\xee"
"""What fills a version 1.00 item that was rewritten with a shorter 2.00 value (ssc-card.md 3.9)."""

ItemType = Literal["an", "cn", "b", "tlv"]
"""GBK text, packed digits, binary, B-TLV (ssc-card.md 3.2)."""


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


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One data item, repeated in `count` records; `tag` 0 for a field of a cyclic record, which has none.

    `length` is that of the value, which is always padded to it unless `variable`. Text that is too long goes on in
    the item `extension`. An `absent` item is in the table but not on the card.
    """

    tag: int = 0
    type: ItemType
    length: int
    zh: str
    en: str
    count: int = 1
    extension: int = 0
    variable: bool = False
    absent: bool = False
    parts: tuple["Item", ...] = ()
    source: str = ""
    mark: str = ""
    unverified: str = ""

    @property
    def record_length(self) -> int:
        """Bytes of the whole record: tag, length, value."""
        return 2 + self.length

    def encode(self, text: str) -> bytes:
        """The padded value of `text`; empty text gives a blank item. `ItemError` where it does not fit.

        `an` is text, `cn` digits (card identification codes hold A to E too), `b` hexadecimal of full length, B-TLV
        the texts of its parts with `|` between them.
        """
        if self.type == "tlv":
            return self._fitted(self._encode_parts(text))
        value = _ENCODERS[self.type](self.tag, text)
        if self.type == "b" and text and not self.variable and len(value) != self.length:
            raise ItemError(self.tag, f"is not {self.length} bytes")
        return self._fitted(value)

    def decode(self, value: bytes) -> str:
        """The text of a value without padding, "" where blank; `ItemError` on a wrong length, tag or bad GBK."""
        if len(value) > self.length or (len(value) != self.length and not self.variable):
            raise ItemError(self.tag, f"{len(value)} bytes instead of {self.length}")
        if self.type == "an":
            return decode_text(self.tag, value)
        if self.type == "tlv":
            texts = [part.decode(each) for part, each in self.split(value)]
            return PART_SEPARATOR.join(texts) if any(texts) else ""
        digits = value.hex().upper()
        return digits.rstrip("F") if self.type == "cn" else digits

    def split(self, value: bytes) -> tuple[tuple["Item", bytes], ...]:
        """The parts of a B-TLV value, none where it is blank; `ItemError` where they are not those of the table."""
        if not value.strip(b"\0") or not value.strip(b"\xff"):
            return ()
        try:
            found = parse_tlvs(value)
        except TlvError:
            raise ItemError(self.tag, "not a series of parts") from None
        if [each.tag for each in found] != [part.tag for part in self.parts]:
            raise ItemError(self.tag, "has other parts")
        return tuple((part, each.value) for part, each in zip(self.parts, found, strict=True))

    def record(self, text: str) -> bytes:
        """tag ‖ length ‖ value (ssc-card.md 3.2)."""
        return self._wrapped(self.encode(text))

    def rewrite(self, text: str, meaning: "Item") -> bytes:
        """The record of a text with the `meaning` of a later version, filled up with E nibbles (ssc-card.md 3.9)."""
        value = meaning.encode(text)
        if len(value) > self.length:
            raise ItemError(self.tag, f"does not fit {self.length} bytes")
        return self._wrapped(value.ljust(self.length, FILL))

    def rewritten(self, value: bytes, meaning: "Item") -> bytes | None:
        """The leading part that has the later `meaning`; None where the value has the meaning of this item."""
        lead, fill = value[: meaning.length], value[meaning.length :]
        return lead if fill and not fill.strip(FILL) else None

    def _encode_parts(self, text: str) -> bytes:
        texts = text.split(PART_SEPARATOR) if text else [""] * len(self.parts)
        if len(texts) != len(self.parts):
            raise ItemError(self.tag, f"has not {len(self.parts)} parts")
        return b"".join(part.record(each) for part, each in zip(self.parts, texts, strict=True))

    def _fitted(self, value: bytes) -> bytes:
        if len(value) > self.length:
            raise ItemError(self.tag, f"does not fit {self.length} bytes")
        return value if self.variable else value.ljust(self.length, _PADDING.get(self.type, b"\0"))

    def _wrapped(self, value: bytes) -> bytes:
        return bytes((self.tag, len(value))) + value
