"""Power of one card: contacts on and off in order, resets, and the answer to them (`reader.md B.1`, `B.3`)."""

from firmware.characters import Characters
from firmware.contact_line import CLOCKED_IN_RESET, POWERED_IN_RESET, ContactLine
from firmware.limits import CLOCK_KHZ, Limits
from firmware.slot_error import SlotError
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.messages import ERROR_BAD_TCK, ERROR_BAD_TS, ERROR_CLASS, ERROR_MUTE, ERROR_OVERRUN, ERROR_PARITY
from protocols.iso7816.atr import (
    CLASS_A,
    CLASS_B,
    CLASS_C,
    DIRECT,
    PART_LENGTH,
    PART_TCK,
    PART_TS,
    Atr,
    AtrError,
    atr_size,
)
from protocols.iso7816.line import CONTACTS_OFF, RUNNING
from protocols.iso7816.pps import DEFAULT_FI_DI

RESET_CLOCKS = 400
CHANGE_CLOCKS = 10 * CLOCK_KHZ  # without power between two classes
LOWEST_FIRST = (CLASS_C, CLASS_B, CLASS_A)

_ATR_ERRORS = {PART_TS: ERROR_BAD_TS, PART_TCK: ERROR_BAD_TCK, PART_LENGTH: ERROR_OVERRUN}
_SENSELESS = (ERROR_PARITY, ERROR_BAD_TS, ERROR_BAD_TCK, ERROR_OVERRUN)
_NEXT_CLASS = (ERROR_MUTE,) + _SENSELESS  # noqa: RUF005 - MicroPython knows no star here


class Activation:
    """`powered`: contacts are on, in `icc_class`. A card whose answer to reset makes no sense is not left powered."""

    def __init__(self, line: ContactLine, characters: Characters, limits: Limits) -> None:
        self._line = line
        self._characters = characters
        self._limits = limits
        self.powered = False
        self.icc_class = 0

    def activate(self, classes: int) -> Atr:
        """The answer to a cold reset in the lowest of these classes in which it makes sense; `SlotError`.

        One that makes no sense is first asked for once more by a warm reset. A card that tells its classes is used
        in none but those.
        """
        left = [each for each in LOWEST_FIRST if each & classes & self._line.classes]
        while left:
            icc_class = left.pop(0)
            try:
                atr = self._cold_reset(icc_class)
            except SlotError as error:
                if not left or self._line.gone or error.error not in _NEXT_CLASS:
                    raise
            else:
                if atr.classes is None or atr.classes & icc_class:
                    return atr
                self.deactivate()
                left = [each for each in left if each & atr.classes]
            if left:
                self._line.wait_clocks(CHANGE_CLOCKS)
        raise SlotError(ERROR_CLASS)

    def _cold_reset(self, icc_class: int) -> Atr:
        self.deactivate()
        self._line.poll()
        if self._line.gone:  # perhaps another card is there by now
            raise SlotError(ERROR_MUTE)
        self.icc_class = icc_class
        self._line.set_class(icc_class)
        self.powered = True
        self._line.set_contacts(POWERED_IN_RESET)
        return self._answer(2)

    def warm_reset(self) -> Atr:
        """The answer; `SlotError`."""
        return self._answer(1)

    def deactivate(self) -> None:
        """RST, CLK and VCC off in this order; nothing where they are."""
        if not self.powered:
            return
        self.powered = False
        self._line.set_contacts(CLOCKED_IN_RESET)
        self._line.set_contacts(POWERED_IN_RESET)
        self._line.set_contacts(CONTACTS_OFF)

    def _answer(self, tries: int) -> Atr:
        while True:
            tries -= 1
            try:
                return self._reset()
            except SlotError as error:
                if tries == 0 or error.error not in _SENSELESS:
                    self.deactivate()
                    raise

    def _reset(self) -> Atr:
        self._line.set_contacts(CLOCKED_IN_RESET)
        self._line.wait_clocks(RESET_CLOCKS)
        self._line.set_speed(DEFAULT_FI_DI, 0)
        self._line.set_error_signal(True)
        self._line.set_contacts(RUNNING)
        try:
            return Atr.from_bytes(self._receive())
        except AtrError as error:
            raise SlotError(_ATR_ERRORS[error.part])  # noqa: B904 - MicroPython does not chain

    def _receive(self) -> bytearray:
        limits = self._limits
        started = ticks_ms()
        data = bytearray()
        limit = limits.atr_start + limits.slack
        while len(data) < atr_size(data):
            left = limits.atr_total + limits.slack - elapsed_ms(started)
            characters = self._characters.receive(atr_size(data) - len(data), min(limit, left))
            if not characters:
                raise SlotError(ERROR_MUTE)
            data.extend(characters)
            if data[0] != DIRECT:
                raise AtrError(PART_TS)
            limit = limits.atr_gap + limits.slack
        return data
