"""Events that are sound by themselves but of another history: a clone's, spliced into a journal."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from host_bridge.journal.errors import JournalBroken
from host_bridge.journal.journal import TAIL
from host_bridge.journal.reader import JournalReader
from tests.host_bridge.journal.samples import PERSON, Desk, settlement


def write(desk: Desk, events: int, name: str) -> None:
    journal = desk.create()
    for number in range(events):
        journal.append(settlement(f"{name}{number}"), PERSON)
    desk.close()


def clone_of(desk: Desk, folder: Path) -> Desk:
    """The same terminal in the same epoch, from the enrolment record on."""
    clone = Desk(folder)
    clone.key, clone.receipt_key, clone.record = desk.key, desk.receipt_key, desk.record
    return clone


def splice(desk: Desk, clone: Desk, seq: int) -> None:
    """Put the clone's event into the journal's place."""
    with closing(sqlite3.connect(desk.path)) as file:
        file.execute("ATTACH ? AS clone", (str(clone.path),))
        with file:
            file.execute("REPLACE INTO event SELECT * FROM clone.event WHERE seq = ?", (seq,))


@pytest.mark.parametrize("seq", [2, 3])
def test_a_clone_s_event_does_not_fit_into_the_chain(desk: Desk, tmp_path: Path, seq: int) -> None:
    (tmp_path / "clone").mkdir()
    clone = clone_of(desk, tmp_path / "clone")
    write(desk, 3, "mine")
    write(clone, 3, "clone's")
    splice(desk, clone, seq)
    with pytest.raises(JournalBroken, match=f"does not follow the event before at {seq}"):
        desk.open()


def test_far_from_the_end_it_is_found_by_verify_and_never_sent(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    clone = clone_of(desk, tmp_path / "clone")
    write(desk, TAIL + 5, "mine")
    write(clone, 3, "clone's")
    splice(desk, clone, 3)
    with closing(JournalReader(desk.path)) as reader:
        with pytest.raises(JournalBroken, match="at 3"):
            reader.verify()
        with pytest.raises(JournalBroken, match="at 3"):
            reader.after(1, 5)
