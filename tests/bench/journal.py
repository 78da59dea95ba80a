"""Terminal commit against a raw `sqlite3` commit of the same rows at the same durability, interleaved.

`python -m tests.bench.journal [--rounds 9] [--commits 300] [--backlog 0]` prints one JSON object. Ratios are of one
run: `commit` is the journal's transaction alone, `append` all of it (serialising, hash, signature included). Times
in microseconds; `range` is the least and the greatest round.
"""

import argparse
import json
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from host_bridge.journal.journal import Journal
from host_bridge.journal.store import FULL
from tests.host_bridge.journal.samples import PERSON, Desk, settlement


class Steps:
    """When the last transaction began and was committed."""

    def __init__(self) -> None:
        self.begun = self.committed = 0

    def __call__(self, step: str) -> None:
        if step == "terminal.before_event":
            self.begun = time.perf_counter_ns()
        elif step == "terminal.event_committed":
            self.committed = time.perf_counter_ns()


class Raw:
    """The same tables without the journal around them."""

    def __init__(self, path: Path, like: Path) -> None:
        source = sqlite3.connect(f"file:{like}?mode=ro", uri=True)
        tables = "SELECT sql FROM sqlite_master WHERE tbl_name IN ('event', 'person') AND sql IS NOT NULL"
        statements = [row[0] for row in source.execute(tables)]
        source.close()
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute(f"PRAGMA synchronous={FULL}")
        for statement in statements:
            self.connection.execute(statement)

    def commit(self, event: tuple[object, ...], person: tuple[object, ...]) -> int:
        begun = time.perf_counter_ns()
        self.connection.execute("BEGIN")
        self.connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", event)
        self.connection.execute("INSERT INTO person VALUES (?, ?, ?, ?)", person)
        self.connection.execute("COMMIT")
        return time.perf_counter_ns() - begun


def row_of(path: Path, seq: int) -> tuple[object, ...]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    row: tuple[object, ...] = connection.execute("SELECT * FROM event WHERE seq = ?", (seq,)).fetchone()
    connection.close()
    return row


def fill(journal: Journal, events: int) -> None:
    for number in range(events):
        journal.append(settlement(str(number)), PERSON)


def measure(directory: Path, rounds: int, commits: int, backlog: int) -> dict[str, object]:
    """Rounds of journal and raw commits in random order."""
    desk, steps = Desk(directory), Steps()
    journal = desk.create(steps)
    fill(journal, max(1, backlog))
    raw = Raw(directory / "raw.db", desk.path)
    row = row_of(desk.path, 1)
    part = (PERSON.certno, PERSON.card_no, PERSON.salt)
    seq = 0
    medians: dict[str, list[float]] = {"raw": [], "commit": [], "append": []}
    tails: list[float] = []
    order = random.Random(1)
    for _ in range(rounds):
        times: dict[str, list[int]] = {"raw": [], "commit": [], "append": []}
        work = ["raw", "journal"] * commits
        order.shuffle(work)
        for which in work:
            if which == "raw":
                seq += 1
                times["raw"].append(raw.commit((seq, *row[1:]), (seq, *part)))
            else:
                begun = time.perf_counter_ns()
                journal.append(settlement("bench"), PERSON)
                times["append"].append(time.perf_counter_ns() - begun)
                times["commit"].append(steps.committed - steps.begun)
        for name, values in times.items():
            medians[name].append(statistics.median(values) / 1000)
        tails.append(statistics.quantiles(times["append"], n=100)[98] / 1000)
    raw.connection.close()
    desk.close()
    return {
        "rounds": rounds,
        "commits": commits,
        "backlog": backlog,
        **{f"{name}_p50_us": spread(values) for name, values in medians.items()},
        "append_p99_us": spread(tails),
        "commit_to_raw": spread([a / b for a, b in zip(medians["commit"], medians["raw"], strict=True)]),
        "append_to_raw": spread([a / b for a, b in zip(medians["append"], medians["raw"], strict=True)]),
    }


def spread(values: list[float]) -> dict[str, object]:
    return {
        "median": round(statistics.median(values), 2),
        "range": [round(min(values), 2), round(max(values), 2)],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--commits", type=int, default=300)
    parser.add_argument("--backlog", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(Path(directory), chosen.rounds, chosen.commits, chosen.backlog)))


if __name__ == "__main__":
    main()
