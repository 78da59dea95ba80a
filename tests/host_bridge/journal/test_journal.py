import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from host_bridge.journal.chain import Mark
from host_bridge.journal.errors import AlreadyRefunded, JournalInUse, JournalRolledBack
from host_bridge.journal.journal import Journal
from protocols.events.clock import SHANGHAI, rfc3339
from protocols.events.events import Refusal
from protocols.events.frames import Refused
from tests.host_bridge.journal.samples import (
    NOON,
    PERSON,
    Desk,
    receipt_at,
    refund,
    settlement,
    split_of,
)


def mark_of(journal: Journal, seq: int) -> Mark:
    return Mark(seq, journal.after(seq - 1, 1)[0].hash)


def test_the_file_proves_itself_to_a_reader_with_the_standard_library(desk: Desk, journal: Journal) -> None:
    for number in range(3):
        journal.append(settlement(str(number)), PERSON)
    connection = sqlite3.connect(f"file:{desk.path}?mode=ro", uri=True)
    (record,) = connection.execute("SELECT record FROM enrolment").fetchone()
    assert record == desk.record
    prev = hashlib.sha256(record).hexdigest()
    key: Ed25519PublicKey = desk.key.public_key()
    rows = connection.execute("SELECT seq, id, hash, prev, data, signature, kind FROM event ORDER BY seq").fetchall()
    connection.close()
    assert [row[0] for row in rows] == [1, 2, 3]
    for seq, name, digest, before, data, signature, kind in rows:
        event = msgspec.json.decode(data)
        assert (name, kind) == (f"bj-01/1/{seq}", "settlement")
        assert (event["id"], event["type"], event["prev"]) == (name, "ssc.settlement", prev)
        assert before == prev
        assert digest == hashlib.sha256(b"ssc-event-1" + data).hexdigest()
        key.verify(bytes.fromhex(signature), b"ssc-sign-1" + bytes.fromhex(digest))
        prev = digest


def test_what_append_returns_is_what_is_stored_and_sent(desk: Desk, journal: Journal) -> None:
    stored = journal.append(settlement(), PERSON)
    assert journal.after(0, 20) == [stored]
    assert journal.find(stored.id) == stored
    assert desk.open().after(0, 20) == [stored]


def test_an_event_does_not_name_its_person(journal: Journal) -> None:
    stored = journal.append(settlement(), PERSON)
    assert PERSON.certno.encode() not in stored.data
    assert PERSON.card_no.encode() not in stored.data
    assert PERSON.salt.encode() not in stored.data


def test_the_person_part_can_be_deleted_without_breaking_the_chain(desk: Desk, journal: Journal) -> None:
    stored = journal.append(settlement(), PERSON)
    desk.close()
    with sqlite3.connect(desk.path) as connection:
        connection.execute("DELETE FROM person")
    connection.close()
    journal = desk.open()
    assert journal.verify() == Mark(1, stored.hash)
    assert journal.after(0, 1)[0].person is None


def test_a_person_part_of_somebody_else_is_refused(journal: Journal) -> None:
    other = msgspec.structs.replace(PERSON, certno="990101195503070029")
    with pytest.raises(ValueError, match="person_hash"):
        journal.append(settlement(), other)
    assert journal.end == 0


def test_the_stamp_holds_the_clocks(desk: Desk, journal: Journal) -> None:
    desk.clock.sure = False
    event = journal.append(settlement(), PERSON).event
    assert event.time == "2026-11-21T12:00:00.000+08:00"
    assert (event.clock.monotonic_ms, event.clock.boot_id, event.clock.trusted) == (1_000, "boot", False)


def test_threads_append_without_gaps(journal: Journal) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: journal.append(settlement(str(number)), PERSON).seq, range(80)))
    assert sorted(done) == list(range(1, 81))
    assert journal.verify().seq == 80


def test_only_one_process_writes(desk: Desk, journal: Journal) -> None:
    with pytest.raises(JournalInUse):
        Journal.open(desk.path, desk.key, desk.clock)
    journal.append(settlement(), PERSON)


def test_a_settlement_is_refunded_once(desk: Desk, journal: Journal) -> None:
    settled = journal.append(settlement(), PERSON)
    assert journal.refund_of(settled.id) is None
    back = journal.append(refund(settled), PERSON)
    with pytest.raises(AlreadyRefunded) as caught:
        journal.append(refund(settled, "3"), PERSON)
    assert caught.value.facts == {"original": settled.id, "refund": back.id}
    assert journal.refund_of(settled.id) == back
    assert desk.open().end == 2


@pytest.mark.parametrize("name", ["bj-01/1/2", "bj-01/2/1", "bj-02/1/1", "nonsense", "bj-01/1/0", ""])
def test_find_knows_only_its_own_events(journal: Journal, name: str) -> None:
    journal.append(settlement(), PERSON)
    assert journal.find(name) is None


def test_the_business_day_is_that_of_shanghai(desk: Desk, journal: Journal) -> None:
    desk.clock.now = datetime(2026, 11, 21, 23, 59, 59, tzinfo=SHANGHAI)
    late = journal.append(settlement("late"), PERSON)
    desk.clock.now = datetime(2026, 11, 22, 0, 0, 0, tzinfo=SHANGHAI)
    early = journal.append(settlement("early"), PERSON)
    journal.append(Refusal(number="-52", step="pin"))
    back = journal.append(refund(early), PERSON)
    assert journal.settlements("2026-11-20") == []
    assert journal.settlements("2026-11-21") == [late]
    assert journal.settlements("2026-11-22") == [early, back]
    assert journal.settlements("2026-11-23") == []


def test_time_never_goes_back(desk: Desk, journal: Journal) -> None:
    first = journal.append(settlement("1"), PERSON)
    desk.clock.now = datetime(1970, 1, 1, tzinfo=SHANGHAI)
    assert journal.now() == NOON
    assert journal.append(settlement("2"), PERSON).event.time == first.event.time
    assert desk.open().now() == NOON


def test_a_newer_time_outlives_the_process(desk: Desk, journal: Journal) -> None:
    later = NOON + timedelta(days=3)
    journal.see_time(rfc3339(later))
    assert journal.now() == later
    assert desk.open().now() == later
    with pytest.raises(ValueError, match="zone"):
        journal.see_time("2030-01-01T00:00:00")


def test_the_backlog_counts_what_has_no_receipt(desk: Desk, journal: Journal) -> None:
    assert journal.backlog().count == 0
    first = journal.append(settlement("1", split=split_of(10_000)), PERSON)
    desk.clock.pass_by(timedelta(minutes=1))
    journal.append(refund(first), PERSON)
    journal.append(Refusal(number="-52", step="pin"))
    backlog = journal.backlog()
    assert (backlog.count, backlog.fen, backlog.oldest_time) == (3, 20_000, NOON)
    journal.apply_receipt(receipt_at(mark_of(journal, 1)))
    backlog = journal.backlog()
    assert (backlog.count, backlog.fen, backlog.oldest_time) == (2, 10_000, NOON + timedelta(minutes=1))
    journal.apply_receipt(receipt_at(mark_of(journal, 3)))
    assert (journal.backlog().count, journal.backlog().fen, journal.backlog().oldest_time) == (0, 0, None)


def test_the_mark_moves_forward_only(desk: Desk, journal: Journal) -> None:
    for number in range(3):
        journal.append(settlement(str(number)), PERSON)
    two, one = mark_of(journal, 2), mark_of(journal, 1)
    journal.apply_receipt(receipt_at(two))
    journal.apply_receipt(receipt_at(one))
    assert journal.mark == two
    assert desk.open().mark == two


def test_a_first_receipt_names_the_enrolment_record(desk: Desk, journal: Journal) -> None:
    mark = Mark(0, hashlib.sha256(desk.record).hexdigest())
    assert journal.mark == mark
    assert journal.apply_receipt(receipt_at(mark)) == ()
    assert journal.stopped is None


def test_refused_and_missing_ones(desk: Desk, journal: Journal) -> None:
    for number in range(4):
        journal.append(settlement(str(number)), PERSON)
    refused = (Refused(1, "C-022"), Refused(1, "C-022"), Refused(9, "C-022"))
    missing = journal.apply_receipt(receipt_at(mark_of(journal, 1), refused=refused, missing=((2, 2), (1, 1), (4, 9))))
    assert missing == ((2, 2), (4, 4))
    journal.apply_receipt(receipt_at(mark_of(journal, 2), refused=(Refused(2, "C-024"), Refused(1, "C-022"))))
    assert desk.open().refused() == (Refused(1, "C-022"), Refused(2, "C-024"))


def test_a_receipt_brings_time(desk: Desk, journal: Journal) -> None:
    journal.append(settlement(), PERSON)
    journal.apply_receipt(receipt_at(mark_of(journal, 1), time=NOON + timedelta(hours=2)))
    assert journal.now() == NOON + timedelta(hours=2)
    assert desk.open().now() == NOON + timedelta(hours=2)


def test_receipts_of_others_change_nothing(journal: Journal) -> None:
    journal.append(settlement(), PERSON)
    journal.apply_receipt(receipt_at(Mark(1, "00" * 32), terminal="bj-02"))
    journal.apply_receipt(receipt_at(Mark(1, "00" * 32), epoch=0))
    assert (journal.mark.seq, journal.stopped) == (0, None)


@pytest.mark.parametrize("wrong", ["beyond", "hash", "record", "epoch"])
def test_a_receipt_that_does_not_fit_stops_settling_for_good(desk: Desk, journal: Journal, wrong: str) -> None:
    journal.append(settlement(), PERSON)
    receipt = {
        "beyond": receipt_at(Mark(2, "00" * 32)),
        "hash": receipt_at(Mark(1, "00" * 32)),
        "record": receipt_at(Mark(0, "00" * 32)),
        "epoch": receipt_at(Mark(0, "00" * 32), epoch=2),
    }[wrong]
    with pytest.raises(JournalRolledBack) as caught:
        journal.apply_receipt(receipt)
    assert (caught.value.epoch, caught.value.seq, caught.value.end) == (receipt.epoch, receipt.seq, 1)
    for _ in range(2):
        assert isinstance(journal.stopped, JournalRolledBack)
        with pytest.raises(JournalRolledBack):
            journal.append(settlement("2"), PERSON)
        with pytest.raises(JournalRolledBack):
            journal.next_mdtrt_id()
        assert journal.after(0, 9)[0].seq == journal.end == 1
        journal = desk.open()


def test_visit_numbers_are_never_given_twice(desk: Desk, journal: Journal) -> None:
    given = [journal.next_mdtrt_id() for _ in range(3)]
    given += [desk.open().next_mdtrt_id() for _ in range(3)]
    assert len(set(given)) == 6
    assert all(len(number) <= 30 and number.startswith("H11010100001") for number in given)
