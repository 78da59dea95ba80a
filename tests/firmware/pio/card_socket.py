"""A pin-level card in a slot of the simulated Pico."""

from collections.abc import Callable
from math import ceil
from typing import Any

from hardware.virtual.card_side import CardSide
from hardware.virtual.contact_card import ContactCard
from protocols.iso7816.line import CLK, RST, VCC
from tests.firmware.pio.chip import Wires

PIO1 = 1


class Socket:
    """Follows VCC, RST and CLK of one slot, and joins its I/O."""

    def __init__(self, chip: Wires, changed: list[Callable[[], None]], pins: Any, number: int = 0) -> None:
        """`pins` is the board's file; what is in `changed` is called when RST or VCC were switched."""
        self._chip, self._number = chip, number
        io, _, self._rst, self._vcc, self._present = pins.SLOTS[number]
        self._vcc_on, self._card_in = pins.VCC_ON[number], pins.CARD_IN[number]
        self.line = self._chip.line(io)
        self.line.heard.append(self._hear)
        self.card: ContactCard | None = None
        self.contacts: list[tuple[int, int]] = [(0, 0)]
        """(system clock, contacts) of every change."""
        self.clocks = 32
        changed.append(self._look)
        self.pull()

    def put(self, side: CardSide, clock_khz: int = 4000) -> ContactCard:
        self.card = ContactCard(side, clock_khz, self.pull)
        self._chip.rp2040.gpio[self._present].set_input_value(bool(self._card_in))
        return self.card

    def pull(self) -> None:
        self._chip.rp2040.gpio[self._present].set_input_value(not self._card_in)
        self.card = None
        self.line.pull(False)

    @property
    def now(self) -> float:
        return self._chip.now / self.clocks

    def _look(self) -> None:
        sio = self._chip.rp2040.sio
        running = self._chip.rp2040.pio[PIO1].machines[self._number].enabled
        levels = sio.gpio_value & sio.gpio_output_enable
        powered = sio.gpio_output_enable >> self._vcc & 1 and sio.gpio_value >> self._vcc & 1 == self._vcc_on
        contacts = (VCC if powered else 0) | (RST if levels >> self._rst & 1 else 0) | (CLK if running else 0)
        if contacts != self.contacts[-1][1]:
            self.contacts.append((self._chip.now, contacts))
            if self.card is not None:
                self.card.set_contacts(self.now, contacts)
                self._follow()

    def _hear(self, _: int, level: int) -> None:
        if self.card is not None:
            self.card.set_io(self.now, level)
            self._arm()

    def _run(self) -> None:
        if self.card is not None:
            self.card.run(self.now)
            self._follow()

    def _follow(self) -> None:
        self.line.pull(self.card is not None and self.card.low)
        self._arm()

    def _arm(self) -> None:
        if self.card is not None and self.card.due is not None:
            self._chip.at(ceil(self.card.due * self.clocks), self._run)
