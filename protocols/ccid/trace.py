"""The reader's trace of a contact line, character by character (`protocols.ccid.service.TRACE_READ`)."""

import struct

from protocols.ccid.service import ServiceError
from protocols.iso7816.frozen import Frozen

# What happened
SENT, RECEIVED, DAMAGED, CONTACTS, SPEED = range(5)

# What a character is; contacts and speed are `NO_ROLE`
NO_ROLE, ATR, PPS, HEADER, PROCEDURE, DATA, STATUS, BLOCK = range(8)

ENTRY = "<IBBB"
ENTRY_SIZE = 7
NUMBER_SIZE = 4  # before the entries of an answer: the number of the first
MASKED = 0x80
MAX_ENTRIES = 36  # in an answer
MAX_SECONDS = 300  # of one trace: the times would wrap after 500 on MicroPython


class TraceEntry(Frozen):
    """`time_us` since the trace was switched on, when the firmware sent the character or took it from the line.

    `value` is the character, the contacts driven (`protocols.iso7816.line`), or Fi and Di; 0 where it is `masked`.
    """

    FIELDS = ("time_us", "slot", "kind", "role", "masked", "value")
    time_us: int
    slot: int
    kind: int
    role: int
    masked: bool
    value: int

    def __init__(  # noqa: PLR0917
        self, time_us: int, slot: int, kind: int, role: int, masked: bool, value: int
    ) -> None:
        self._freeze(time_us, slot, kind, role, masked, value)

    @classmethod
    def from_bytes(cls, data: bytes) -> "TraceEntry":
        """`ServiceError`."""
        if len(data) != ENTRY_SIZE:
            raise ServiceError("a trace entry is cut off")
        time_us, where, role, value = struct.unpack(ENTRY, data)
        if where & 0x0F > SPEED or role & ~MASKED > BLOCK:
            raise ServiceError("no trace entry")
        return cls(time_us, where >> 4, where & 0x0F, role & ~MASKED, bool(role & MASKED), value)

    def to_bytes(self) -> bytes:
        role = self.role | (MASKED if self.masked else 0)
        return struct.pack(ENTRY, self.time_us, self.slot << 4 | self.kind, role, self.value)


def entries_from_bytes(data: bytes) -> "tuple[int, list[TraceEntry]]":
    """The answer to `TRACE_READ`: number of the first entry, and the entries; `ServiceError`."""
    if len(data) < NUMBER_SIZE or (len(data) - NUMBER_SIZE) % ENTRY_SIZE:
        raise ServiceError("a trace entry is cut off")
    first = int.from_bytes(data[:NUMBER_SIZE], "little")
    parts = [data[at : at + ENTRY_SIZE] for at in range(NUMBER_SIZE, len(data), ENTRY_SIZE)]
    return first, [TraceEntry.from_bytes(part) for part in parts]
