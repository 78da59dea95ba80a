"""The simulated keypad under the firmware: fingers on keys whose contacts bounce (`protocols.ccid.keypad`).

Like any matrix without diodes it shows four closed keys where three corners of a rectangle are pressed.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from hardware.virtual.pressed_keys import Keys
from hardware.virtual.served_line import ServedLine
from protocols.ccid.keypad import BACKSPACE, CANCEL, CLEAR, LAMPS, LAYOUT, OK

NAMES = {**{str(digit): digit for digit in range(10)}, "ok": OK, "clear": CLEAR, "back": BACKSPACE, "cancel": CANCEL}
"""What keys are called here."""
HOLD_S, GAP_S = 0.08, 0.05
BOUNCES = 2
LOOK_S = 0.05


class Phase(NamedTuple):
    """Keys that are down for at least so long, and at least one scan."""

    down: frozenset[int]
    seconds: float


def press(*names: str, hold_s: float = HOLD_S, gap_s: float = GAP_S, bounces: int = BOUNCES) -> list[Phase]:
    """After a gap fingers on these keys at once; the contacts bounce as they close and as they open."""
    down, up = frozenset(NAMES[name] for name in names), frozenset[int]()
    bounce = [Phase(keys, 0.0) for _ in range(bounces) for keys in (down, up)]
    return [Phase(up, gap_s), *bounce, Phase(down, hold_s), *reversed(bounce)]


class VirtualKeypad(ServedLine):
    """Keys that are pressed one after the other while the reader waits for a PIN and looks at them.

    `keys` are asked for when no other key is to be pressed. `lamps` is what is lit now, `lit` what was, in order.
    """

    def __init__(
        self,
        keys: Keys = lambda: None,
        *,
        hold_s: float = HOLD_S,
        gap_s: float = GAP_S,
        bounces: int = BOUNCES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A key is held for `hold_s`, `gap_s` after the last one was let go, and bounces so often at either end."""
        super().__init__("virtual keypad")
        self._keys, self._monotonic = keys, monotonic
        self._press = partial(press, hold_s=hold_s, gap_s=gap_s, bounces=bounces)
        self.lamps = 0
        self.lit: list[int] = []
        self._busy = threading.Lock()
        self._phases: deque[Phase] = deque()
        self._began: float | None = None
        self._over = False
        self._down: frozenset[int] = frozenset()

    def press(self, *names: str) -> None:
        """One key after the other; `135790` stands for its digits."""
        for word in names:
            for name in word if word.isdecimal() else (word,):
                self.play(self._press(name))

    def play(self, phases: Iterable[Phase]) -> None:
        """What fingers do, while the reader waits for a PIN."""
        with self._busy:
            self._phases.extend(phases)

    # The thread

    def _go_on(self) -> float:
        return LOOK_S

    def _take(self, data: bytes) -> None:
        with self._busy:
            answer = bytes(self._scan(value) for value in data if not self._light(value))
        self._send(answer)

    def _end(self) -> None:
        self.lamps = 0

    def _light(self, value: int) -> bool:
        """Whether this byte was for the lamps."""
        if value < LAMPS:
            return False
        self.lamps = value & ~LAMPS
        self.lit.append(self.lamps)
        return True

    def _scan(self, rows: int) -> int:
        """The columns that these rows pull; the fingers move when a scan begins."""
        if rows & 1:
            self._move()
        return columns(self._down, rows)

    def _move(self) -> None:
        """A scan at or after the end of a phase still shows it, so that each lasts as long as the reader measures."""
        now = self._monotonic()
        if self._over:
            self._phases.popleft()
            self._began = None
        if not self._phases:
            key = self._keys()
            self._phases.extend(self._press(key) if key in NAMES else ())
        self._over = False
        if not self._phases:
            self._down = frozenset()
            return
        self._began = now if self._began is None else self._began
        self._down, seconds = self._phases[0]
        self._over = now - self._began >= seconds


def columns(down: frozenset[int], rows: int) -> int:
    """What the driven rows pull through all closed keys, one bit for each column."""
    places = [(row, column) for row, keys in enumerate(LAYOUT) for column, key in enumerate(keys) if key in down]
    found = 0
    while True:
        more = found
        for row, column in places:
            if rows >> row & 1:
                more |= 1 << column
        for row, column in places:
            if more >> column & 1:
                rows |= 1 << row
        if more == found:
            return found
        found = more
