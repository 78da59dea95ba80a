"""The test card: a chip that answers, counts and misbehaves as it is told (`protocols.iso7816.test_card`).

Its file holds its ATR. Behind a contact line it misbehaves as the rules of `line_faults` let any card.
"""

from pathlib import Path
from typing import ClassVar, Self

import msgspec

from hardware.virtual.card_file import CardFileError
from hardware.virtual.line_faults import Fault, Faults
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr, AtrError
from protocols.iso7816.pps import DEFAULT_FI_DI
from protocols.iso7816.test_card import (
    ARM,
    ATR,
    CALM,
    CLA,
    GIVE,
    GIVE_BACK,
    STATUS,
    SW_NO_LINE,
    TAKE,
    TELL,
    Arming,
    LanguageError,
    Told,
    pattern,
)

TEST_SUFFIX = ".test"
SELECT, GET_RESPONSE = (0x00, 0xA4), (0x00, 0xC0)
TAKES_DATA = (SELECT[1], TAKE, ARM)


class _Image(msgspec.Struct, forbid_unknown_fields=True):
    atr: str


class TestCard:
    """A `Chip`. SELECT of anything succeeds."""

    __test__: ClassVar = False  # no test of pytest's

    def __init__(self, atr: bytes = ATR) -> None:
        self._atr = atr
        self._line: Faults | None = None
        self._taken = b""
        self._waiting = b""
        self._commands = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """`CardFileError` where the file is none of a test card."""
        try:
            atr = bytes.fromhex(msgspec.json.decode(path.read_bytes(), type=_Image).atr)
            return cls(Atr.from_bytes(atr).to_bytes())
        except OSError as error:
            raise CardFileError(path, error.strerror or "cannot be read") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, AtrError, ValueError):
            raise CardFileError(path, "is no test card's") from None

    @staticmethod
    def create(path: Path, atr: bytes = ATR) -> None:
        """`CardFileError` where the file cannot be written."""
        try:
            path.write_bytes(msgspec.json.encode(_Image(atr.hex().upper())) + b"\n")
        except OSError as error:
            raise CardFileError(path, error.strerror or "cannot be written") from None

    def take_line(self, line: Faults) -> None:
        """What applies to its characters from now on."""
        self._line = line

    # Chip

    def reset(self) -> bytes:
        self._waiting = b""
        return self._atr

    def takes_data(self, ins: int) -> bool:
        return ins in TAKES_DATA

    def command(self, command: CommandApdu) -> ResponseApdu:
        self._commands += 1
        kind = (command.cla, command.ins)
        waiting, self._waiting = self._waiting, b""
        if kind == SELECT:
            return ResponseApdu(b"", status.SW_SUCCESS)
        if kind == GET_RESPONSE:
            return _exactly(waiting, command.le)
        if command.cla != CLA:
            return ResponseApdu(b"", status.SW_CLA_UNKNOWN)
        return self._perform(command, command.p1 << 8 | command.p2)

    def _perform(self, command: CommandApdu, sw: int) -> ResponseApdu:
        if command.ins == STATUS:
            return ResponseApdu(b"", sw)
        if command.ins == GIVE:
            return ResponseApdu(pattern(command.le or 0), sw)
        if command.ins == TAKE:
            self._taken = command.data
            self._waiting = command.data if sw >> 8 == status.SW1_MORE_DATA else b""
            return ResponseApdu(b"", sw)
        if command.ins == GIVE_BACK:
            return _exactly(self._taken, command.le)
        if command.ins == TELL:
            return ResponseApdu(self._told().to_bytes(), status.SW_SUCCESS)
        if command.ins in (ARM, CALM):
            return ResponseApdu(b"", self._misbehave(command))
        return ResponseApdu(b"", status.SW_INS_UNKNOWN)

    def _misbehave(self, command: CommandApdu) -> int:
        """The status word."""
        if self._line is None:
            return SW_NO_LINE
        if command.ins == CALM:
            self._line.calm()
            return status.SW_SUCCESS
        try:
            self._line.arm(_rule(Arming.from_command(command)))
        except (LanguageError, ValueError):
            return status.SW_WRONG_DATA
        return status.SW_SUCCESS

    def _told(self) -> Told:
        line = self._line
        if line is None:
            return Told(False, 0, 0, 0, self._commands, DEFAULT_FI_DI, self._atr)
        return Told(True, line.power_ons, line.resets, line.phases["pps"], self._commands, line.speed, self._atr)


def _exactly(data: bytes, le: int | None) -> ResponseApdu:
    """All of it, or how much it is."""
    if not data:
        return ResponseApdu(b"", status.SW_CONDITIONS_OF_USE)
    if le != len(data):
        return ResponseApdu(b"", status.SW1_WRONG_LE << 8 | len(data))
    return ResponseApdu(data, status.SW_SUCCESS)


def _rule(arming: Arming) -> Fault:
    return msgspec.convert(
        {
            "phase": arming.phase,
            "does": arming.deed,
            "at": arming.at,
            "bytes": arming.characters.hex(),
            "count": arming.count,
            "ms": arming.ms,
            "spared": arming.spared,
            "times": arming.times,
        },
        Fault,
    )
