"""What was read of one file of the card: values by tag, decoded as its table says."""

from datetime import date

from host_bridge.card.errors import MalformedFile, NotSupported
from protocols.sscard.files import File
from protocols.sscard.items import ItemError, decode_text


class Values:
    """What was read of one file: values by tag, without the records the card does not have."""

    def __init__(self, path: str, file: File, values: dict[int, bytes]) -> None:
        self._path, self._file, self._values = path, file, values

    def raw(self, tag: int) -> bytes:
        """The padded value; `MalformedFile` where the record is missing."""
        if tag not in self._values:
            raise MalformedFile(self._path, tag)
        return self._values[tag]

    def text(self, tag: int) -> str:
        """The value without padding; `MalformedFile` where it is missing, blank or does not fit the table."""
        try:
            text = self._file.item(tag).decode(self.raw(tag))
        except ItemError:
            raise MalformedFile(self._path, tag) from None
        if not text:
            raise MalformedFile(self._path, tag)
        return text

    def digits(self, tag: int) -> str:
        """The value where it is decimal digits."""
        text = self.text(tag)
        if not text.isdecimal():
            raise MalformedFile(self._path, tag)
        return text

    def date(self, tag: int) -> date:
        """The date of a YYYYMMDD item."""
        text = self.text(tag)
        try:
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            raise MalformedFile(self._path, tag) from None

    def rewritten(self, later: File) -> "Values":
        """The values with the meaning of a later version; `NotSupported` for the first that has not got it."""
        values: dict[int, bytes] = {}
        for tag, value in self._values.items():
            old, new = self._file.item(tag), later.item(tag)
            lead = value if old.length == new.length else old.rewritten(value, new)
            if lead is None:
                raise NotSupported(tag)
            values[tag] = lead
        return Values(self._path, later, values)

    def blank(self, tag: int) -> bool:
        """Whether the item is missing or holds only padding."""
        return not self._values.get(tag, b"").strip(b"\0\xff")

    def joined(self, tag: int, extension: int) -> str:
        """Text that goes on in another item, which may be missing."""
        value = self.raw(tag).rstrip(b"\0") + self._values.get(extension, b"")
        try:
            text = decode_text(tag, value)
        except ItemError:
            raise MalformedFile(self._path, tag) from None
        if not text:
            raise MalformedFile(self._path, tag)
        return text
