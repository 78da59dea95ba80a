"""PINs that the host wants to hear of without hearing any other: compared here, told as one flag."""

from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.secure import MAX_FORBIDDEN, MAX_PACKED, NOT_COMPARED, NOT_FORBIDDEN, WAS_FORBIDDEN, forbidden

TOLD, TOLD_IN_MS = 3, 60000  # so many answers about a PIN in so many ms, no more

_PLACE = 1 + MAX_PACKED


class ForbiddenPins:
    """Armed for one entry; the flag is told once."""

    def __init__(self) -> None:
        self._pins = bytearray(MAX_FORBIDDEN * _PLACE)  # size and packed digits of each, size 0 for none
        self._times: "list[int]" = []
        self._told = NOT_COMPARED

    def arm(self, data: "bytes | bytearray") -> None:
        """Take those in the data of `ESCAPE_FORBID` in place of all before; `ParameterError`."""
        self.disarm()
        self._told = NOT_COMPARED
        at = 0
        for pin in forbidden(data):
            self._pins[at] = len(pin)
            for i in range(len(pin)):
                self._pins[at + 1 + i] = pin[i]
            at += _PLACE

    def begin(self) -> None:
        """An entry begins: what there was to tell of another is forgotten."""
        self._told = NOT_COMPARED

    def disarm(self) -> None:
        """Wipe them."""
        for i in range(len(self._pins)):
            self._pins[i] = 0

    def match(self, digits: "bytearray | memoryview") -> bool:
        """Whether these digits are one of them; as long for each."""
        found = False
        for at in range(0, len(self._pins), _PLACE):
            size = self._pins[at]
            wrong = 0 if size and size == (len(digits) + 1) // 2 else 1
            for i in range(2 * MAX_PACKED):
                packed = self._pins[at + 1 + i // 2] >> (0 if i % 2 else 4) & 0x0F
                digit = digits[i] if i < len(digits) else 0x0F
                wrong |= (packed ^ digit) if i < 2 * size else 0
            found = found or not wrong
        return found

    def note(self, found: bool) -> None:
        """Something to tell, after the card has taken the PIN; forgotten where too much was told of late."""
        armed = any(self._pins[at] for at in range(0, len(self._pins), _PLACE))
        self._times = [then for then in self._times if 0 <= elapsed_ms(then) < TOLD_IN_MS]
        if armed and len(self._times) < TOLD:
            self._times.append(ticks_ms())
            self._told = WAS_FORBIDDEN if found else NOT_FORBIDDEN

    def note_refused(self) -> None:
        """A new PIN was one of them and did not reach the card."""
        self._told = WAS_FORBIDDEN

    def tell(self) -> bytes:
        """`WAS_FORBIDDEN`, `NOT_FORBIDDEN` or `NOT_COMPARED` of the last entry, once."""
        told, self._told = self._told, NOT_COMPARED
        return told
