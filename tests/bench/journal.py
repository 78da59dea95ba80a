"""The terminal's commit measured, and how fast the parts come back: `python -m tests.bench.journal [--json]`.

- `commit_p50`: the journal's transaction against a raw `sqlite3` commit of the same rows at the same durability, by
  turns; `append_p50` all of `Journal.append`, with serialising, hash and signature, against the same raw commit.
- `commit_p99_backlog`: the 99th percentile of `Journal.append` with 100,000 un-receipted events against that of a
  journal the centre has all of, by turns.
- `bytes_per_payload`: bytes written by the process, checkpoints included, per byte of event and person part.
- `recover_…_s`: `tests/bench/recovery.py`.

Each figure is the median of its rounds, `…_range` the least and the greatest; `…_us` are microseconds.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from host_bridge.journal.chain import Stored
from host_bridge.journal.journal import Journal
from host_bridge.journal.store import FULL
from protocols.events.frames import Entry
from tests.bench.figures import p99, told
from tests.bench.recovery import measure as measure_recovery
from tests.host_bridge.journal.samples import PERSON, Desk, receipt_at, settlement

LIMITS = {
    "commit_p50": 1.25,
    "commit_p99_backlog": 1.2,
    "recover_terminal_s": 1.0,
    "recover_server_s": 2.0,
    "recover_broker_s": 5.0,
}
ROUNDS = 9
COMMITS = 300
P99_COMMITS = 1000
BACKLOG = 100_000
BYTES_COMMITS = 1000
TIMES = 5

Figures = dict[str, float | list[float]]


class Steps:
    """How long the last transaction took, begin to commit."""

    def __init__(self) -> None:
        self._begun = self.took = 0

    def __call__(self, step: str) -> None:
        if step == "terminal.before_event":
            self._begun = time.perf_counter_ns()
        elif step == "terminal.event_committed":
            self.took = time.perf_counter_ns() - self._begun


class Raw:
    """The same tables without the journal around them."""

    def __init__(self, path: Path, like: Path) -> None:
        with closing(sqlite3.connect(f"file:{like}?mode=ro", uri=True)) as source:
            tables = "SELECT sql FROM sqlite_master WHERE tbl_name IN ('event', 'person') AND sql IS NOT NULL"
            statements = [sql for (sql,) in source.execute(tables)]
            self._event: tuple[object, ...] = source.execute("SELECT * FROM event WHERE seq = 1").fetchone()
        self._seq = 0
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(f"PRAGMA synchronous={FULL}")
        for statement in statements:
            self._connection.execute(statement)

    def commit(self) -> int:
        """One event with its person; nanoseconds."""
        self._seq += 1
        event = (self._seq, *self._event[1:])
        person = (self._seq, PERSON.certno, PERSON.card_no, PERSON.salt)
        begun = time.perf_counter_ns()
        self._connection.execute("BEGIN")
        self._connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", event)
        self._connection.execute("INSERT INTO person VALUES (?, ?, ?, ?)", person)
        self._connection.execute("COMMIT")
        return time.perf_counter_ns() - begun

    def close(self) -> None:
        self._connection.close()


def append(journal: Journal) -> int:
    """One settlement; nanoseconds."""
    event = settlement("bench")
    begun = time.perf_counter_ns()
    journal.append(event, PERSON)
    return time.perf_counter_ns() - begun


def turns(names: Sequence[str], times: int, order: random.Random) -> Iterator[str]:
    """Each name once, in random order, so many times: what the disk does meanwhile hits all alike."""
    for _ in range(times):
        yield from order.sample(names, len(names))


def against_raw(folder: Path, rounds: int, commits: int) -> Figures:
    """`commit_p50`, `append_p50`, and the times behind them."""
    order, steps = random.Random(1), Steps()
    desk = Desk(folder)
    journal = desk.create(steps)
    journal.append(settlement("first"), PERSON)
    raw = Raw(folder / "raw.db", desk.path)
    medians: dict[str, list[float]] = {"raw": [], "commit": [], "append": []}
    for _ in range(rounds):
        spent: dict[str, list[int]] = {name: [] for name in medians}
        for turn in turns(("raw", "append"), commits, order):
            spent[turn].append(raw.commit() if turn == "raw" else append(journal))
            if turn == "append":
                spent["commit"].append(steps.took)
        for name, times in spent.items():
            medians[name].append(statistics.median(times) / 1000)
    raw.close()
    desk.close()
    found: Figures = {}
    for name in ("commit", "append"):
        found |= told(f"{name}_p50", ratios(medians[name], medians["raw"]))
    for name, each in medians.items():
        found |= told(f"{name}_us", each)
    return found


def fill(journal: Journal, events: int) -> None:
    """So many events nobody has receipted; not synced one by one, for they are not what is measured."""
    journal._writes.execute("PRAGMA synchronous=0")
    for number in range(events):
        journal.append(settlement(str(number)), PERSON)


def with_backlog(folder: Path, rounds: int, commits: int, backlog: int) -> Figures:
    """`commit_p99_backlog`: full against empty."""
    order = random.Random(2)
    desks = {name: Desk(folder / name) for name in ("empty", "full")}
    for desk in desks.values():
        desk.path.parent.mkdir()
    fill(desks["full"].create(), backlog)
    desks["empty"].create()
    journals = {name: desk.open() for name, desk in desks.items()}
    tails: dict[str, list[float]] = {name: [] for name in journals}
    for _ in range(rounds):
        spent: dict[str, list[int]] = {name: [] for name in journals}
        for turn in turns(tuple(journals), commits, order):
            spent[turn].append(append(journals[turn]))
        journals["empty"].apply_receipt(receipt_at(journals["empty"].tail))
        for name, times in spent.items():
            tails[name].append(p99(times) / 1000)
    for desk in desks.values():
        desk.close()
    found = told("commit_p99_backlog", ratios(tails["full"], tails["empty"]))
    for name, each in tails.items():
        found |= told(f"p99_{name}_us", each)
    return found


def written(folder: Path, commits: int) -> Figures:
    """`bytes_per_payload` and the two numbers behind it, per settlement."""
    desk = Desk(folder)
    journal = desk.create()
    before = written_by_now()
    stored = [journal.append(settlement(str(number)), PERSON) for number in range(commits)]
    desk.close()
    bytes_ = written_by_now() - before
    payload = sum(map(payload_of, stored))
    return {
        "bytes_per_payload": round(bytes_ / payload, 2),
        "bytes_written": round(bytes_ / commits),
        "bytes_payload": round(payload / commits),
    }


def payload_of(stored: Stored) -> int:
    """Bytes of an event and its person part as they travel."""
    return len(msgspec.json.encode(Entry(msgspec.Raw(stored.data), stored.person)))


def written_by_now() -> int:
    """Bytes this process has given to write calls (proc(5), io, wchar)."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """Round by round."""
    return [this / that for this, that in zip(these, those, strict=True)]


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Everything, one after the other."""
    found: dict[str, Any] = {"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory(prefix="ssc-bench-", dir=given.folder) as folder:
        for part in ("raw", "backlog", "bytes"):
            (Path(folder) / part).mkdir()
        found |= against_raw(Path(folder) / "raw", given.rounds, COMMITS)
        found |= with_backlog(Path(folder) / "backlog", given.rounds, P99_COMMITS, given.backlog)
        found |= written(Path(folder) / "bytes", BYTES_COMMITS)
    return found | measure_recovery(given.times) if given.times else found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="The terminal's commit, and how fast the parts come back.")
    parser.add_argument("--json", action="store_true", help="one object on one line")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--backlog", type=int, default=BACKLOG)
    parser.add_argument("--times", type=int, default=TIMES, help="recoveries of each part; 0: none")
    parser.add_argument("--folder", type=Path, help="where the journals are written; else the temporary folder")
    given = parser.parse_args()
    found = measure(given)
    missed = [name for name, limit in LIMITS.items() if found.get(name, 0) > limit]
    print(json.dumps(found | {"missed": missed}, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
