"""What the recorded programs promise, and what an image may have against it."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import NoReturn

from tests.chaos.trace import MARKS

KINDS = ("lost", "doubled", "early", "corrupt", "broken_chains", "unbalanced", "did_not_continue", "retried")
"""Promised and not there; there twice; promised before it was there; a file SQLite refuses; a chain that does not
verify; books that do not balance; a store that does not go on; something taken after a failed write."""
AGAIN = "AGAIN"
SHOWN = 20


class Marks:
    """Where a recorded program says what has left it; seen in the trace among its writes."""

    def __init__(self, work: Path) -> None:
        self._file = os.open(work / MARKS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, line: str) -> None:
        """One line, at once."""
        os.write(self._file, f"{line}\n".encode())

    def die(self, at: int) -> NoReturn:
        """kill -9; the recording goes on with a new process from step `at`."""
        self.say(f"{AGAIN} {at}")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Faults:
    """Counts by kind, with the first ones in words."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.told: list[str] = []

    def add(self, kind: str, what: str) -> None:
        """One more; `kind` is one of `KINDS`."""
        if kind not in KINDS:
            raise ValueError(kind)
        self.counts[kind] += 1
        self.told = [*self.told, f"{kind}: {what}"][:SHOWN]

    def take(self, other: "Faults", where: str) -> None:
        """Those of an image."""
        self.counts += other.counts
        self.told = [*self.told, *(f"{where}: {each}" for each in other.told)][:SHOWN]
