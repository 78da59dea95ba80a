"""CCID messages: ten bytes of header, then data (`reader.md A.2`, CCID 1.1 chapter 6)."""

import struct

from protocols.iso7816.frozen import Frozen

HEADER_SIZE = 10
MAX_DATA = 261
MAX_MESSAGE = HEADER_SIZE + MAX_DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# PC_to_RDR, named by bMessageType
ICC_POWER_ON = 0x62
ICC_POWER_OFF = 0x63
GET_SLOT_STATUS = 0x65
XFR_BLOCK = 0x6F
ESCAPE = 0x6B
GET_PARAMETERS = 0x6C
RESET_PARAMETERS = 0x6D
SET_PARAMETERS = 0x61
ICC_CLOCK = 0x6E
SECURE = 0x69
T0_APDU = 0x6A
MECHANICAL = 0x71
ABORT = 0x72
SET_DATA_RATE_AND_CLOCK = 0x73

# RDR_to_PC
DATA_BLOCK = 0x80
SLOT_STATUS = 0x81
PARAMETERS = 0x82
ESCAPE_ANSWER = 0x83
DATA_RATE_AND_CLOCK = 0x84
_ANSWER_BIT = 0x80

ANSWER_TO = {
    ICC_POWER_ON: DATA_BLOCK,
    ICC_POWER_OFF: SLOT_STATUS,
    GET_SLOT_STATUS: SLOT_STATUS,
    XFR_BLOCK: DATA_BLOCK,
    ESCAPE: ESCAPE_ANSWER,
    GET_PARAMETERS: PARAMETERS,
    RESET_PARAMETERS: PARAMETERS,
    SET_PARAMETERS: PARAMETERS,
    ICC_CLOCK: SLOT_STATUS,
    SECURE: DATA_BLOCK,
    T0_APDU: SLOT_STATUS,
    MECHANICAL: SLOT_STATUS,
    ABORT: SLOT_STATUS,
    SET_DATA_RATE_AND_CLOCK: DATA_RATE_AND_CLOCK,
}

# Data of Escape (`reader.md A.2`)
ESCAPE_FIRMWARE_NAME = b"\x02"
OUR_FIRMWARE = b"ssc-terminal"  # how the name of ours begins
ESCAPE_TELL_SLOT_CHANGES = b"\x01\x01\x01"  # between command and answer
ESCAPE_PROMPTS = 0xB2  # first byte: texts for a display, which the profile GemPCPinPad sends at every open
ESCAPE_SERVICE = b"SSC"  # first bytes of ours (`service`, `secure`); no profile of libccid sends them

# bPowerSelect
POWER_AUTOMATIC, POWER_5V, POWER_3V, POWER_1V8 = range(4)

# bStatus bits 0-1
ICC_ACTIVE = 0
ICC_INACTIVE = 1
ICC_ABSENT = 2
# bStatus bits 6-7
COMMAND_DONE = 0x00
COMMAND_FAILED = 0x40

# bClockStatus of RDR_to_PC_SlotStatus
CLOCK_STOPPED_LOW = 1

# bError
ERROR_NOT_SUPPORTED = 0x00
ERROR_BAD_LENGTH = 0x01
ERROR_BAD_SLOT = 0x05
ERROR_BAD_CLOCK_COMMAND = 0x07
ERROR_BAD_POWER_SELECT = 0x07
ERROR_PIN_CANCELLED = 0xEF
ERROR_PIN_TIMEOUT = 0xF0
ERROR_DEACTIVATED = 0xF3
ERROR_PROCEDURE_BYTE = 0xF4
ERROR_CLASS = 0xF5
ERROR_PROTOCOL = 0xF6
ERROR_BAD_TCK = 0xF7
ERROR_BAD_TS = 0xF8
ERROR_HARDWARE = 0xFB
ERROR_OVERRUN = 0xFC
ERROR_PARITY = 0xFD
ERROR_MUTE = 0xFE
ERROR_ABORTED = 0xFF


_COMMAND, _ANSWER = "<BIBB3s", "<BIBBBBB"  # headers: type, dwLength, bSlot, bSeq, and what the classes below say


class MessageError(ValueError):
    """These bytes are no CCID message."""


def _header(form: str, data: "bytes | bytearray") -> "tuple[Any, ...]":
    if len(data) < HEADER_SIZE:
        raise MessageError("shorter than a header")
    fields = struct.unpack_from(form, data)
    if fields[1] != len(data) - HEADER_SIZE or fields[1] > MAX_DATA:
        raise MessageError("dwLength does not fit")
    return fields


def is_answer(data: "bytes | bytearray") -> bool:
    """Whether a message comes from the reader and is no echo of a command."""
    return bool(data[0] & _ANSWER_BIT)


class Command(Frozen):
    """PC_to_RDR: `kind` is bMessageType, `special` the three bytes after bSeq, all zero in T=0 over TPDU.

    Its `repr` shows no data: they may be a PIN.
    """

    FIELDS = ("kind", "slot", "seq", "data", "special")
    kind: int
    slot: int
    seq: int
    data: bytes
    special: bytes

    def __init__(
        self,
        kind: int,
        slot: int,
        seq: int,
        data: "bytes | bytearray" = b"",
        special: bytes = b"\x00\x00\x00",
    ) -> None:
        if len(data) > MAX_DATA:
            raise MessageError("too much data")
        set_field = object.__setattr__  # one by one: quicker on a chip than `_freeze`
        set_field(self, "kind", kind)
        set_field(self, "slot", slot)
        set_field(self, "seq", seq)
        set_field(self, "data", bytes(data))
        set_field(self, "special", special)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "Command":
        """`MessageError` where dwLength does not fit or the message is an answer."""
        kind, _, slot, seq, special = _header(_COMMAND, data)
        if kind & _ANSWER_BIT:
            raise MessageError("an answer, not a command")
        return cls(kind, slot, seq, data[HEADER_SIZE:], special)

    def to_bytes(self) -> bytes:
        data = self.data
        return struct.pack(_COMMAND, self.kind, len(data), self.slot, self.seq, self.special) + data

    @property
    def answer_kind(self) -> int:
        """bMessageType of its answer; a slot status for what no reader knows."""
        return ANSWER_TO.get(self.kind, SLOT_STATUS)

    def echo(self) -> bytes:
        """The header alone with dwLength 0: what the reader sends before the answer (`reader.md A.3`)."""
        return struct.pack(_COMMAND, self.kind, 0, self.slot, self.seq, b"\x00\x00\x00")

    def __repr__(self) -> str:
        return "Command(%02X slot %d seq %d, %d bytes)" % (self.kind, self.slot, self.seq, len(self.data))


class Answer(Frozen):
    """RDR_to_PC: `status` and `error` as bStatus and bError; `last` is the byte after them."""

    FIELDS = ("kind", "slot", "seq", "status", "error", "data", "last")
    kind: int
    slot: int
    seq: int
    status: int
    error: int
    data: bytes
    last: int

    def __init__(  # noqa: PLR0917
        self,
        kind: int,
        slot: int,
        seq: int,
        status: int,
        error: int = 0,
        data: "bytes | bytearray" = b"",
        last: int = 0,
    ) -> None:
        if len(data) > MAX_DATA:
            raise MessageError("too much data")
        set_field = object.__setattr__
        set_field(self, "kind", kind)
        set_field(self, "slot", slot)
        set_field(self, "seq", seq)
        set_field(self, "status", status)
        set_field(self, "error", error)
        set_field(self, "data", bytes(data))
        set_field(self, "last", last)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "Answer":
        """`MessageError` where dwLength does not fit or the message is a command or its echo."""
        kind, _, slot, seq, status, error, last = _header(_ANSWER, data)
        if not kind & _ANSWER_BIT:
            raise MessageError("a command, not an answer")
        return cls(kind, slot, seq, status, error, data[HEADER_SIZE:], last)

    def to_bytes(self) -> bytes:
        data = self.data
        header = (self.kind, len(data), self.slot, self.seq, self.status, self.error, self.last)
        return struct.pack(_ANSWER, *header) + data

    @property
    def icc(self) -> int:
        """`ICC_ACTIVE`, `ICC_INACTIVE` or `ICC_ABSENT`."""
        return self.status & 0x03

    @property
    def failed(self) -> bool:
        return bool(self.status & COMMAND_FAILED)

    def is_to(self, command: Command) -> bool:
        """Whether it may be the answer to this command."""
        return (self.kind, self.slot, self.seq) == (command.answer_kind, command.slot, command.seq)

    def __repr__(self) -> str:
        return "Answer(%02X slot %d seq %d status %02X error %02X, %d bytes)" % (
            self.kind,
            self.slot,
            self.seq,
            self.status,
            self.error,
            len(self.data),
        )
