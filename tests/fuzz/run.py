"""Fuzzes what takes bytes of a card, in turns, until the time is up: `python -m tests.fuzz.run --minutes 60`.

Ends with 1 where a case failed; it is printed as hypothesis shrank it, and its target is left out from then on.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from protocols.sscard.files import versions
from tests.fuzz import modules, parsers, sessions, streams
from tests.fuzz.mutations import Target
from tests.hardware.virtual.tearing import WRITES, Bench

TARGETS = (*parsers.TARGETS, *sessions.TARGETS, *modules.TARGETS, *streams.TARGETS)
CASES = 500
"""Of a target in a turn."""
TEARING = "tearing"
BENCHES = tuple(itertools.product(versions(), WRITES))
"""A command on a version of the card, cut at every byte that it writes: one in a turn."""


@dataclass
class Tally:
    """What came of a target so far."""

    name: str
    cases: int = 0
    seconds: float = 0.0
    failed: bool = False


def fuzz(targets: Sequence[Target], *, minutes: float, every: int = 1) -> list[Tally]:
    """Turns of all targets and of one bench, at least one, until the time is up; writes are cut at `every`-th bytes."""
    end = time.monotonic() + 60 * minutes
    tallies = [*(Tally(target.name) for target in targets), Tally(TEARING)]
    work = [*map(_hypothesis, targets), _tearing(itertools.cycle(BENCHES), every)]
    for turn in itertools.count():
        for tally, run in zip(tallies, work, strict=True):
            if (turn and time.monotonic() > end) or all(each.failed for each in tallies):
                return tallies
            if not tally.failed:
                _run(tally, run)
    return tallies


def _run(tally: Tally, run: Callable[[Tally], None]) -> None:
    started = time.monotonic()
    try:
        run(tally)
    except Exception:
        tally.failed = True
        print(f"{tally.name}:", file=sys.stderr)
        traceback.print_exc()
    tally.seconds += time.monotonic() - started


def _hypothesis(target: Target) -> Callable[[Tally], None]:
    def run(tally: Tally) -> None:
        def case(drawn: Any) -> None:
            tally.cases += 1
            target.check(drawn)

        limits = settings(
            max_examples=CASES,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            phases=[Phase.generate, Phase.shrink],
        )
        limits(given(target.cases)(case))()

    return run


def _tearing(benches: Iterator[tuple[str, str]], every: int) -> Callable[[Tally], None]:
    def run(tally: Tally) -> None:
        version, name = next(benches)
        with tempfile.TemporaryDirectory(prefix="ssc-fuzz-") as folder:
            tally.cases += Bench(Path(folder), version, name).cut_all(every)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long; a turn of everything is finished at least")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    tallies = fuzz(TARGETS, minutes=arguments.minutes)
    if arguments.json:
        print(json.dumps([asdict(tally) for tally in tallies]))
    else:
        for tally in tallies:
            ended = "FAILED" if tally.failed else "stood"
            print(f"{tally.name:10} {ended:6} {tally.cases:9,} cases {tally.seconds:7.1f} s")
    sys.exit(1 if any(tally.failed for tally in tallies) else 0)


if __name__ == "__main__":
    main()
