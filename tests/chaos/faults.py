"""Faults inside a process: death at a durable step, and a wall clock that jumps."""

import os
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from protocols.events.clock import SHANGHAI, Clock

ARMED = "armed"
"""A file of this name in the part's folder: from now on the passings of its step count."""
DEATHS = "deaths"
"""One line a death: the step it died at."""


class Doom:
    """An `OnStep` that kills its own process at the `passes`-th passing of `step`; without a step never."""

    def __init__(self, folder: Path, step: str | None, passes: int) -> None:
        self._armed, self._deaths = folder / ARMED, folder / DEATHS
        self._step, self._left = step, passes

    def __call__(self, step: str) -> None:
        if step != self._step or not self._armed.exists():
            return
        self._left -= 1
        if self._left <= 0:
            note(self._deaths, step)
            os.kill(os.getpid(), signal.SIGKILL)


class JumpyClock:
    """Another clock whose wall now and then jumps to one of `jumps`; what it shows then is not trusted."""

    def __init__(self, clock: Clock, random: Random, jumps: Sequence[timedelta], rate: float) -> None:
        """`rate`: probability of a jump at a look."""
        self._clock, self._random, self._jumps, self._rate = clock, random, jumps, rate
        self._offset = timedelta()

    def wall(self) -> datetime:
        if self._random.random() < self._rate:
            self._offset = self._random.choice(self._jumps)
        return (self._clock.wall() + self._offset).astimezone(SHANGHAI)

    def monotonic_ms(self) -> int:
        return self._clock.monotonic_ms()

    def boot_id(self) -> str:
        return self._clock.boot_id()

    def trusted(self) -> bool:
        return not self._offset


def note(path: Path, line: str) -> None:
    """Append a line with one write, which a kill cannot tear."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def part_arguments(what: str) -> Namespace:
    """The arguments of a part: its folder, a seed, and where it dies."""
    parser = ArgumentParser(description=what)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--step")
    parser.add_argument("--passes", type=int, default=1)
    return parser.parse_args()
