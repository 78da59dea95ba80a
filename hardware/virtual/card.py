"""A simulated social security card with T=0 semantics: the file table brought to life, kept in a JSON file.

Commands and status words: ssc-card.md 4. Every change is on disk before its answer leaves.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hardware.virtual import card_data, card_keys, card_pin, card_update
from hardware.virtual.card_file import CardFileError, CardImage, CardKey, Pin, file_key
from hardware.virtual.card_state import CardState, Random, Refused, p3
from hardware.virtual.card_store import CardStore, Torn
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands
from protocols.sscard.files import CardFiles, Directory, File

__all__ = ["CardFileError", "CardImage", "CardKey", "Pin", "Torn", "VirtualCard", "file_key"]

CLASSES = (commands.PLAIN, commands.WITH_MAC, commands.PROPRIETARY, commands.PROPRIETARY_WITH_MAC)


class Instruction(NamedTuple):
    """What performs an instruction, the CLA bytes it comes with, and whether its P3 is Lc."""

    perform: Callable[[CardState, CommandApdu], ResponseApdu]
    classes: tuple[int, ...] = (commands.PLAIN,)
    takes_data: bool = True


INSTRUCTIONS = {
    commands.SELECT: Instruction(card_data.select),
    commands.READ_RECORD: Instruction(card_data.read_record, takes_data=False),
    commands.READ_BINARY: Instruction(card_data.read_binary, takes_data=False),
    commands.GET_RESPONSE: Instruction(card_data.get_response, takes_data=False),
    commands.VERIFY: Instruction(card_pin.verify),
    commands.CHANGE_PIN: Instruction(card_pin.change_pin, (commands.PROPRIETARY,)),
    commands.PIN_UNBLOCK: Instruction(card_pin.pin_unblock, (commands.PROPRIETARY_WITH_MAC,)),
    commands.UPDATE_RECORD: Instruction(card_update.update_record, (commands.PLAIN, commands.WITH_MAC)),
    commands.UPDATE_BINARY: Instruction(card_update.update_binary, (commands.PLAIN, commands.WITH_MAC)),
    commands.GET_CHALLENGE: Instruction(card_keys.get_challenge, takes_data=False),
    commands.INTERNAL_AUTHENTICATION: Instruction(card_keys.internal_authentication),
    commands.EXTERNAL_AUTHENTICATION: Instruction(card_keys.external_authentication),
    commands.APPLICATION_BLOCK: Instruction(card_keys.application_block, (commands.PROPRIETARY_WITH_MAC,)),
    commands.CARD_BLOCK: Instruction(card_keys.card_block, (commands.PROPRIETARY_WITH_MAC,)),
}
WHEN_BLOCKED = (commands.SELECT, commands.APPLICATION_BLOCK, commands.CARD_BLOCK)
"""What is not refused as such in a blocked application (ssc-card.md 4.1, 4.4)."""


class VirtualCard:
    """One card, behaving as the chip behind a T=0 contact line.

    `command` raises `CardFileError` where the card file cannot be written, `Torn` where the power goes meanwhile; then
    nothing was answered. Challenges come from `random`.
    """

    def __init__(self, store: CardStore, image: CardImage, random: Random) -> None:
        self._state = CardState(store, image, random)

    @classmethod
    def open(cls, path: Path | str, random: Random = secrets.token_bytes) -> "VirtualCard":
        """The card kept in a file; `CardFileError` where there is none or its content makes no card."""
        store = CardStore(Path(path))
        return cls(store, store.read(), random)

    @classmethod
    def create(cls, path: Path | str, image: CardImage, random: Random = secrets.token_bytes) -> "VirtualCard":
        """A card in a new file, or in place of the one that was there."""
        card = cls(CardStore(Path(path)), image, random)
        card.save()
        return card

    @property
    def path(self) -> Path:
        return self._state.store.path

    @property
    def image(self) -> CardImage:
        """The card's content as it is on disk."""
        return self._state.image

    @property
    def tables(self) -> CardFiles:
        """The table of what is on this card."""
        return self._state.tables

    def records(self, directory: Directory, file: File) -> tuple[bytes, ...]:
        """An EF's records, tag and length included; a cyclic file's newest is the first."""
        return self._state.records(directory, file)

    def binary(self, directory: Directory, file: File) -> bytes:
        """A transparent EF's content, as long as its size."""
        return self._state.binary(directory, file)

    def save(self) -> None:
        """Write the card file, whole and durably; `CardFileError` where that fails."""
        self._state.store.write(self.image)

    def tear_after(self, count: int) -> None:
        """Let the power go when `count` more bytes of content were written: at that byte the command ends in `Torn`.

        So does every other until `reset`; then the content is whole, as before that write. Once.
        """
        self._state.store.tear_after = count

    def reset(self) -> bytes:
        """Cold or warm reset: the ATR; what was selected, verified and granted is forgotten."""
        self._state.power_on()
        return self._state.atr.to_bytes()

    def takes_data(self, ins: int) -> bool:
        """T=0 direction: whether this instruction's P3 is Lc and data follow the header."""
        return ins in INSTRUCTIONS and INSTRUCTIONS[ins].takes_data

    def command(self, command: CommandApdu) -> ResponseApdu:
        """One T=0 command: case 4 answers `61xx`, a wrong Le `6Cxx`; there is no Le beside data."""
        if self._state.torn:
            raise Torn(self.path)
        if command.ins != commands.GET_RESPONSE:
            self._state.waiting = b""
        try:
            return self._instruction(command).perform(self._state, command)
        except Refused as refused:
            return ResponseApdu(b"", refused.sw)

    def _instruction(self, command: CommandApdu) -> Instruction:
        """What performs a command; `Refused` where the card's life, class, instruction or length allow none."""
        state = self._state
        if state.image.card_blocked:
            raise Refused(status.SW_FUNCTION_NOT_SUPPORTED)
        instruction = INSTRUCTIONS.get(command.ins)
        if command.cla not in (CLASSES if instruction is None else instruction.classes):
            raise Refused(status.SW_CLA_UNKNOWN)
        if instruction is None:
            raise Refused(status.SW_INS_UNKNOWN)
        if state.blocked(state.directory) and command.ins not in WHEN_BLOCKED:
            raise Refused(status.SW_APPLICATION_BLOCKED)
        if instruction.takes_data and not command.data and p3(command):
            raise Refused(status.SW_WRONG_LENGTH)
        return instruction
