"""The simulated PIN pad of a `virtual:` reader: keys go in, a PIN goes to the card, digits go nowhere else.

The firmware is a PIN pad itself; its simulated keys are `hardware.virtual.keypad`.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from hardware.virtual.pressed_keys import CANCEL, CLEAR, OK, Keys
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands, pad
from protocols.sscard.pad import PadAnswer, PadLimits
from protocols.sscard.pin import MAX_DIGITS, MIN_DIGITS, pin_block, wipe

LOOK_S = 0.05
COMPARES, COMPARES_IN_S = 3, 60.0
"""So many answers about a PIN in so many seconds, no more."""


class VirtualPinPad:
    """A pad over one card, with the status words of PC/SC part 10. One entry at a time.

    `compares` is whether it looks at forbidden PINs; then at most `COMPARES` times in `COMPARES_IN_S` seconds.
    """

    def __init__(
        self,
        transmit: Callable[[CommandApdu], ResponseApdu],
        keys: Keys,
        *,
        compares: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transmit, self._keys, self._compares = transmit, keys, compares
        self._monotonic, self._wait = monotonic, wait
        self._cancelled = threading.Event()
        self._entering = threading.Lock()
        self._compared: list[float] = []

    def verify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        """One PIN, sent below the header."""
        with self._entry():
            digits = bytearray()
            try:
                if (refused := self._enter(digits, limits.min_digits, limits)) is not None:
                    return PadAnswer(refused)
                found = _is_one_of(digits, limits.forbidden)
                sw = self._send(header, digits)
            finally:
                wipe(digits)
            return PadAnswer(sw, found if sw == status.SW_SUCCESS and self._may_compare() else None)

    def modify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        """The old PIN, the new one twice; the old one has the card's own limits."""
        with self._entry():
            old, new, repeat = bytearray(), bytearray(), bytearray()
            try:
                for digits, least in ((old, MIN_DIGITS), (new, limits.min_digits), (repeat, MIN_DIGITS)):
                    if (refused := self._enter(digits, least, limits)) is not None:
                        return PadAnswer(refused)
                if new != repeat:
                    return PadAnswer(pad.SW_ENTRIES_DIFFER)
                if self._compares and _is_one_of(new, limits.forbidden):
                    return PadAnswer(pad.SW_NOT_CONFORMING, was_forbidden=True)
                return PadAnswer(self._send(header, old, new))
            finally:
                for digits in (old, new, repeat):
                    wipe(digits)

    def cancel(self) -> None:
        """End the entry that goes on."""
        self._cancelled.set()

    @contextlib.contextmanager
    def _entry(self) -> Iterator[None]:
        with self._entering:
            self._cancelled.clear()
            yield

    def _enter(self, digits: bytearray, least: int, limits: PadLimits) -> int | None:
        """Collect digits up to OK; the pad's status word where that does not come to a PIN."""
        deadline = self._monotonic() + limits.timeout_s
        while not self._cancelled.is_set():
            key = self._keys()
            if key is None:
                if self._monotonic() >= deadline:
                    return pad.SW_TIMED_OUT
                self._wait(LOOK_S)
            elif key == CLEAR:
                wipe(digits)
                digits.clear()
            elif key == CANCEL:
                return pad.SW_CANCELLED
            elif key == OK:
                return None if least <= len(digits) else pad.SW_NOT_CONFORMING
            elif len(digits) < min(limits.max_digits, MAX_DIGITS):
                digits += key.encode()
        return pad.SW_CANCELLED

    def _send(self, header: CommandApdu, *pins: bytearray) -> int:
        blocks = [pin_block(digits) for digits in pins]
        data = commands.PIN_SEPARATOR.join(blocks)
        for block in blocks:
            wipe(block)
        return self._transmit(CommandApdu(header.cla, header.ins, header.p1, header.p2, data)).sw

    def _may_compare(self) -> bool:
        now = self._monotonic()
        self._compared = [then for then in self._compared if now - then < COMPARES_IN_S]
        if not self._compares or len(self._compared) >= COMPARES:
            return False
        self._compared.append(now)
        return True


def _is_one_of(digits: bytearray, forbidden: Sequence[bytes]) -> bool:
    block = pin_block(digits)
    try:
        return bytes(block) in forbidden[: pad.MAX_FORBIDDEN]
    finally:
        wipe(block)
