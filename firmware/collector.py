"""Garbage is collected between the host's commands: no exchange with a card waits for it."""

import gc

from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.serial_frame import QUIET_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST_COMMANDS = 24  # one leaves 2 kB, the longest 3.5 kB, and 130 kB are free after a collection, which takes 20 ms


class Collector:
    """Collects now, when the host is silent, and under a host that never is after so many commands.

    MicroPython still collects by itself where more is used up, as by a card that sends NULL without end.
    """

    def __init__(self, collect: "Callable[[], object]" = gc.collect) -> None:
        self._collect = collect
        self._commands = 0
        self._served = ticks_ms()
        collect()

    def served(self, commands: int) -> None:
        """So many commands were answered since the last call; call it also after none."""
        if commands:
            self._commands += commands
            self._served = ticks_ms()
        if self._commands >= MOST_COMMANDS or (self._commands and elapsed_ms(self._served) >= QUIET_MS):
            self._collect()
            self._commands = 0
