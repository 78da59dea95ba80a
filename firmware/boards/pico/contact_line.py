"""The contacts of one card on the pins of a Pico."""

# mypy: disable-error-code="import-not-found"

from time import sleep_us  # type: ignore[attr-defined]

from machine import Pin, mem32
from rp2 import StateMachine

from firmware.boards.pico.characters import (
    TURNAROUND_16,
    TURNAROUND_22,
    character,
    clock_divider,
    divider,
    guard,
    is_damaged,
    is_refusal,
    received_word,
    tail,
)
from firmware.boards.pico.programs import CLOCK, CLOCK_LOW, REPEATS
from firmware.boards.pico.state_machine import MAX_TOGETHER, NO_WORD, CharacterMachine
from firmware.boards.pico.wiring import Wiring
from firmware.contact_line import CharacterCounters, CharacterDamaged, ContactLine
from firmware.limits import CLOCK_KHZ
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.iso7816.line import CLK, CONTACTS_OFF, RST, VCC
from protocols.iso7816.pps import DEFAULT_FI_DI

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STEADY_MS = 50  # how long a card has been in before it is there
GATHER_MS = 3  # characters that follow one another within this are received together
POLLS = 20  # for a character, before anything else is looked at
POLLS_AT_ONCE = 80  # for the procedure byte that data follow: some 0.6 ms

_CLOCKS_FROM = 4  # the first state machine of PIO block 1
_CLKDIV_OF_CLOCKS = 0x503000C8


class PicoLine(ContactLine):
    """I/O in PIO block 0, CLK in block 1, the other contacts by software.

    A card that leaves and a short circuit take the contacts off as soon as `poll` notices.
    """

    def __init__(self, number: int, wiring: Wiring, system_clocks: int, waiting: "Callable[[], None]") -> None:
        """A clock of CLK is so many of the system; `waiting`, called while the card is waited for, polls every line."""
        self.classes = wiring.classes
        self.overcurrent = False
        self._wiring, self._system_clocks, self._waiting = wiring, system_clocks, waiting
        self._vcc = Pin(wiring.vcc, Pin.OUT, value=1 - wiring.vcc_on)
        self._rst = Pin(wiring.rst, Pin.OUT, value=0)
        self._present = Pin(wiring.present, Pin.IN, Pin.PULL_UP)
        self._select = [Pin(pin, Pin.OUT, value=0) for pin in wiring.select]
        over = wiring.overcurrent
        self._over = None if over is None else Pin(over[0], Pin.IN, Pin.PULL_UP)
        self._clock = StateMachine(_CLOCKS_FROM + number, CLOCK, set_base=Pin(wiring.clk))
        mem32[_CLKDIV_OF_CLOCKS + 0x18 * number] = clock_divider(system_clocks)
        self._io = CharacterMachine(number, Pin(wiring.io, Pin.IN))
        self._io.hold_low()
        self._contacts = CONTACTS_OFF
        self._cut = False  # contacts were taken off until the next activation
        self._seen_since: "int | None" = None
        self._error_signal = True
        self._fi_di, self._extra_guard, self._tail = DEFAULT_FI_DI, 0, 0
        self._found = bytearray(MAX_TOGETHER)
        self._before_ts = False
        self._damaged = False
        self._awaited = NO_WORD  # the procedure byte after which all that was prepared is sent
        self._refusals = 0
        self._received = self._sent = self._refused = self._resent = 0
        self.set_speed(DEFAULT_FI_DI, 0)

    @property
    def counters(self) -> CharacterCounters:
        return CharacterCounters(self._received, self._sent, self._refused, self._resent)

    def poll(self) -> None:
        over = self._wiring.overcurrent
        if over is not None and self._over is not None and self._contacts and self._over.value() == over[1]:
            self.overcurrent = True
            self._cut_off()
        if self._present.value() != self._wiring.card_in:
            self._seen_since = None
            if self.present:
                self.present, self.gone = False, True
                self._cut_off()
        elif not self.present:
            if self._seen_since is None:
                self._seen_since = ticks_ms()
            self.present = elapsed_ms(self._seen_since) >= STEADY_MS

    # Contacts

    def _cut_off(self) -> None:
        self.set_contacts(CONTACTS_OFF)
        self._cut = True

    def set_class(self, icc_class: int) -> None:
        self._cut = False
        for pin, level in zip(self._select, self._wiring.levels.get(icc_class, ())):  # noqa: B905
            pin.value(level)

    def set_contacts(self, contacts: int) -> None:
        if self._cut:
            contacts = CONTACTS_OFF  # the slot does not know yet
        before, self._contacts = self._contacts, contacts
        if not contacts & RST:
            self._rst.value(0)
        if not contacts & CLK:
            self._clock.active(0)
            self._clock.exec(CLOCK_LOW)
        if not contacts & VCC:
            self._io.hold_low()
            self._vcc.value(1 - self._wiring.vcc_on)
            return
        if not before & VCC:
            self._vcc.value(self._wiring.vcc_on)
            sleep_us(self._wiring.vcc_rises_ms * 1000)
        self._start()
        if contacts & CLK:
            self._clock.active(1)
        if contacts & RST and not before & RST:
            self._before_ts = True
            self._io.set_error_signal(False)
            self._rst.value(1)

    def wait_clocks(self, count: int) -> None:
        left_us = count * 1000 // CLOCK_KHZ + 1
        while left_us > 0:
            self._waiting()
            sleep_us(min(left_us, 10000))
            left_us -= 10000

    # Characters

    def set_speed(self, fi_di: int, extra_guard: int) -> None:
        self._fi_di, self._extra_guard = fi_di, extra_guard
        self._tail = tail(guard(extra_guard, self._error_signal), self._turnaround)
        self._io.set_divider(divider(fi_di, self._system_clocks))

    def set_error_signal(self, on: bool) -> None:
        """T=0 has one, T=1 none."""
        self._error_signal = on
        self.set_speed(self._fi_di, self._extra_guard)
        if self._contacts & VCC:
            self._io.set_turnaround(self._turnaround)
            self._io.set_error_signal(on and not self._before_ts)

    def prepare(self, command: "bytes | bytearray | memoryview", procedure_byte: int) -> None:
        self._io.load(command, self._tail)
        self._awaited = received_word(procedure_byte)

    def send(self, data: "bytes | bytearray | memoryview") -> None:
        io = self._io
        if not io.begun:
            if not io.loaded:
                io.load(data, self._tail)
            io.send(len(data))
        unsent = io.unsent()
        while unsent and not self._cut and not io.holds():
            arrived = io.arrives(1)
            unsent = io.unsent()
            if arrived and unsent:  # a refusal: no answer comes before all is sent
                self._take(io.get())
            self._waiting()
        self._sent += len(data) - unsent
        if unsent or not io.loaded:
            io.unload()
        else:
            io.awaited = self._awaited
            if not io.arrives(POLLS_AT_ONCE):
                self._waiting()

    def receive(self, count: int, limit_ms: int) -> bytes:
        io, found, end = self._io, self._found, 0
        count = min(count, len(found))
        since = ticks_ms()
        while end < count and not self._damaged:
            if io.arrives(POLLS):
                taken = end if self._before_ts else io.take(found, end, count)
                if taken == end:
                    value = self._take(io.get())
                    if value >= 0:
                        found[end] = value
                        end += 1
                else:
                    self._received += taken - end
                    self._refusals = 0
                    end = taken
                since = ticks_ms()
                continue
            self._waiting()
            if self._cut or elapsed_ms(since) >= (GATHER_MS if end else limit_ms):
                break
            if io.waiting():
                since = ticks_ms()
            if io.holds():
                self._give_up_sending()
        if end and io.loaded:
            io.unload()
        if self._damaged and not end:
            self._damaged = False
            raise CharacterDamaged()
        return bytes(memoryview(found)[:end])

    def drop_received(self) -> None:
        while self._io.arrives(1):
            self._take(self._io.get())
        self._damaged, self._refusals = False, 0

    def _take(self, word: int) -> int:
        """The character of a word, -1 for none; `_damaged` is set by one that stays wrong."""
        if is_refusal(word):
            self._resent += 1
            return -1
        if self._before_ts:  # TS comes as it is: its convention may be the inverse one
            self._before_ts = False
            self._io.set_error_signal(self._error_signal)
        elif is_damaged(word):
            self._refused += 1
            self._refusals += 1
            self._damaged = not self._error_signal or self._refusals > REPEATS
            return -1
        self._refusals = 0
        self._received += 1
        return character(word)

    def _give_up_sending(self) -> None:
        self._resent -= 1  # the last refusal is not followed by the character
        self._start()
        self._damaged = True

    def _start(self) -> None:
        self._io.start(self._turnaround)
        self._io.set_error_signal(self._error_signal)
        self._before_ts = self._damaged = False
        self._refusals = 0

    @property
    def _turnaround(self) -> int:
        return TURNAROUND_16 if self._error_signal else TURNAROUND_22
