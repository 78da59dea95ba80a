"""The boards with a Pico: CLK is the system clock divided, so that an etu is exact."""

# mypy: disable-error-code="import-not-found"

import sys

from machine import WDT, freq, idle, mem32

from firmware.board import Board
from firmware.boards.pico.contact_line import PicoLine
from firmware.boards.pico.host_line import open_host_line
from firmware.boards.pico.pad import PinIndicator, PinKeypad
from firmware.boards.pico.wiring import Wiring
from firmware.limits import CLOCK_KHZ, standard_limits
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.iso7816.line import CONTACTS_OFF

SYSTEM_CLOCKS = {4000: (128000000, 32), 5000: (125000000, 25), 3571: (125000000, 35)}
"""CLK in kHz: the system clock in Hz, and how many of its clocks make one of CLK."""
SLACK_MS = 20  # Python's own time, and characters not yet sent when it begins to wait
WATCHDOG_MS = 8000

_WATCHDOG_RP2040, _WATCHDOG_RP2350 = 0x40058000, 0x400D8000  # CTRL
_CLEAR_BITS, _ENABLE = 0x3000, 1 << 30


class PicoBoard(Board):
    """The chip resets itself when the firmware hangs for eight seconds."""

    def __init__(self, name: str = "pico") -> None:
        """`name` is the folder of its pins in `firmware/boards`."""
        pins = __import__("firmware.boards." + name + ".pins", None, None, ["SLOTS"])
        self.name = name
        hertz, system_clocks = SYSTEM_CLOCKS[CLOCK_KHZ]
        freq(hertz)
        self._watchdog = WDT(timeout=WATCHDOG_MS)
        slots = range(len(pins.SLOTS))
        self._lines: "list[PicoLine]" = []
        self._lines += [PicoLine(slot, Wiring(pins, slot), system_clocks, self._tend) for slot in slots]
        self.contact_lines = tuple(self._lines)
        self.host_line = self._host = open_host_line()
        self.limits = standard_limits(SLACK_MS)
        self.keypad = PinKeypad(pins.KEYPAD_ROWS, pins.KEYPAD_COLUMNS)
        green, red = pins.LEDS
        self.indicator = PinIndicator(green, red, pins.BUZZER)

    def wait(self, limit_ms: int) -> None:
        started = ticks_ms()
        cards = self._cards()
        while True:
            self._tend()  # also where the host is never silent
            if self._host.waiting() or self._cards() != cards or elapsed_ms(started) >= limit_ms:
                return
            idle()

    def _cards(self) -> int:
        """Which slots have one, a bit each: nothing to collect afterwards."""
        cards = 0
        for line in self._lines:
            cards = cards << 1 | line.present
        return cards

    def _tend(self) -> None:
        """While one card is waited for, the other may leave."""
        self._watchdog.feed()
        for line in self._lines:
            line.poll()

    def close(self) -> None:
        for line in self._lines:
            line.set_contacts(CONTACTS_OFF)
        rp2350 = "RP2350" in getattr(sys.implementation, "_machine", "")
        mem32[(_WATCHDOG_RP2350 if rp2350 else _WATCHDOG_RP2040) + _CLEAR_BITS] = _ENABLE
