"""What every command of a simulated card works on: its lasting content, what is selected, and who is present."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from hardware.virtual.card_file import CardFileError, CardImage, file_key, tables_of
from hardware.virtual.card_store import CardStore, Torn
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard.files import Directory, File, granted
from protocols.sscard.keys import LOCAL, Purpose

Random = Callable[[int], bytes]
"""That many random bytes."""
SUCCESS = ResponseApdu(b"", status.SW_SUCCESS)


class Refused(Exception):
    """A command ends with this status word and no data."""

    def __init__(self, sw: int) -> None:
        self.sw = sw
        super().__init__(f"{sw:04X}")


def p3(command: CommandApdu) -> int:
    """The fifth byte of the T=0 header."""
    return command.to_tpdu()[4]


class CardState:
    """One powered card. Its content changes by `change` only, which is on disk when that returns.

    `rights` are names of keys that EXTERNAL AUTHENTICATION was done with; `challenge` is the live one, or empty;
    `record` the index by which the current file was last searched; `torn`: the power went in the middle of a write.
    """

    def __init__(self, store: CardStore, image: CardImage, random: Random) -> None:
        """`CardFileError` where the image makes no card."""
        self.store, self.image, self.random = store, image, random
        self.tables = tables_of(store.path, image)
        self.atr = Atr.from_bytes(bytes.fromhex(image.atr))
        self.power_on()

    def power_on(self) -> None:
        """Forget everything but the content."""
        self.torn = False
        self.waiting = b""
        self.pin_verified = False
        self.rights: frozenset[str] = frozenset()
        self.challenge = b""
        self.directory = self.tables.directories[0]
        self.open(None)

    def change(self, **fields: Any) -> None:
        """Other content in these fields of the image; `CardFileError` where it cannot be kept, then nothing changed."""
        if not self.store.path.exists():
            raise CardFileError(self.store.path, "is gone")
        image = msgspec.structs.replace(self.image, **fields)
        try:
            self.store.write(image)
        except Torn:
            self.torn = True
            raise
        self.image = image

    def enter(self, directory: Directory) -> None:
        """Make a directory the current one; leaving another ends the rights and the challenge got there.

        Rights from keys of the SSSE stay (ssc-card.md 11).
        """
        if directory is not self.directory:
            key = self.tables.keys.key
            self.rights = frozenset(name for name in self.rights if not (key(name).id or 0) & LOCAL)
            self.challenge = b""
        self.directory = directory
        self.open(None)

    def open(self, file: File | None) -> None:
        """Make a file of the current directory the current one."""
        self.file = file
        self.record: int | None = None

    def addressed(self, sfi: int, *, transparent: bool) -> File:
        """The current file, or that of the SFI, which becomes the current one; `Refused` where it cannot be meant."""
        if sfi:
            file = next((each for each in self.directory.files if each.sfi == sfi), None)
            if file is None:
                raise Refused(status.SW_FILE_NOT_FOUND)
            self.open(file)
        if self.file is None:
            raise Refused(status.SW_NO_CURRENT_EF)
        if (self.file.structure == "transparent") is not transparent:
            raise Refused(status.SW_FILE_STRUCTURE)
        return self.file

    def change_file(self, directory: Directory, file: File, records: Iterable[bytes]) -> None:
        """Other records in an EF, as `change` does it."""
        kept = tuple(record.hex().upper() for record in records)
        self.change(files={**self.image.files, file_key(directory, file): kept})

    def records(self, directory: Directory, file: File) -> tuple[bytes, ...]:
        """An EF's records, tag and length included; a cyclic file's newest is the first."""
        return tuple(map(bytes.fromhex, self.image.files[file_key(directory, file)]))

    def binary(self, directory: Directory, file: File) -> bytes:
        """A transparent EF's content, as long as its size."""
        return b"".join(self.records(directory, file)).ljust(file.size, b"\0")

    def later(self, data: bytes) -> ResponseApdu:
        """Case 4: the data wait for GET RESPONSE (ssc-card.md 2)."""
        self.waiting = data
        return ResponseApdu(b"", status.SW1_MORE_DATA << 8 | len(data))

    def require(self, rule: str) -> None:
        """`Refused` where an access rule of the table is not satisfied."""
        pin = {"PIN"} if self.pin_verified or self.image.pin is None else set()
        if not granted(rule, self.rights | pin):
            raise Refused(status.SW_SECURITY_STATUS)

    def require_key(self, purpose: Purpose, *directories: str) -> None:
        """`Refused` unless a key for this purpose, of one of these directories, is among the rights."""
        keys = self.tables.keys
        if self.rights.isdisjoint(key.name for each in directories for key in keys.of(each, purpose)):
            raise Refused(status.SW_SECURITY_STATUS)

    def blocked(self, directory: Directory) -> bool:
        """Whether this application is; the SSSE takes those below it along."""
        return not {directory.name, self.tables.directories[0].name}.isdisjoint(self.image.blocked)
