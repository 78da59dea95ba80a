"""A matrix of keys, and which key was pressed on it."""

from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.keypad import LAYOUT

REFUSED = -1


class Keypad:
    """The wires of `LAYOUT`. Contacts bounce for less than `stable_ms`."""

    stable_ms = 20

    def columns(self, row: int) -> int:
        """The columns, one bit each, that this row pulls when it alone is driven."""
        raise NotImplementedError


class KeyScanner:
    """Keys as they are pressed, each once however long it is held and however its contacts bounce.

    Without diodes three keys look like four, so no key counts of several pressed at once, until all are let go. The
    next key may be pressed before the last one is let go.
    """

    def __init__(self, keypad: Keypad) -> None:
        self._keypad = keypad
        self._closed = 0
        self._since = ticks_ms()
        self._held = 0  # the key that counted last, while it is down
        self._refused = True

    def start(self) -> None:
        """What is down now does not count."""
        self._held, self._refused = 0, True

    def poll(self) -> "int | None":
        """The key that was pressed, `REFUSED` for several at once, None for nothing new; call every few ms."""
        before = ticks_ms()
        closed = self._scan()
        if closed != self._closed:
            self._closed, self._since = closed, before
            return None
        if elapsed_ms(self._since) < self._keypad.stable_ms:
            return None
        if not closed:
            self._held, self._refused = 0, False
        if not closed & self._held:
            self._held = 0
        if not closed or self._refused or closed == self._held:
            return None
        if closed & closed - 1:
            others = closed & ~self._held
            self._refused = not self._held or bool(others & others - 1)
            return REFUSED if self._refused else None
        self._held = closed
        key = _key(closed)
        return REFUSED if key is None else key

    def _scan(self) -> int:
        """The closed keys, one bit each, row after row."""
        closed = 0
        for row in range(len(LAYOUT)):  # enumerate would leave garbage every time
            closed |= self._keypad.columns(row) << row * len(LAYOUT[row])
        return closed


def _key(closed: int) -> "int | None":
    """Of the one bit that is set."""
    for row in LAYOUT:
        for key in row:
            if closed & 1:
                return key
            closed >>= 1
    return None
