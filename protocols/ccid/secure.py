"""PC_to_RDR_Secure: the PIN entry that a host asks a reader for (`reader.md A.7`; CCID 1.1, 6.1.11).

Beside it two escapes of ours: PINs to look out for in the next entry, and whether it was one of them.
"""

from protocols.ccid.messages import ESCAPE_SERVICE, HEADER_SIZE
from protocols.ccid.parameters import ParameterError
from protocols.ccid.pin_format import DATA, MAX_DATA, PinFormat, insert_pad
from protocols.iso7816.frozen import Frozen

VERIFICATION, MODIFICATION = range(2)  # bPINOperation

# bEntryValidationCondition
AT_MAX_DIGITS, BY_KEY, AT_TIMEOUT = 0x01, 0x02, 0x04
# bConfirmPIN
CONFIRM, ASK_CURRENT = 0x01, 0x02

# VERIFY, CHANGE REFERENCE DATA, DISABLE and ENABLE VERIFICATION REQUIREMENT, RESET RETRY COUNTER (ISO/IEC 7816-4),
# CHANGE PIN (ssc-card.md 4.1): a PIN in the data of any other command could be read back
PIN_INSTRUCTIONS = (0x20, 0x24, 0x26, 0x28, 0x2C, 0x5E)
NUMBERS_OF_MESSAGES = (0, 1, 2, 3, 0xFF)
MAX_DIGITS = 16
NO_PROLOGUE = b"\x00\x00\x00"
MIN_APDU = 4

# What a pad says instead of the card (PC/SC part 10, 2.5.2 and 2.5.3)
SW_ENTRIES_DIFFER = b"\x64\x02"
SW_NOT_CONFORMING = b"\x64\x03"

# Data of Escape
ESCAPE_FEATURES = b"\x6a"
FEATURES_SIZE = 21
ESCAPE_FORBID = ESCAPE_SERVICE + b"\x30"  # then a length byte and a packed PIN, as often as there are PINs
ESCAPE_WAS_FORBIDDEN = ESCAPE_SERVICE + b"\x31"
MAX_FORBIDDEN = 8
MAX_PACKED = MAX_DIGITS // 2
NOT_FORBIDDEN, WAS_FORBIDDEN, NOT_COMPARED = b"\x00", b"\x01", b"\x02"


class Prompts(Frozen):
    """bNumberMessage, wLangId and the message indexes, for a display."""

    FIELDS = ("number", "language", "indexes")
    number: int
    language: int
    indexes: bytes

    def __init__(self, number: int, language: int, indexes: bytes) -> None:
        self._freeze(number, language, indexes)


class Change(Frozen):
    """Where in the data the two PINs go, in bytes, and bConfirmPIN."""

    FIELDS = ("old_offset", "new_offset", "confirm_pin")
    old_offset: int
    new_offset: int
    confirm_pin: int

    def __init__(self, old_offset: int, new_offset: int, confirm_pin: int) -> None:
        self._freeze(old_offset, new_offset, confirm_pin)

    @property
    def confirmed(self) -> bool:
        """Whether the new PIN is entered twice."""
        return bool(self.confirm_pin & CONFIRM)

    @property
    def asks_current(self) -> bool:
        return bool(self.confirm_pin & ASK_CURRENT)


class PinRequest(Frozen):
    """A PIN verification, or with `change` a PIN modification; `timeout_s` 0 is the reader's own.

    `apdu` is the template. `prologue` is that of a T=1 block.
    """

    FIELDS = (
        "timeout_s",
        "pin_format",
        "min_digits",
        "max_digits",
        "validation",
        "prompts",
        "apdu",
        "change",
        "prologue",
    )
    timeout_s: int
    pin_format: PinFormat
    min_digits: int
    max_digits: int
    validation: int
    prompts: Prompts
    apdu: bytes
    change: "Change | None"
    prologue: bytes

    def __init__(  # noqa: PLR0917
        self,
        timeout_s: int,
        pin_format: PinFormat,
        min_digits: int,
        max_digits: int,
        validation: int,
        prompts: Prompts,
        apdu: bytes,
        change: "Change | None" = None,
        prologue: bytes = NO_PROLOGUE,
    ) -> None:
        self._freeze(timeout_s, pin_format, min_digits, max_digits, validation, prompts, apdu, change, prologue)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "PinRequest":
        """`ParameterError` with the offset of what is wrong or reserved, 1 for a length that does not fit."""
        fields = _Fields(data)
        operation = fields.byte()
        if operation not in (VERIFICATION, MODIFICATION):
            raise fields.refused(1)
        timeout_s = fields.byte()
        pin_format = PinFormat(fields.byte(), fields.byte(), fields.byte())
        if pin_format.coding > 2:
            raise fields.refused(3)
        offsets = (fields.byte(), fields.byte()) if operation == MODIFICATION else (0, 0)
        max_digits, min_digits = fields.byte(), fields.byte()
        if not max_digits or min_digits > max_digits:
            raise fields.refused(2)
        change = None
        if operation == MODIFICATION:
            change = Change(offsets[0], offsets[1], fields.byte())
            if change.confirm_pin & ~(CONFIRM | ASK_CURRENT):
                raise fields.refused(1)
        validation = fields.byte()
        if not validation or validation & ~(AT_MAX_DIGITS | BY_KEY | AT_TIMEOUT):
            raise fields.refused(1)
        number = fields.byte()
        if number not in NUMBERS_OF_MESSAGES:
            raise fields.refused(1)
        language = fields.byte() | fields.byte() << 8
        indexes = fields.take(1 if change is None else 1 + (number > 0) + (number > 2))
        prologue = fields.take(len(NO_PROLOGUE))
        request = cls(
            timeout_s,
            pin_format,
            min_digits,
            max_digits,
            validation,
            Prompts(number, language, indexes),
            bytes(data[fields.at :]),
            change,
            prologue,
        )
        request._check(HEADER_SIZE + fields.at)
        return request

    def to_bytes(self) -> bytes:
        prompts, layout, change = self.prompts, self.pin_format, self.change
        head = bytes([VERIFICATION if change is None else MODIFICATION, self.timeout_s])
        head += bytes([layout.format_string, layout.block_string, layout.length_format])
        if change is not None:
            head += bytes([change.old_offset, change.new_offset])
        head += bytes([self.max_digits, self.min_digits])
        if change is not None:
            head += bytes([change.confirm_pin])
        head += bytes([self.validation, prompts.number, prompts.language & 0xFF, prompts.language >> 8])
        return head + prompts.indexes + self.prologue + self.apdu

    @property
    def offsets(self) -> "tuple[int, ...]":
        """Where the PINs go that `fill` takes, in its order."""
        if self.change is None:
            return (0,)
        if self.change.asks_current:
            return (self.change.old_offset, self.change.new_offset)
        return (self.change.new_offset,)

    @property
    def most_digits(self) -> int:
        """What both the request and its PIN block allow, and 16."""
        size = max(0, len(self.apdu) - DATA)
        most = min(self.max_digits, MAX_DIGITS)
        for offset in self.offsets:
            capacity = self.pin_format.capacity(offset, size)
            most = most if capacity is None else min(most, capacity)
        return most

    def fill(self, apdu: bytearray, pins: "list[memoryview]") -> int:
        """Make the APDU with these PINs, values 0 to 9, in a buffer that has room for any; its size."""
        size, layout = len(self.apdu), self.pin_format
        apdu[:size] = self.apdu
        data = max(0, size - DATA)
        size = DATA + data
        places, shift = [], 0
        for offset, i in sorted([(self.offsets[i], i) for i in range(len(pins))]):
            gap = layout.gap(offset, data, len(pins[i]))
            if gap:
                size = insert_pad(apdu, size, offset + shift + layout.position // 8, gap)
            places.append((offset + shift, i))
            shift += gap
        apdu[4] = size - DATA
        filled = memoryview(apdu)[DATA:size]
        for offset, i in places:
            layout.put(filled, offset, pins[i])
        return size

    def _check(self, at: int) -> None:
        """`ParameterError` where the template or what is to be put into it does not fit; `at`: where it begins."""
        if len(self.apdu) < MIN_APDU or len(self.apdu) > DATA + MAX_DATA:
            raise ParameterError(1)
        if self.apdu[1] not in PIN_INSTRUCTIONS:
            raise ParameterError(at + 1)
        size, layout = max(0, len(self.apdu) - DATA), self.pin_format
        if size and size != self.apdu[4]:
            raise ParameterError(at + 4)
        if self.most_digits < self.min_digits or not self.most_digits:
            raise ParameterError(HEADER_SIZE + 3)
        end = size
        for offset in self.offsets:
            gap = layout.gap(offset, size, self.most_digits)
            end = max(end, offset + layout.position // 8) + gap
            if layout.length_bits and 8 * offset + layout.length_position + layout.length_bits > 8 * max(size, end):
                raise ParameterError(HEADER_SIZE + 4)
        if end > MAX_DATA:
            raise ParameterError(HEADER_SIZE + 3)


class _Fields:
    """Bytes of a message's data, taken one after the other."""

    def __init__(self, data: "bytes | bytearray") -> None:
        self._data = data
        self.at = 0

    def byte(self) -> int:
        if self.at >= len(self._data):
            raise ParameterError(1)
        self.at += 1
        return self._data[self.at - 1]

    def take(self, count: int) -> bytes:
        return bytes([self.byte() for _ in range(count)])

    def refused(self, back: int) -> ParameterError:
        """The field that began so many bytes ago."""
        return ParameterError(HEADER_SIZE + self.at - back)


def features(validation: int, min_digits: int, max_digits: int) -> bytes:
    """What `ESCAPE_FEATURES` is answered with by a reader that has a pad (`reader.md A.7`)."""
    found = bytearray(FEATURES_SIZE)
    found[3] = validation
    found[4] = 0x60  # verify and modify directly
    found[8] = 0x04  # bNumberMessage is understood
    found[13], found[14] = min_digits, max_digits
    return bytes(found)


def forbid(pins: "tuple[bytes, ...]") -> bytes:
    """Data of the escape that names PINs, packed as on the card."""
    return ESCAPE_FORBID + b"".join([bytes([len(pin)]) + pin for pin in pins])


def forbidden(data: "bytes | bytearray") -> "list[memoryview]":
    """The packed PINs in the data of that escape; `ParameterError` where they are none, or too many."""
    found = []
    at = len(ESCAPE_FORBID)
    while at < len(data):
        size = data[at]
        if not 0 < size <= MAX_PACKED or at + size >= len(data):
            raise ParameterError(HEADER_SIZE + at)
        found.append(memoryview(data)[at + 1 : at + 1 + size])
        at += 1 + size
    if len(found) > MAX_FORBIDDEN:
        raise ParameterError(1)
    return found
