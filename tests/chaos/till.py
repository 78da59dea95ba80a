"""The terminal of the soak: the real journal and link, bills without a card, files for screen and paper.

Its folder has `state/` (enrolled), `limit`, up to which event it may go, and beside it `people/`. `shown.txt` gets the
line of every result as it appears on the screen, `paper/<seq>.txt` the receipt; what was settled and never printed
before it died is printed at the next start, as a copy.
"""

import signal
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event

from host_bridge.clock import SystemClock
from host_bridge.enrol import open_journal
from host_bridge.journal.chain import Stored
from host_bridge.journal.journal import Journal
from host_bridge.link.link import Link
from protocols.events.events import Refund, Settlement, event_id
from protocols.events.steps import OnStep
from tests.chaos.faults import Doom, JumpyClock, note, part_arguments
from tests.chaos.people import read_people
from tests.chaos.visits import Desk

COPY = "补打 "
PAUSE_S = 0.06
"""At most between two visits."""
JUMPS = (
    *(timedelta(),) * 6,
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(hours=-3),
    timedelta(days=-40),
    timedelta(days=-365 * 5),
    timedelta(days=-365 * 56),
    timedelta(days=400),
)
RATE = 0.01


def slip(stored: Stored) -> str:
    """The line of a receipt that names its event, as the printer's layout has it."""
    assert isinstance(stored.event.data, Settlement | Refund)
    split = stored.event.data.split
    amounts = (split.medfee_sumamt, split.fund_pay_sumamt, split.acct_pay, split.psn_cash_pay)
    return f"#{stored.id} {' '.join(map(str, amounts))} {stored.hash[:16]}"


class Till:
    """Settles until it is told to stop."""

    def __init__(
        self, folder: Path, journal: Journal, link: Link, *, desk: Desk, random: Random, on_step: OnStep
    ) -> None:
        self._folder, self._journal, self._link, self._desk = folder, journal, link, desk
        self._random, self._on_step = random, on_step
        self._paper = folder / "paper"
        self._paper.mkdir(exist_ok=True)

    def run(self, ended: Event) -> None:
        """Visits, as far as the limit allows."""
        self._catch_up()
        while not ended.is_set():
            if self._journal.end >= int((self._folder / "limit").read_text()):
                ended.wait(0.02)
                continue
            data, person = self._desk.visit()
            stored = self._journal.append(data, person)
            if isinstance(data, Settlement | Refund):
                self._show(stored)
            self._link.wake()
            ended.wait(self._random.uniform(0, PAUSE_S))

    def _show(self, stored: Stored) -> None:
        note(self._folder / "shown.txt", slip(stored))
        self._on_step("terminal.result_shown")
        note(self._paper / f"{stored.seq}.txt", slip(stored))
        self._on_step("terminal.receipt_printed")

    def _catch_up(self) -> None:
        """Print the last bill where a death came before its receipt."""
        record = self._journal.record
        for seq in range(self._journal.end, 0, -1):
            stored = self._journal.find(event_id(record.terminal, record.epoch, seq))
            if stored is not None and isinstance(stored.event.data, Settlement | Refund):
                paper = self._paper / f"{seq}.txt"
                if not paper.exists() or paper.stat().st_size == 0:
                    note(paper, f"{COPY}\n{slip(stored)}")
                return


def main() -> None:
    given = part_arguments("One terminal, run until SIGTERM or its step.")
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    random = Random(given.seed)
    on_step = Doom(given.folder, given.step, given.passes)
    clock = JumpyClock(SystemClock("always"), Random(random.random()), JUMPS, RATE)
    with closing(open_journal(given.folder / "state", clock, on_step)) as journal:
        chance = Random(random.random())
        link = Link(journal, journal.record, clock=clock, random=chance, on_change=lambda: None, on_step=on_step)
        link.start()
        people = read_people(given.folder.parent / "people")
        desk = Desk(journal, link, clock, Random(random.random()), people)
        Till(given.folder, journal, link, desk=desk, random=random, on_step=on_step).run(ended)
        link.stop()


if __name__ == "__main__":
    main()
