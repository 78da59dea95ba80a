"""The Pico board's own files in the simulated chip, with a pin-level card in each slot."""

import sys
from typing import Any
from unittest.mock import patch

import pytest

from hardware.virtual.card_side import CardSide, Chip
from hardware.virtual.contact_card import ContactCard
from hardware.virtual.line_faults import Fault, Faults
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.firmware.pio.board_files import BOARD, load, micropython
from tests.firmware.pio.card_socket import Socket
from tests.firmware.pio.chip import Edge
from tests.firmware.pio.micropython import Simulation

ATR = bytes.fromhex("3B12964253")  # TA1 96, T=0, two historical bytes
ATR_T1 = bytes.fromhex("3BC0FF013E")  # T=1, N = 255
ATR_WITH_WI_1 = bytes.fromhex("3B804001")
ATR_WITH_LONG_GUARD = bytes.fromhex("3BC0FE4001")  # N = 254, WI = 1
ATR_WITH_GUARD = bytes.fromhex("3B52960A4253")  # and TC1: N = 10
READ_32, RECORD = "00B2010420", bytes(range(32)).hex().upper() + "9000"
VERIFY = "0020000003135790"


class ScriptedChip:
    """Answers as the table says; `commands` is what came."""

    def __init__(self, atr: bytes = ATR, answers: dict[str, str] | None = None) -> None:
        self._atr, self._answers = atr, answers or {}
        self.commands: list[str] = []

    def reset(self) -> bytes:
        return self._atr

    def takes_data(self, ins: int) -> bool:
        return ins in (0xA4, 0x20)

    def command(self, command: CommandApdu) -> ResponseApdu:
        self.commands.append(command.to_bytes().hex().upper())
        return ResponseApdu.from_bytes(bytes.fromhex(self._answers[self.commands[-1]]))


class Bench:
    """A board, and slots on its contact lines."""

    def __init__(self, name: str = "pico", *, second_port: bool = True) -> None:
        self.simulation = Simulation()
        if not second_port:
            for missing in ("usb", "usb.device", "usb.device.cdc"):
                self.simulation.modules[missing] = None  # type: ignore[assignment]
        with micropython(**self.simulation.modules), patch.object(sys, "platform", "rp2"):
            door, self.programs = load("firmware.board", BOARD + "programs")
            self._slot, self._device, self._service, self._files, self.keypad = load(
                *("firmware." + file for file in ("slot", "ccid_device", "service", "files", "keypad"))
            )
            self.board: Any = door.open_board([] if name == "pico" else [name])
            [self.pins] = load(f"firmware.boards.{self.board.name}.pins")
        self.sockets = [
            Socket(self.simulation.chip, self.simulation.changed, self.pins, number)
            for number in range(len(self.pins.SLOTS))
        ]
        self.lines = self.board.contact_lines
        self.slots = [self._slot.Slot(line, self.board.limits, lambda: True) for line in self.lines]

    def put(self, chip: Chip, *faults: Fault, number: int = 0) -> ContactCard:
        """Returns when the slot has seen it."""
        card = self.sockets[number].put(CardSide(chip, Faults(faults), chip.command))
        while not self.lines[number].present:
            self.simulation.spend(1000)
            self.lines[number].poll()
        return card

    @property
    def edges(self) -> list[Edge]:
        return self.sockets[0].line.edges

    def ccid_device(self) -> Any:
        """The whole reader on the board's lines."""
        service = self._service.Service(self.board, self._files.FileSystem(), "")
        return self._device.CcidDevice(self.board.host_line, self.lines, self.board.limits, service)


def chip() -> ScriptedChip:
    return ScriptedChip(answers={READ_32: RECORD, VERIFY: "9000"})


def exchange(bench: Bench, command: str) -> str:
    answer: bytes = bench.slots[0].exchange(bytes.fromhex(command))
    return answer.hex().upper()


def error_of(bench: Bench, command: str | None = None) -> int:
    """The bError of a command that fails; None is power-on."""
    with pytest.raises(Exception, match="slot error") as caught:
        bench.slots[0].power_on() if command is None else exchange(bench, command)
    error: int = caught.value.error  # type: ignore[attr-defined]
    return error
