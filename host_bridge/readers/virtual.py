"""A simulated card in this process, behind the door of a real reader: `virtual:FILE[#pad]` or `virtual:2.00`."""

import re
import tempfile
from pathlib import Path

import msgspec

from hardware.virtual.card import CardFileError
from hardware.virtual.card_side import Chip
from hardware.virtual.card_store import Replaced
from hardware.virtual.chips import chip_at
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.pin_pad import VirtualPinPad
from hardware.virtual.pressed_keys import FileKeys, Keys
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderError, ReaderUnavailable
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard.files import versions

PAD = "#pad"
"""At the end of an address: the reader has a PIN pad, whose keys come from the file `FILE.keys`."""
_VERSION = re.compile(r"\d\.\d\d")


class VirtualConnection:
    """A `CardConnection` to a card's or security module's file. Taking the file away or writing it pulls the card."""

    def __init__(self, card: Chip, path: Path) -> None:
        self._card, self._path = card, path
        self._atr = Atr.from_bytes(card.reset())
        self._ended: ReaderError | None = None

    @property
    def atr(self) -> Atr:
        return self._atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        self._check()
        try:
            return self._card.command(command)
        except Replaced:
            self.end(CardRemoved(str(self._path)))
            raise CardRemoved(str(self._path)) from None
        except CardFileError as error:
            self._check()
            raise CardMute(str(error)) from error

    def reset(self) -> Atr:
        self._check()
        self._atr = Atr.from_bytes(self._card.reset())
        return self._atr

    def disconnect(self) -> None:
        self.end(CardMute("powered off"))

    def end(self, error: ReaderError) -> None:
        """Every later call raises this, unless an earlier one holds."""
        self._ended = self._ended or error

    def _check(self) -> None:
        if not self._path.exists():
            self.end(CardRemoved(str(self._path)))
        if self._ended is not None:
            raise self._ended.with_traceback(None)


class VirtualReader:
    """A slot that holds the card of one file, or the security module of a `.sam` file, as long as the file is there.

    A version such as `2.00` instead of a file: a new card of the gallery's default person, gone at `close`;
    `ReaderUnavailable` for a version without file table.
    """

    def __init__(self, path_or_version: str, keys: Keys | None = None, *, compares: bool = True) -> None:
        """`keys` are those of a PIN pad; without them a reader whose address ends in `#pad` has one."""
        self.address = f"virtual:{path_or_version}"
        path_or_version, has_pad, _ = path_or_version.partition(PAD)
        if has_pad and keys is None:
            keys = FileKeys(Path(f"{path_or_version}.keys"))
        self.pin_pad = None if keys is None else VirtualPinPad(self._transmit, keys, compares=compares)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._connection: VirtualConnection | None = None
        self._path = Path(path_or_version)
        if _VERSION.fullmatch(path_or_version):
            if path_or_version not in versions():
                raise ReaderUnavailable(f"no simulated card of version {path_or_version}, only {versions()}")
            self._folder = tempfile.TemporaryDirectory(prefix="ssc-virtual-")
            self._path = Path(self._folder.name, f"{path_or_version}.card")
            person = load_person(DEFAULT_PERSON)
            card = msgspec.structs.replace(person.card, version=path_or_version)
            make_card(msgspec.structs.replace(person, card=card), self._path)

    def card_present(self) -> bool:
        return self._path.exists()

    def connect(self) -> VirtualConnection:
        """Power the card on; `CardMute` where the file makes no card."""
        if not self.card_present():
            raise NoCard(str(self._path))
        if self._connection is not None:
            self._connection.end(CardRemoved("connected anew"))
        try:
            self._connection = VirtualConnection(chip_at(self._path), self._path)
        except CardFileError as error:
            raise CardMute(str(error)) from error
        return self._connection

    def _transmit(self, command: CommandApdu) -> ResponseApdu:
        """The pad's way to the card that is connected."""
        if self._connection is None:
            raise CardMute("no card is connected")
        return self._connection.transmit(command)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
        if self._folder is not None:
            self._folder.cleanup()
