"""A card at the level of its contacts: what it drives on I/O, and when (`reader.md B.1`, `B.2`).

All times are in clocks: periods of CLK, from any beginning.
"""

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from hardware.virtual.card_side import CardSide
from hardware.virtual.line_faults import Sent
from protocols.iso7816.atr import CLASS_B
from protocols.iso7816.line import CONTACTS_OFF, RUNNING, VCC
from protocols.iso7816.pps import DEFAULT_FI_DI, f_and_d

ATR_AFTER = 500.0  # clocks from RST high
CHARACTER_ETU, REPEAT_ETU = 12, 13.5  # between leading edges
TURNAROUND_ETU, BLOCK_GUARD_ETU = 16, 22  # where the direction changes, in T=0 and T=1
ERROR_SIGNAL_FROM, ERROR_SIGNAL_ETU, LOOK_ETU = 10.5, 1.0, 11.0
FRAME_BITS = 10
REPEATS = 3


class Character(NamedTuple):
    """One to be sent, so many clocks later than it could be."""

    value: int
    etu: float
    pause: float
    damaged: bool


class ContactCard:
    """Tell it of every change of the contacts and of I/O, and run it when it is `due`; `low` is what it drives.

    In T=0 a character with wrong parity it refuses by the error signal; one of its own that is refused it sends again,
    three times, and then says nothing more. `refused` and `resent` count both.
    """

    def __init__(self, side: CardSide, clock_khz: int, pull: Callable[[], None] = lambda: None) -> None:
        """`pull` is called where the card is to leave."""
        self._side, self._clock_khz, self._pull = side, clock_khz, pull
        self._contacts = CONTACTS_OFF
        self._level = 1
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._waiting: deque[Character] = deque()
        self._endless: Character | None = None
        self._sending = self._receiving = False
        self._next = 0.0  # the earliest leading edge
        self._samples: list[int] = []
        self.low = False
        self.refused = self.resent = 0

    @property
    def due(self) -> float | None:
        """When to run it next; None: not before something changes."""
        return self._events[0][0] if self._events else None

    def run(self, now: float) -> None:
        """All that is due by now."""
        while self._events and self._events[0][0] <= now:
            when, _, what = heapq.heappop(self._events)
            what(when)

    def set_contacts(self, now: float, contacts: int, icc_class: int = CLASS_B) -> None:
        """VCC, CLK and RST as they are from now on."""
        before, self._contacts = self._contacts, contacts
        if contacts & VCC and not before & VCC:
            self._side.power_on()
        if contacts == RUNNING and before != RUNNING:
            self._next = now + ATR_AFTER
            self._say(self._side.reset(icc_class), now)
        elif contacts != RUNNING:
            self._events.clear()
            self._waiting.clear()
            self._endless = None
            self._sending = self._receiving = self.low = False

    def set_io(self, now: float, level: int) -> None:
        """The line, whoever drives it."""
        self._level = level
        if level or self._sending or self._receiving or self._contacts != RUNNING:
            return
        self._receiving, self._samples = True, []
        etu = _etu(self._side.speed)
        for place in range(FRAME_BITS):
            self._at(now + (place + 0.5) * etu, self._sample)
        self._at(now + ERROR_SIGNAL_FROM * etu, lambda when: self._take(when, now, etu))

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    # From the reader

    def _sample(self, _: float) -> None:
        self._samples.append(self._level)

    def _take(self, now: float, start: float, etu: float) -> None:
        if self._samples[0]:
            self._receiving = False  # no start bit
        elif sum(self._samples[1:]) % 2 and self._side.has_error_signal:
            self.refused += 1
            self.low = True
            self._at(now + ERROR_SIGNAL_ETU * etu, self._end_refusal)
        else:
            self._receiving = False
            turnaround = TURNAROUND_ETU if self._side.has_error_signal else BLOCK_GUARD_ETU
            self._next = start + turnaround * etu
            value = sum(level << place for place, level in enumerate(self._samples[1:9]))
            self._say(self._side.take(value, self._side.speed), now)

    def _end_refusal(self, _: float) -> None:
        self.low = self._receiving = False

    # To the reader

    def _say(self, sent: list[Sent], now: float) -> None:
        for each in sent:
            if each.pulled:
                self._pull()
                return
            pause, etu = each.pause_ms * float(self._clock_khz), _etu(each.speed)
            for place, value in enumerate(each.characters):
                self._waiting.append(Character(value, etu, 0.0 if place else pause, each.damaged))
            if each.endless:
                self._endless = self._waiting[-1]
        if not self._sending:
            self._send_next(now)

    def _send_next(self, now: float) -> None:
        character = self._waiting.popleft() if self._waiting else self._endless
        self._sending = character is not None
        if character is not None:
            self._send(max(now, self._next) + character.pause, character, 0)

    def _send(self, start: float, character: Character, repeated: int) -> None:
        data = [character.value >> place & 1 for place in range(8)]
        levels = [0, *data, sum(data) % 2 ^ character.damaged, 1]
        for place, level in enumerate(levels):
            self._at(start + place * character.etu, lambda _, level=level: self._drive(level))  # type: ignore[misc]
        self._at(start + LOOK_ETU * character.etu, lambda _: self._look(start, character, repeated))

    def _drive(self, level: int) -> None:
        self.low = not level

    def _look(self, start: float, character: Character, repeated: int) -> None:
        if self._level:
            self._next = start + CHARACTER_ETU * character.etu
            self._send_next(self._next)
        elif repeated < REPEATS:
            self.resent += 1
            self._send(start + REPEAT_ETU * character.etu, character, repeated + 1)
        else:
            self._waiting.clear()
            self._endless, self._sending = None, False


def _etu(fi_di: int) -> float:
    f, d = f_and_d(fi_di or DEFAULT_FI_DI)
    return f / d
