"""What holders see and hear of the PIN pad."""

from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.keypad import BUZZER, GREEN, RED

# Signals: lamps and how many ms they are on, one after the other
ACCEPTED = ((GREEN | BUZZER, 30),)
REFUSED = ((RED | BUZZER, 120), (RED, 80), (RED | BUZZER, 120))
DONE = ((GREEN | BUZZER, 300),)
FAILED = ((RED | BUZZER, 600),)

WAITING = GREEN
DARK = 0


class Indicator:
    """Plays one signal at a time and goes back to `WAITING` or `DARK`. This one is silent: a board drives its own."""

    def __init__(self) -> None:
        self._rest = DARK
        self._steps: "tuple[tuple[int, int], ...]" = ()
        self._step_began = 0

    def drive(self, lamps: int) -> None:
        """`GREEN`, `RED` and `BUZZER` on, what is not in `lamps` off."""

    def rest(self, lamps: int) -> None:
        """What is on between signals."""
        self._rest = lamps
        if not self._steps:
            self.drive(lamps)

    def play(self, signal: "tuple[tuple[int, int], ...]") -> None:
        """In place of the one that is being played."""
        self._steps = signal
        self._step_began = ticks_ms()
        self.drive(signal[0][0])

    def poll(self) -> None:
        """Take the next step where it is due."""
        while self._steps and elapsed_ms(self._step_began) >= self._steps[0][1]:
            self._steps = self._steps[1:]
            self._step_began = ticks_ms()
            self.drive(self._steps[0][0] if self._steps else self._rest)

    def due_ms(self, most: int) -> int:
        """When to call `poll` again, at most this."""
        if not self._steps:
            return most
        return max(0, min(most, self._steps[0][1] - elapsed_ms(self._step_began)))
