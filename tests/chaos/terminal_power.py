"""The terminal's side of the power cuts: a session on a real journal, and what a journal must hold afterwards.

Run as a process, `-m tests.chaos.terminal_power WORK PLAN AFTER_FAULT AT` plays a plan on `WORK/store/journal.db` and
marks every moment a result, a mark or a visit number left the journal. After a `JournalStopped` it closes the journal
and opens it again (`close`), or dies and leaves that to a new process (`kill`).
"""

import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from host_bridge.journal.chain import Mark, Stored
from host_bridge.journal.errors import AlreadyRefunded, JournalBroken, JournalError, JournalStopped
from host_bridge.journal.journal import Journal
from host_bridge.journal.reader import JournalReader
from protocols.events.events import Refusal, Settlement
from tests.chaos.promises import Faults, Marks
from tests.host_bridge.journal.samples import (
    PERSON,
    SECRET,
    HandClock,
    answer,
    receipt_at,
    record_for,
    refund,
    settlement,
)

LARGE = "0" * 160_000
"""Fills 40 pages, so that a few events bring the log to 1,000 pages, where SQLite checkpoints it by itself."""
TRIES = 20
MORNING = ("settle", "visit", "settle", "receipt", "remember", "settle", "refund", "refuse")
PLANS = {
    "short": (*MORNING, "restart", *MORNING, "reopen", *MORNING, *MORNING),
    "long": (*MORNING, "restart", *MORNING, "reopen", *("large",) * 26, "receipt", *MORNING, "restart", *MORNING),
}


@dataclass(frozen=True)
class Found:
    """What the product makes of an image; `trouble` where it refuses it or does not go on."""

    hashes: dict[int, str]
    mark: int = 0
    visit: str = ""
    trouble: tuple[str, str] | None = None


class Session:
    """The recorded program."""

    def __init__(self, work: Path, plan: str, after_fault: str) -> None:
        self._work, self._plan, self._after_fault = work, PLANS[plan], after_fault
        self._key = key_of(work)
        self._clock = HandClock()
        self._marks = Marks(work)
        self._journal = self._open()

    def play(self, at: int) -> None:
        """The plan from a step on."""
        for number, step in enumerate(self._plan[at:], at):
            self._clock.pass_by(timedelta(seconds=20))
            if step == "reopen":
                self._journal.close()
                self._journal = self._open()
            elif step == "restart":
                self._marks.die(number + 1)
            else:
                try:
                    self._step(step, number)
                except JournalStopped as stopped:
                    self._stopped(stopped, number)
        self._journal.close()

    def _step(self, step: str, number: int) -> None:
        journal = self._journal
        if step in ("settle", "large"):
            serial = str(number) + (LARGE if step == "large" else "")
            self._say_event(journal.append(settlement(serial), PERSON))
        elif step == "refund":
            settled = [each for each in journal.after(0, 1000) if isinstance(each.event.data, Settlement)]
            with suppress(AlreadyRefunded):
                self._say_event(journal.append(refund(settled[-1], str(number)), PERSON))
        elif step == "refuse":
            self._say_event(journal.append(Refusal(number="-52", step="pin", sw="6983")))
        elif step == "visit":
            self._marks.say(f"VISIT {journal.next_mdtrt_id()}")
        elif step == "remember":
            journal.remember_person(PERSON.certno, answer(version=number))
        elif step == "receipt":
            place = journal.after(journal.end - 2, 1)[0]
            self._marks.say(f"APPLY {place.seq}")
            journal.apply_receipt(receipt_at(Mark(place.seq, place.hash)))
            self._marks.say(f"MARK {place.seq}")

    def _stopped(self, stopped: JournalStopped, number: int) -> None:
        """It stays stopped, whatever the disk says now, until it is opened again."""
        self._marks.say(f"STOPPED {stopped.key}")
        try:
            self._journal.append(settlement("never"), PERSON)
        except JournalStopped:
            pass
        else:
            self._marks.say("TAKEN while stopped")
        if self._after_fault == "kill":
            self._marks.die(number + 1)
        self._journal.close()
        self._journal = self._open()

    def _open(self) -> Journal:
        """As often as it takes: a terminal that cannot start is started again."""
        for _ in range(TRIES):
            try:
                journal = Journal.open(self._work / "store" / "journal.db", self._key, self._clock)
            except JournalStopped as stopped:
                self._marks.say(f"REFUSED {stopped.key}")
            else:
                self._marks.say(f"OPENED {journal.end}")
                return journal
        raise SystemExit("the journal did not open")

    def _say_event(self, stored: Stored) -> None:
        self._marks.say(f"EVENT {stored.seq} {stored.hash}")


def key_of(work: Path) -> Ed25519PrivateKey:
    """The terminal's key of a prepared session."""
    return Ed25519PrivateKey.from_private_bytes((work / "key").read_bytes())


def prepare(work: Path, plan: str) -> None:
    """An enrolled terminal's journal, closed."""
    key = Ed25519PrivateKey.generate()
    (work / "key").write_bytes(key.private_bytes_raw())
    record = record_for(key, Ed25519PrivateKey.generate())
    (work / "store").mkdir()
    Journal.create(work / "store" / "journal.db", record, key, HandClock(), secret=SECRET).close()
    (work / "store" / "journal.db.lock").unlink()


def examine(work: Path, store: Path) -> Found:
    """Open an image as the product would, verify all of it, go on, and look once more."""
    path, hashes, doing = store / "journal.db", dict[int, str](), "corrupt"
    try:
        with closing(Journal.open(path, key_of(work), HandClock())) as journal:
            doing = "broken_chains"
            journal.verify()
            hashes, mark = _hashes(path), journal.mark.seq
            doing = "did_not_continue"
            visit = journal.next_mdtrt_id()
            stored = journal.append(settlement("after"), PERSON)
            journal.apply_receipt(receipt_at(Mark(stored.seq, stored.hash)))
        with closing(JournalReader(path)) as reader:
            goes_on = stored.seq == len(hashes) + 1 and reader.tail == reader.mark == Mark(stored.seq, stored.hash)
    except JournalError as error:
        damaged = isinstance(error, JournalBroken) and error.reason.startswith(("SQLITE_", "damaged"))
        return Found(hashes, trouble=("corrupt" if damaged else doing, str(error)))
    return Found(hashes, mark, visit, None if goes_on else ("did_not_continue", "the new event is not there"))


def _hashes(path: Path) -> dict[int, str]:
    """Of every event; `verify` has shown that the bytes have them."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT seq, hash FROM event"))


def judge(_: Path, found: Found, promised: list[str]) -> Faults:
    """What is wrong with an image, given everything that had been said before the cut."""
    faults = Faults()
    if found.trouble is not None:
        faults.add(*found.trouble)
    said = [line.split() for line in promised]
    events = {int(words[1]): words[2] for words in said if words[0] == "EVENT"}
    for seq, digest in events.items():
        if found.hashes.get(seq) != digest:
            faults.add("lost", f"event {seq}")
    if found.trouble is not None:
        return faults
    known = max([*events, *(int(words[1]) for words in said if words[0] == "OPENED")], default=0)
    if not known <= len(found.hashes) <= known + 1:
        faults.add("lost", f"{len(found.hashes)} events, {known} were known")
    marks, begun = ([int(words[1]) for words in said if words[0] == name] for name in ("MARK", "APPLY"))
    if found.mark < max(marks, default=0):
        faults.add("lost", f"mark {marks[-1]}")
    if found.mark > max(begun, default=0):
        faults.add("early", f"mark {found.mark}")
    if found.visit <= max((words[1] for words in said if words[0] == "VISIT"), default=""):
        faults.add("doubled", f"visit {found.visit}")
    if ["TAKEN", "while", "stopped"] in said:
        faults.add("retried", "an event was taken after a failed write")
    return faults


if __name__ == "__main__":
    Session(Path(sys.argv[1]), *sys.argv[2:4]).play(int(sys.argv[4]))
