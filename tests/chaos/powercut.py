"""Power cuts at every boundary of everything a terminal and a centre write: `python -m tests.chaos.powercut --json`.

Sessions of each are recorded under strace, some with syncs that fail. Before every operation of a recording the power
is cut: everything unsynced dropped, everything kept, and `--variants` times kept, dropped or torn by chance. Each image
is opened by the product's own code and held against everything that had been acknowledged by then.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos import centre_power, terminal_power
from tests.chaos.promises import AGAIN, KINDS, Faults
from tests.chaos.replay import Disk, Image
from tests.chaos.trace import MARKS, Marked, Operation, Sync, Write, operations, record

SHARED_MEMORY = Path("/dev/shm")
CHUNKS = 16
"""Pieces of work for each process."""


class Side(NamedTuple):
    """A terminal or a centre: its recorded program, and how that is prepared and an image examined and judged."""

    program: str
    prepare: Callable[[Path, str], None]
    examine: Callable[[Path, Path], Any]
    judge: Callable[[Path, Any, list[str]], Faults]


class Schedule(NamedTuple):
    """One recording: which plan, which syncs fail (strace's `when`, by thread), and how the program goes on then."""

    side: str
    plan: str = "long"
    failing: str = ""
    after_fault: str = "close"


SIDES = {
    "terminal": Side(
        "tests.chaos.terminal_power", terminal_power.prepare, terminal_power.examine, terminal_power.judge
    ),
    "centre": Side("tests.chaos.centre_power", centre_power.prepare, centre_power.examine, centre_power.judge),
}
FAILING = (
    Schedule("terminal", "short", "7", "kill"),
    Schedule("terminal", "short", "7", "close"),
    Schedule("terminal", "short", "11", "kill"),
    Schedule("terminal", "short", "12..17", "close"),
    Schedule("centre", "short", "2", "kill"),
    Schedule("centre", "short", "2..4", "close"),
    Schedule("centre", "short", "4..9", "kill"),
)
"""One sync of a commit, several in a row, and those of a checkpoint."""
SCHEDULES = (Schedule("terminal"), Schedule("centre"), *FAILING)


@dataclass
class Result:
    """What the cuts of one recording came to."""

    cuts: int = 0
    images: int = 0
    faults: Faults = field(default_factory=Faults)

    def take(self, other: "Result", where: str = "") -> None:
        """Add another one's."""
        self.cuts += other.cuts
        self.images += other.images
        self.faults.take(other.faults, where)


class Recording:
    """A recorded session in the folder `work`: what was there before it, and what it did."""

    def __init__(self, schedule: Schedule, work: Path, *, weakened: bool = False) -> None:
        self.side, self.work = SIDES[schedule.side], work
        self.side.prepare(work, schedule.plan)
        store = work / "store"
        self.before: Image = {path.name: path.read_bytes() for path in store.iterdir()}
        logs, at, ended = list[Path](), "0", False
        while not ended:
            failing = schedule.failing and not any(b"(INJECTED)" in log.read_bytes() for log in logs)
            fault = ("-e", f"inject=fsync,fdatasync:error=EIO:when={schedule.failing}") if failing else ()
            logs.append(work / f"log-{len(logs)}")
            program = [*(["tests.chaos.weakened"] if weakened else []), self.side.program]
            command = [sys.executable, "-m", *program, str(work), schedule.plan, schedule.after_fault, at]
            ended = record(command, logs[-1], *fault)
            said = [line.split() for line in (work / MARKS).read_text().splitlines()]
            at = next((words[1] for words in reversed(said) if words[0] == AGAIN), at)
        self.operations: list[Operation] = operations(logs, store)

    def facts(self) -> dict[str, int]:
        """How much there is to cut."""
        syncs = [each for each in self.operations if isinstance(each, Sync)]
        return {
            "operations": len(self.operations),
            "writes": sum(isinstance(each, Write) for each in self.operations),
            "syncs": len(syncs),
            "failed_syncs": sum(not each.done for each in syncs),
            "checkpoints": sum(each.name.endswith(".db") for each in syncs),
            "marks": sum(isinstance(each, Marked) for each in self.operations),
        }

    def places(self, every: int = 1) -> list[int]:
        """Every n-th boundary, and the end."""
        return sorted({*range(0, len(self.operations), every), len(self.operations)})

    def cut(self, places: Sequence[int], seed: int, variants: int, room: Path) -> Result:
        """Cut the power before each of these operations; `room` is scratch space."""
        result, disk, said = Result(), Disk(self.before), list[str]()
        wanted, known = set(places), dict[int, Any]()
        for place, operation in enumerate([*self.operations, None]):
            if place in wanted:
                result.cuts += 1
                for number, image in enumerate(disk.images(random.Random(f"{seed}/{place}"), variants)):
                    found = self._found(image, known, room)
                    result.faults.take(self.side.judge(self.work, found, said), f"cut {place}, image {number}")
                    result.images += 1
            if isinstance(operation, Marked):
                said.append(operation.line)
            elif operation is not None:
                disk.apply(operation)
        return result

    def _found(self, image: Image, known: dict[int, Any], room: Path) -> Any:
        """What the product makes of an image; the same image is opened once."""
        digest = hash(tuple(sorted(image.items())))
        if digest not in known:
            with tempfile.TemporaryDirectory(dir=room) as folder:
                store = Path(folder)
                for name, data in image.items():
                    (store / name).write_bytes(data)
                known[digest] = self.side.examine(self.work, store)
        return known[digest]


_cut: Callable[[Sequence[int]], Result]


def cut_all(recording: Recording, places: Sequence[int], *, seed: int, variants: int, room: Path) -> Result:
    """`Recording.cut` on every processor, neighbouring places together."""
    workers = os.cpu_count() or 1
    size = -(-len(places) // (CHUNKS * workers))
    total = Result()
    spawned = multiprocessing.get_context("spawn")  # a fork of a process with threads may never come to an end
    with spawned.Pool(workers, _begin, (recording, seed, variants, room)) as pool:
        for result in pool.imap(_cut_chunk, [places[begin : begin + size] for begin in range(0, len(places), size)]):
            total.take(result)
    return total


def _begin(recording: Recording, seed: int, variants: int, room: Path) -> None:
    """In every process."""
    global _cut
    _cut = lambda chunk: recording.cut(chunk, seed, variants, room)  # noqa: E731 - the same for all its chunks


def _cut_chunk(chunk: Sequence[int]) -> Result:
    return _cut(chunk)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: nothing in it has to reach a disk."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--variants", type=int, default=2, help="images by chance at each cut, besides the two extremes"
    )
    parser.add_argument("--every", type=int, default=1, help="cut at every n-th boundary only")
    parser.add_argument("--json", action="store_true", help="one JSON object a recording, the totals last")
    arguments = parser.parse_args()
    say = json.dumps if arguments.json else lambda facts: "  ".join(f"{name} {value}" for name, value in facts.items())
    total, failed, started = Result(), 0, time.monotonic()
    for schedule in SCHEDULES:
        with scratch() as room:
            work = room / "work"
            work.mkdir()
            recording = Recording(schedule, work)
            places = recording.places(arguments.every)
            result = cut_all(recording, places, seed=arguments.seed, variants=arguments.variants, room=room)
        facts = recording.facts()
        failed += facts["failed_syncs"]
        total.take(result, " ".join(schedule))
        counted = {"cuts": result.cuts, "images": result.images, **result.faults.counts}
        print(say({**schedule._asdict(), **facts, **counted, "told": result.faults.told}), flush=True)
    sums = {kind: total.faults.counts[kind] for kind in KINDS}
    counted = {"cuts": total.cuts, "images": total.images, "failed_syncs": failed, **sums}
    print(say({"seed": arguments.seed, **counted, "seconds": round(time.monotonic() - started, 1)}))
    sys.exit(1 if any(sums.values()) else 0)


if __name__ == "__main__":
    main()
