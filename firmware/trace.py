"""A trace of the contact lines, character by character, for a bounded time.

It masks before it stores. Of a command it keeps the header, procedure bytes and status word, and of SELECT the data;
all other data, of a command or a response, may be a PIN, a key or a person. Of a command that takes a PIN it does not
keep how long that is: P3 is masked, and one character stands for all data. Of T=1 blocks it keeps those without data.
"""

import struct

from firmware.contact_line import CharacterDamaged, ContactLine
from firmware.ticks import elapsed_ms, elapsed_us, ticks_ms, ticks_us
from protocols.ccid.secure import PIN_INSTRUCTIONS
from protocols.ccid.trace import (
    ATR,
    BLOCK,
    CONTACTS,
    DAMAGED,
    DATA,
    ENTRY,
    ENTRY_SIZE,
    HEADER,
    MASKED,
    MAX_ENTRIES,
    NO_ROLE,
    NUMBER_SIZE,
    PPS,
    PROCEDURE,
    RECEIVED,
    SENT,
    SPEED,
    STATUS,
)
from protocols.iso7816.pps import MAX_SIZE as MAX_PPS
from protocols.iso7816.pps import PPSS
from protocols.iso7816.t0 import HEADER_SIZE, NULL
from protocols.iso7816.t1 import PROLOGUE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEPT_ENTRIES = 2048
PART_ENTRIES = 128  # a chip's memory has no room for all of them in one piece
INS_SELECT = 0xA4
I_BLOCK_BIT = 0x80  # of PCB: 0 in blocks that carry data

# What the next character is
_RESET, _PPS, _HEADER, _PROCEDURE, _DATA, _STATUS, _UNKNOWN = range(7)


class Roles:
    """What the characters of one line are: `sent` and `received` give role and `MASKED` or 0, None for one not kept."""

    def __init__(self, has_t1: bool) -> None:
        """`has_t1`: the card speaks T=1 already."""
        self._has_t1 = has_t1
        self._state = _UNKNOWN
        self._header = bytearray()
        self._left = self._burst = 0
        self._direction = SENT
        self._in_block = 0
        self._has_data = False
        self._has_pin = self._pin_seen = False

    def reset(self) -> None:
        """The card was reset: its ATR follows."""
        self._state = _RESET
        self._has_t1 = False

    def begin(self) -> None:
        """What is sent next begins a command, a block or a PPS."""
        self._state = _HEADER
        self._header = bytearray()
        self._in_block = 0
        self._has_pin = self._pin_seen = False

    def set_protocol(self, t1: bool) -> None:
        self._has_t1 = t1

    def sent(self, value: int) -> "int | None":
        if self._state in (_RESET, _UNKNOWN, _STATUS) or (self._state == _PPS and self._direction == RECEIVED):
            self.begin()
        if self._state == _HEADER and not self._header and value == PPSS:
            self._state, self._direction, self._left = _PPS, SENT, 2 * MAX_PPS
        if self._state == _PPS:
            return self._pps()
        if self._has_t1:
            return self._of_block(SENT, value)
        if self._state == _HEADER:
            self._header.append(value)
            if len(self._header) == HEADER_SIZE:
                self._state = _PROCEDURE
                self._left = value or 256
                self._has_pin = value > 0 and self._header[1] in PIN_INSTRUCTIONS
            return HEADER | MASKED if self._has_pin else HEADER
        return self._data()

    def received(self, value: int) -> "int | None":
        if self._state == _RESET:
            return ATR
        if self._state == _PPS:
            self._direction = RECEIVED
            return self._pps()
        if self._has_t1:
            return self._of_block(RECEIVED, value)
        if self._state == _PROCEDURE:
            return self._procedure(value)
        if self._state == _STATUS:
            self._state = _UNKNOWN
            return STATUS
        return self._data()

    def _pps(self) -> int:
        self._left -= 1
        return PPS if self._left >= 0 else PPS | MASKED

    def _procedure(self, value: int) -> "int | None":
        ins = self._header[1]
        if value in (ins, ins ^ 0xFF):
            self._burst = self._left if value == ins else 1
            self._state = _DATA
            if self._pin_seen:
                return None
        elif value != NULL:
            if value & 0xF0 not in (0x60, 0x90):
                return self._data()
            self._state = _STATUS
            return STATUS
        return PROCEDURE

    def _data(self) -> "int | None":
        if self._state == _DATA:
            self._left -= 1
            self._burst -= 1
            if self._burst <= 0:
                self._state = _PROCEDURE
            if self._header[1] == INS_SELECT:
                return DATA
        if self._pin_seen:
            return None
        self._pin_seen = self._has_pin
        return DATA | MASKED

    def _of_block(self, direction: int, value: int) -> int:
        """From the first change of direction on; the check characters of data would tell of it."""
        if direction != self._direction:
            self._direction, self._in_block = direction, 0
        self._in_block += 1
        if self._in_block == 2:
            self._has_data = not value & I_BLOCK_BIT
        return BLOCK | MASKED if self._in_block > PROLOGUE_SIZE and self._has_data else BLOCK


class Trace:
    """Off until `start`; then the lines' methods are wrapped, which costs nothing before and after."""

    def __init__(self, lines: "tuple[ContactLine, ...]") -> None:
        self._lines = lines
        self._parts: "list[bytearray]" = []
        self._count = 0
        self._started = self._started_ms = self._limit_ms = 0
        self._wrapped: "list[tuple[ContactLine, str]]" = []

    def start(self, seconds: int, have_t1: "list[bool]") -> None:
        """Anew, for at most this long. `have_t1`: which of the cards speak T=1 now."""
        self.stop()
        self._parts = []  # those before make room
        self._parts = [bytearray(PART_ENTRIES * ENTRY_SIZE) for _ in range(KEPT_ENTRIES // PART_ENTRIES)]
        self._count = 0
        self._started, self._started_ms, self._limit_ms = ticks_us(), ticks_ms(), seconds * 1000
        for slot in range(len(self._lines)):
            self._wrap(slot, self._lines[slot], Roles(have_t1[slot]))

    def stop(self) -> None:
        """What was kept can still be read."""
        for line, name in self._wrapped:
            delattr(line, name)
        self._wrapped = []

    def read(self, number: int) -> bytes:
        """Number of the first entry, not below the one asked for, and the entries that fit."""
        first = max(number, self._count - KEPT_ENTRIES)
        last = min(self._count, first + MAX_ENTRIES)
        found = first.to_bytes(NUMBER_SIZE, "little")
        for each in range(first, last):
            part, at = self._place(each)
            found += part[at : at + ENTRY_SIZE]
        return found

    def _keep(self, slot: int, kind: int, role: "int | None", value: int) -> None:
        if elapsed_ms(self._started_ms) > self._limit_ms:
            self.stop()
            return
        if role is None:
            return
        part, at = self._place(self._count)
        shown = 0 if role & MASKED else value
        struct.pack_into(ENTRY, part, at, elapsed_us(self._started), slot << 4 | kind, role, shown)
        self._count += 1

    def _place(self, number: int) -> "tuple[bytearray, int]":
        """Where an entry is kept."""
        place = number % KEPT_ENTRIES
        return self._parts[place // PART_ENTRIES], place % PART_ENTRIES * ENTRY_SIZE

    def _wrap(self, slot: int, line: ContactLine, roles: Roles) -> None:
        send, receive, drop_received = line.send, line.receive, line.drop_received
        set_contacts, set_speed = line.set_contacts, line.set_speed
        set_error_signal = line.set_error_signal

        def traced_send(data: "bytes | bytearray") -> None:
            for value in data:
                self._keep(slot, SENT, roles.sent(value), value)
            send(data)

        def traced_receive(count: int, limit_ms: int) -> bytes:
            try:
                data = receive(count, limit_ms)
            except CharacterDamaged:
                self._keep(slot, DAMAGED, (roles.received(0) or DATA) | MASKED, 0)
                raise
            for value in data:
                self._keep(slot, RECEIVED, roles.received(value), value)
            return data

        def traced_drop_received() -> None:
            roles.begin()
            drop_received()

        def traced_set_contacts(contacts: int) -> None:
            roles.reset()
            self._keep(slot, CONTACTS, NO_ROLE, contacts)
            set_contacts(contacts)

        def traced_set_speed(fi_di: int, extra_guard: int) -> None:
            self._keep(slot, SPEED, NO_ROLE, fi_di)
            set_speed(fi_di, extra_guard)

        def traced_set_error_signal(on: bool) -> None:
            roles.set_protocol(not on)
            set_error_signal(on)

        wrappers: "dict[str, Any]" = {
            "send": traced_send,
            "receive": traced_receive,
            "drop_received": traced_drop_received,
            "set_contacts": traced_set_contacts,
            "set_speed": traced_set_speed,
            "set_error_signal": traced_set_error_signal,
        }
        for name, wrapper in wrappers.items():
            setattr(line, name, wrapper)
            self._wrapped.append((line, name))
