"""A layer around a simulated chip that breaks one rule and leaves everything else as it is."""

from collections.abc import Callable
from typing import NamedTuple

from hardware.virtual.card_side import Chip
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands
from protocols.sscard.files import CardFiles, Directory, File

_ON_RECORDS = (commands.READ_RECORD, commands.UPDATE_RECORD)
_ON_BINARIES = (commands.READ_BINARY, commands.UPDATE_BINARY)

Behaviour = Callable[["FaultyCard", CommandApdu], ResponseApdu]
"""Answers a command, usually by what the chip answers."""


class Fault(NamedTuple):
    """`name` is what users say. A fault of one file has the usual one in `file` and takes any other behind `@`."""

    name: str
    zh: str
    en: str
    behaviour: Behaviour | None = None
    atr: Callable[[bytes], bytes] = bytes
    file: str = ""


class Step(NamedTuple):
    """A command, what was answered, and the directory that was the current one then."""

    command: CommandApdu
    answer: ResponseApdu
    directory: str


class FaultyCard:
    """A `Chip` that is another with a fault. It remembers what happened since it was powered on."""

    def __init__(self, chip: Chip, tables: CardFiles, fault: Fault) -> None:
        self._chip, self.tables, self.fault = chip, tables, fault
        self._steps: list[Step] = []
        self._reset_at = 0
        self._start()

    def _start(self) -> None:
        self.directory: Directory = self.tables.directories[0]
        self._current: File | None = None

    # Chip

    def reset(self) -> bytes:
        self._reset_at = len(self._steps)
        self._start()
        return self.fault.atr(self._chip.reset())

    def takes_data(self, ins: int) -> bool:
        return self._chip.takes_data(ins)

    def command(self, command: CommandApdu) -> ResponseApdu:
        answer = self.perform(command) if self.fault.behaviour is None else self.fault.behaviour(self, command)
        self._steps.append(Step(command, answer, self.directory.name))
        return answer

    # What behaviours ask

    def perform(self, command: CommandApdu) -> ResponseApdu:
        """What the chip does."""
        answer = self._chip.command(command)
        self._follow(command, answer)
        return answer

    @property
    def since_reset(self) -> list[Step]:
        return self._steps[self._reset_at :]

    @property
    def before_reset(self) -> list[Step]:
        return self._steps[: self._reset_at]

    @property
    def since_power_on(self) -> list[Step]:
        return self._steps

    @property
    def previous(self) -> Step | None:
        """The step before, None after a reset."""
        return self._steps[-1] if self.since_reset else None

    def file_of(self, command: CommandApdu) -> str:
        """The file that a command on records or bytes is about, such as `DF04 EF05`; "" for none."""
        sfi = _sfi(command)
        file = self._with_sfi(sfi) if sfi else self._current
        return "" if file is None else f"{self.directory.name} {file.ef}"

    def _with_sfi(self, sfi: int) -> File | None:
        return next((file for file in self.directory.files if file.sfi == sfi), None)

    def _follow(self, command: CommandApdu, answer: ResponseApdu) -> None:
        """What is selected after a command that the chip performed."""
        done = answer.sw == status.SW_SUCCESS or status.more_data(answer.sw) is not None
        if command.ins == commands.SELECT and done:
            found = self._selected(command)
            if isinstance(found, Directory):
                self.directory, self._current = found, None
            else:
                self._current = found
        elif _sfi(command) and (file := self._with_sfi(_sfi(command))) is not None:
            self._current = file

    def _selected(self, command: CommandApdu) -> Directory | File | None:
        data = command.data.hex().upper()
        for directory in self.tables.directories:
            if command.p1 == commands.BY_NAME and directory.df_name == data:
                return directory
            if command.p1 == commands.BY_FID and data in (directory.fid, ""):
                return directory
        return next((file for file in self.directory.files if file.ef == data), None)


def _sfi(command: CommandApdu) -> int:
    """The SFI that a command names, 0 for none."""
    if command.ins in _ON_RECORDS:
        return command.p2 >> 3
    if command.ins in _ON_BINARIES and command.p1 & commands.SFI_IN_P1:
        return command.p1 & 0x1F
    return 0
