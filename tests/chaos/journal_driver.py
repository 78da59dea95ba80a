"""A terminal's journal worked by hand: one command a line from standard input, one JSON answer a line.

`-m tests.chaos.journal_driver WORK` with what `terminal_power.prepare` made. Commands: open, close, append, look.
"""

import json
import sys
from pathlib import Path
from typing import Any

from host_bridge.journal.errors import JournalError
from host_bridge.journal.journal import Journal
from protocols.texts.catalogue import texts
from tests.chaos.terminal_power import key_of
from tests.host_bridge.journal.samples import PERSON, HandClock, settlement


class Driver:
    """Holds the journal."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._journal: Journal | None = None

    def do(self, command: str) -> dict[str, Any]:
        """One command; an error of the journal with its catalogue number."""
        try:
            return self._do(command)
        except JournalError as error:
            return {"refused": texts()[error.key].number, **error.facts}

    def _do(self, command: str) -> dict[str, Any]:
        if command == "open":
            self._journal = Journal.open(self._work / "store" / "journal.db", key_of(self._work), HandClock())
            return {"end": self._journal.verify().seq}
        assert self._journal is not None
        if command == "append":
            stored = self._journal.append(settlement("1"), PERSON)
            return {"seq": stored.seq, "hash": stored.hash}
        if command == "look":
            return {"hashes": [each.hash for each in self._journal.after(0, 1000)]}
        if command == "close":
            self._journal.close()
            return {}
        raise ValueError(command)


def main() -> None:
    driver = Driver(Path(sys.argv[1]))
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(driver.do(line.strip())), flush=True)


if __name__ == "__main__":
    main()
