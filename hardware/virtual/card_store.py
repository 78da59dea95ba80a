"""Where a simulated card's content lives: a file that is written whole or not at all, also where the power goes."""

import os
from pathlib import Path

import msgspec

from hardware.virtual.card_file import CardFileError, CardImage


class Torn(CardFileError):
    """The power went in the middle of a write, or has not come back since."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "lost its power in the middle of a write")


class Replaced(CardFileError):
    """Somebody else has written the file or put another in its place: this card is no longer in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "is no longer this card's")


class CardStore:
    """One card file, of one card at a time.

    `tear_after`: how many more bytes are written before the power goes, once; None: it stays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tear_after: int | None = None
        self._known: tuple[int, int, int] | None = None

    def read(self) -> CardImage:
        """What the file holds, unchecked; `CardFileError` where there is none or it is no card file."""
        try:
            self._known = self._found()
            return msgspec.json.decode(self.path.read_bytes(), type=CardImage)
        except OSError as error:
            raise CardFileError(self.path, error.strerror or "cannot be read") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise CardFileError(self.path, "is no card file") from None

    def write(self, image: CardImage) -> None:
        """Write the file, whole and durably; `CardFileError` where that fails, `Torn` where the power goes first.

        `Replaced`, and nothing is written, where the file is not as it was read or written last.
        """
        content = msgspec.json.format(msgspec.json.encode(image), indent=2)
        written = self._powered(content)
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            if self._known is not None and self._found() != self._known:
                raise Replaced(self.path)
            with new.open("wb") as file:
                file.write(written)
                file.flush()
                os.fsync(file.fileno())
            if len(written) < len(content):
                raise Torn(self.path)
            new.replace(self.path)
            self._known = self._found()
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise CardFileError(self.path, error.strerror or "cannot be written") from None

    def _found(self) -> tuple[int, int, int]:
        """What tells this file from another, and from itself after a write."""
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _powered(self, content: bytes) -> bytes:
        """The part that is written before the power goes."""
        if self.tear_after is None:
            return content
        written = content[: self.tear_after]
        self.tear_after = self.tear_after - len(content) if len(written) == len(content) else None
        return written
