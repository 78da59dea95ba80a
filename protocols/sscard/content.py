"""What a file of a card says, by the table of its version: items with names, unknown ones kept as they are."""

import contextlib

import msgspec

from protocols.iso7816.tlv import parse_tlvs
from protocols.sscard.files import CardFiles, Directory, File, card_files
from protocols.sscard.items import PART_SEPARATOR, Item, ItemError, decode_text

UNKNOWN = ("未知", "unknown")
RECORD = ("记录", "Record")


class Content(msgspec.Struct, frozen=True):
    """One item as read: `text` without padding, "" where blank; `parts` of a B-TLV or of a cyclic record.

    What the table does not know, or what does not fit it, is not `known` and its text is the whole record in
    hexadecimal. `tag` is hexadecimal, "" in files without tags; `version` is the one whose meaning the value has.
    """

    tag: str
    zh: str
    en: str
    text: str
    version: str
    known: bool = True
    parts: tuple["Content", ...] = ()


class FileDecoder:
    """Decodes the bytes of one file of the table."""

    def __init__(self, tables: CardFiles, directory: Directory, file: File) -> None:
        self._tables, self._file = tables, file
        self._later: dict[int, Item] = {}
        if tables.rewritten:
            with contextlib.suppress(KeyError):
                later = card_files(tables.rewritten).directory(directory.name).file(file.ef)
                self._later = {item.tag: item for item in later.items}

    def records(self, records: tuple[bytes, ...]) -> tuple[Content, ...]:
        """Records as the card gave them; a cyclic file's newest is the first."""
        if self._file.structure == "cyclic":
            return tuple(map(self._cyclic, records))
        values = {record[0]: record[2:] for record in reversed(records) if len(record) >= 2}
        rewritten = any(self._lead(tag, value) is not None for tag, value in values.items())
        return tuple(self._tagged(record, values, rewritten) for record in records)

    def binary(self, content: bytes) -> tuple[Content, ...]:
        """A transparent file as one item in hexadecimal, "" where there are only 00 or only FF."""
        blank = not content.strip(b"\0") or not content.strip(b"\xff")
        text = "" if blank else content.hex().upper()
        return (Content("", self._file.zh, self._file.en, text, self._tables.version),)

    def _lead(self, tag: int, value: bytes, rewritten: bool = False) -> bytes | None:
        """What of a value has the later meaning; one of unchanged length shows it only by the rest of its file."""
        later = self._later.get(tag)
        if later is None or not any(item.tag == tag for item in self._file.items):
            return None
        item = self._file.item(tag)
        if rewritten and item.length == later.length and item.type != later.type:
            return value
        return item.rewritten(value, later)

    def _tagged(self, record: bytes, values: dict[int, bytes], rewritten: bool) -> Content:
        try:
            (found,) = parse_tlvs(record)
            item, version, value = self._file.item(found.tag), self._tables.version, found.value
            lead = self._lead(found.tag, value, rewritten)
            if lead is not None:
                item, version, value = self._later[found.tag], self._tables.rewritten, lead
            return self._content(item, value, version, values.get(item.extension, b""))
        except (KeyError, ValueError):
            return self._unknown(record)

    def _content(self, item: Item, value: bytes, version: str, extension: bytes = b"") -> Content:
        text = decode_text(item.tag, value.rstrip(b"\0") + extension) if extension else item.decode(value)
        if not text.isprintable():
            raise ItemError(item.tag, "is not text")
        parts: tuple[Content, ...] = ()
        if item.type == "tlv":
            parts = tuple(self._content(part, each, version) for part, each in item.split(value))
        tag = f"{item.tag:02X}" if item.tag else ""
        return Content(tag, item.zh, item.en, text, version, parts=parts)

    def _cyclic(self, record: bytes) -> Content:
        parts, at = [], 0
        for item in self._file.items:
            if at == self._file.short == len(record):
                break
            try:
                parts.append(self._content(item, record[at : at + item.length], self._tables.version))
            except ItemError:
                return self._unknown(record)
            at += item.length
        if at != len(record):
            return self._unknown(record)
        text = PART_SEPARATOR.join(part.text for part in parts)
        return Content("", *RECORD, text, self._tables.version, parts=tuple(parts))

    def _unknown(self, record: bytes) -> Content:
        tag = "" if self._file.structure == "cyclic" else record[:1].hex().upper()
        return Content(tag, *UNKNOWN, record.hex().upper(), self._tables.version, known=False)
