"""A card slot made of a folder: the one file in it named as in `SUFFIXES` is the card (`protocols.iso7816.line`)."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self

from hardware.virtual.card import CardFileError, VirtualCard
from hardware.virtual.card_side import CardSide, Chip
from hardware.virtual.line_faults import Fault, Faults, Sent
from hardware.virtual.sam_file import SAM_SUFFIX
from hardware.virtual.served_line import ServedLine
from hardware.virtual.test_card import TEST_SUFFIX, TestCard
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import CLASS_A
from protocols.iso7816.line import (
    CHARACTER,
    CLASS,
    CONTACTS,
    CONTACTS_OFF,
    DAMAGED,
    OVERCURRENT,
    PRESENT,
    RUNNING,
    SPEED,
    VCC,
    LineError,
    LineParser,
    characters,
    message,
)
from protocols.iso7816.pps import DEFAULT_FI_DI
from protocols.texts.catalogue import sentence

logger = logging.getLogger(__name__)

SUFFIXES = (".card", SAM_SUFFIX, TEST_SUFFIX)
LOOK_EVERY_S = 0.025
BURST, BURST_EVERY_S = 16, 0.005


def _unusable(path: Path, error: Exception) -> str:
    """Why a file makes no card; of what its chip did not foresee the type only."""
    reason = str(error) if isinstance(error, CardFileError) else f"{path}: {type(error).__name__}"
    return sentence("slot_card_unusable", reason=reason)


class CardFile(NamedTuple):
    """A card file as it lies in the folder; a file put in its place is another one."""

    path: Path
    inode: int
    changed_ns: int
    size: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """`OSError` where there is none."""
        found = path.stat()
        return cls(path, found.st_ino, found.st_mtime_ns, found.st_size)


class VirtualSlot(ServedLine):
    """Serves the contact line.

    Two card files are no card; a file that makes no card neither. `say` hears the reason in a sentence.
    `faults` are how its cards misbehave, from the moment each is put in.
    """

    def __init__(
        self,
        folder: Path,
        open_card: Callable[[Path], Chip] = VirtualCard.open,
        say: Callable[[str], None] = logger.warning,
        faults: Iterable[Fault] = (),
    ) -> None:
        super().__init__("virtual slot")
        self._folder, self._open_card, self._say = folder, open_card, say
        self._faults = tuple(faults)
        self._parser = LineParser()
        self._said = ""
        self._looked = 0.0
        self._file: CardFile | None = None
        self._refused: CardFile | None = None
        self._chip: Chip | None = None
        self._card: CardSide | None = None
        self._contacts = CONTACTS_OFF
        self._speed = DEFAULT_FI_DI
        self._icc_class = CLASS_A
        self._waiting: deque[tuple[float, Sent]] = deque()

    # The thread

    def _go_on(self) -> float:
        self._look()
        self._deliver()
        if not self._waiting:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(self._waiting[0][0] - time.monotonic(), BURST_EVERY_S))

    def _begin(self) -> None:
        self._parser = LineParser()
        self._send(message(PRESENT, self._chip is not None))

    def _take(self, data: bytes) -> None:
        try:
            found = self._parser.feed(data)
        except LineError:
            self._hang_up()
            return
        for kind, value in found:
            if kind == CONTACTS:
                self._set_contacts(value)
            elif kind == SPEED:
                self._speed = value
            elif kind == CLASS:
                self._icc_class = value
            elif kind == CHARACTER:
                self._take_character(value)

    def _end(self) -> None:
        self._contacts = CONTACTS_OFF
        self._speed = DEFAULT_FI_DI
        self._icc_class = CLASS_A
        self._waiting.clear()

    # The folder

    def _look(self) -> None:
        """Take the card in or out as the folder says, at most every 25 ms."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        found = self._find()
        if self._chip is not None and found != self._file:
            self._remove()
        if found is None:
            self._refused = None
        elif self._chip is None and found != self._refused:
            self._insert(found)

    def _find(self) -> CardFile | None:
        try:
            found = [path for path in self._folder.iterdir() if path.suffix in SUFFIXES]
            paths = [path for path in found if not path.name.startswith(".")]
            if len(paths) == 1:
                return CardFile.at(paths[0])
        except OSError:
            return None  # moved out just now
        if paths:
            self._tell(sentence("slot_two_cards", folder=str(self._folder), count=str(len(paths))))
        else:
            self._said = ""
        return None

    def _insert(self, file: CardFile) -> None:
        try:
            self._chip = self._open_card(file.path)
        except Exception as error:
            self._refused = file
            self._tell(_unusable(file.path, error))
            return
        faults = Faults(self._faults)
        if isinstance(self._chip, TestCard):
            self._chip.take_line(faults)
        self._card = CardSide(self._chip, faults, self._perform)
        self._file, self._refused, self._said = file, None, ""
        self._send(message(PRESENT, 1))

    def _remove(self) -> None:
        self._chip = self._card = self._file = None
        self._waiting.clear()
        self._send(message(PRESENT, 0))

    def _tell(self, what: str) -> None:
        if what != self._said:
            self._said = what
            self._say(what)

    # The contacts

    def _set_contacts(self, contacts: int) -> None:
        rises = contacts == RUNNING and self._contacts != RUNNING
        if contacts & VCC and not self._contacts & VCC and self._card is not None:
            self._card.power_on()
        self._contacts = contacts
        self._waiting.clear()
        self._send(message(CONTACTS, contacts))
        if rises and self._card is not None:
            self._say_for_card(self._card.reset(self._icc_class))

    def _take_character(self, value: int) -> None:
        if self._card is not None and self._contacts == RUNNING:
            self._say_for_card(self._card.take(value, self._speed))

    def _say_for_card(self, sent: list[Sent]) -> None:
        for each in sent:
            due = max(time.monotonic(), self._waiting[-1][0] if self._waiting else 0.0)
            self._waiting.append((due + each.pause_ms / 1000, each))
        self._deliver()

    def _deliver(self) -> None:
        """Send what is due; what has no end a burst at a time."""
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, sent = self._waiting[0]
            if sent.endless:
                self._send(characters(sent.characters * BURST))
                return
            self._waiting.popleft()
            if sent.pulled:
                self._refused = self._file
                self._remove()
            elif sent.overcurrent:
                self._contacts = CONTACTS_OFF
                self._waiting.clear()
                self._send(message(OVERCURRENT, 0))
            elif sent.damaged or sent.speed != self._speed:
                self._send(message(DAMAGED, 0) * len(sent.characters))
            else:
                self._send(characters(sent.characters))

    def _perform(self, command: CommandApdu) -> ResponseApdu | None:
        """None for a card that was pulled before or while it worked."""
        if self._chip is None or self._file is None:
            return None
        try:
            if not self._file.path.exists():
                return None
            response = self._chip.command(command)
            self._file = CardFile.at(self._file.path)
        except OSError:
            return None
        except Exception as error:
            self._tell(_unusable(self._file.path, error))
            return None
        return response
