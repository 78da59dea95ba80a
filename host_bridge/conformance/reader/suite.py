"""The suite for readers: every case, in the order of its groups."""

import random
from collections.abc import Iterator, Sequence

from host_bridge.conformance.case import Case, Finding, Outcome, Reason, Result, Suite, Unable, Unexpected
from host_bridge.conformance.reader import ccid, characters, frames, moves, reset, speed, t0
from host_bridge.conformance.reader.bench import Bench, lacking
from host_bridge.readers.reader import ReaderError

SUITE = Suite(
    "reader",
    "读卡器一致性检查",
    "Conformance of a card reader",
    {
        "RESET": ("复位", "Resets"),
        "T0": ("T=0 协议", "T=0"),
        "CHAR": ("损坏的字符", "Damaged characters"),
        "SPEED": ("速率", "Speed"),
        "CCID": ("读卡器命令", "Commands of the reader"),
        "FRAME": ("串口帧", "Frames on the serial line"),
        "MOVE": ("插拔", "Insertion and removal"),
    },
    "reader.md",
)

CASES: tuple[Case, ...] = (
    *reset.CASES,
    *t0.CASES,
    *characters.CASES,
    *speed.CASES,
    *ccid.CASES,
    *frames.CASES,
    *moves.CASES,
)


def run_cases(bench: Bench, cases: Sequence[Case], seed: int) -> Iterator[Result]:
    """The result of each case as it ends; every case has random numbers of its own from the seed."""
    for case in cases:
        bench.random = random.Random(f"{seed} {case.id}")  # noqa: S311 - when, not what
        began = bench.clock()
        outcome, finding, reason, measured = _run(bench, case)
        yield Result(case, outcome, bench.clock() - began, finding, reason, measured)


def _run(bench: Bench, case: Case) -> tuple[Outcome, Finding | None, Reason | None, str]:
    """A reader that fails in a case has failed this case; the next one tries it again."""
    try:
        for ability in case.needs:
            if ability not in bench.abilities:
                raise lacking(ability)
        measured = case.check(bench)
    except Unexpected as error:
        return "failed", error.finding, None, ""
    except Unable as error:
        return "skipped", None, error.reason, ""
    except ReaderError as error:
        return "failed", Finding(case.id, "an answer", str(error) or type(error).__name__), None, ""
    return "passed", None, None, measured or ""
