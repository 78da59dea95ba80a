"""The inbox's rules (design 3.2): what is receipted, stored behind a gap, quarantined, or evidence and nothing else."""

from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from hardware.virtual.processes import wait_until
from protocols.events.events import event_hash
from protocols.events.frames import Entry, sign_event
from protocols.events.steps import pass_by
from protocols.events.topics import ROOT, bucket
from server.errors import LeaseLost, number
from server.inbox import evidence as limits
from server.inbox import inbox as worker
from server.inbox.intake import take_message
from server.inbox.message import Message
from server.ledger.report import chains
from server.store.store import millis
from server.store.tables import events, presence
from server.terminals.registry import enrolled
from tests.server.chains import LI, Chain
from tests.server.conftest import Bench
from tests.server.looks import alarmed, booked, kept, spend, states


def test_frame_is_stored_booked_and_receipted_byte_for_byte(bench: Bench) -> None:
    chain = bench.enrol("T1")
    spend(chain, 3)
    (receipt,) = bench.take(chain.topic("event"), chain.frame())
    assert (receipt.terminal, receipt.epoch, receipt.seq) == ("T1", 1, 3)
    assert receipt.hash == chain.hash(3)
    assert (receipt.refused, receipt.missing) == ((), ())
    with bench.store.read() as connection:
        stored = connection.execute(select(events).order_by(events.c.seq)).all()
        assert chains(connection).events == 3
    assert [bytes(row.data) for row in stored] == [each.data for each in chain.events]
    assert [row.signature is None for row in stored] == [True, True, False]
    assert bench.desk.log == [("ack", 1), ("receipt", chain.topic("receipt"))]


def test_same_frame_again_is_receipted_again_and_booked_once(bench: Bench) -> None:
    chain = bench.enrol("T1")
    spend(chain, 2)
    first, again = bench.take(chain.topic("event"), chain.frame(), chain.frame())
    assert msgspec.structs.replace(again, time="") == msgspec.structs.replace(first, time="")
    assert booked(bench) == 2
    assert kept(bench) == []


def test_overlapping_frames_book_only_what_is_new(bench: Bench) -> None:
    chain = bench.enrol("T1")
    spend(chain, 5)
    receipts = bench.take(chain.topic("event"), chain.frame(1, 3), chain.frame(2, 5))
    assert [receipt.seq for receipt in receipts] == [3, 5]
    assert booked(bench) == 5


def test_behind_a_gap_is_stored_asked_for_and_booked_when_it_closes(bench: Bench) -> None:
    chain = bench.enrol("T1")
    spend(chain, 8)
    event = chain.topic("event")
    first, second, third = bench.take(event, chain.frame(3, 4), chain.frame(7, 8), chain.frame(1, 1))
    assert (first.seq, first.hash, first.missing) == (0, chain.start, ((1, 2),))
    assert second.missing == ((1, 2), (5, 6))
    assert (third.seq, third.missing) == (1, ((2, 2), (5, 6)))
    assert booked(bench) == 1
    assert set(states(bench).values()) == {"booked", "waiting"}
    fourth, fifth = bench.take(event, chain.frame(2, 2), chain.frame(5, 6))
    assert (fourth.seq, fourth.missing) == (4, ((5, 6),))
    assert (fifth.seq, fifth.missing) == (8, ())
    assert booked(bench) == 8


def test_long_row_behind_a_gap_is_booked_at_once(bench: Bench) -> None:
    chain = bench.enrol("T1")
    for _ in range(205):
        chain.refuse()
    receipts = bench.take(chain.topic("event"), chain.frame(2), chain.frame(1, 1))
    assert [receipt.seq for receipt in receipts] == [0, 205]
    assert booked(bench) == 205


@pytest.mark.parametrize("part", ["same_seq", "after_mark", "waiting", "before_waiting"])
def test_other_history_under_a_known_number_is_evidence(bench: Bench, part: str) -> None:
    chain = bench.enrol("T1")
    spend(chain, 4)
    twin = Chain(msgspec.json.encode(chain.record), chain.key)
    spend(twin, 4, opter="03")
    mine, theirs = {
        "same_seq": (chain.frame(1, 2), twin.frame(2, 2)),
        "after_mark": (chain.frame(1, 2), twin.frame(3, 3)),
        "waiting": (chain.frame(3, 4), twin.frame(3, 4)),
        "before_waiting": (chain.frame(3, 4), twin.frame(1, 2)),
    }[part]
    event = chain.topic("event")
    assert len(bench.take(event, mine)) == 1
    assert bench.take(event, theirs) == []
    assert kept(bench) == [("T1", number("event_conflict"), theirs)]
    assert alarmed(bench) == {("T1", number("event_conflict")): 1}
    receipts = bench.take(event, chain.frame(1, 4))
    assert (receipts[0].seq, receipts[0].hash) == (4, chain.hash(4))


def _signed_by_another(chain: Chain) -> bytes:
    return chain.frame(signature=sign_event(Ed25519PrivateKey.generate(), chain.events[-1].hash))


def _swapped(chain: Chain) -> bytes:
    entries = tuple(Entry(msgspec.Raw(each.data), each.person) for each in reversed(chain.events))
    return chain.frame(entries=entries)


def _with_hole(chain: Chain) -> bytes:
    entries = tuple(Entry(msgspec.Raw(each.data), each.person) for each in chain.events[::2])
    return chain.frame(entries=entries)


def _headless(chain: Chain) -> bytes:
    return chain.frame(entries=(Entry(msgspec.Raw(b'{"id":7}')),))


def _nested(_: Chain) -> bytes:
    return b'{"entries":[{"event":' + b"[" * 50_000


BAD_FRAMES: dict[str, tuple[str, Callable[[Chain], bytes]]] = {
    "not json": ("frame_malformed", lambda _: b"\x00\xff"),
    "not utf-8": ("frame_malformed", lambda chain: chain.frame().replace(b"T1", b"T\xff")),
    "nested without end": ("frame_malformed", _nested),
    "empty": ("frame_malformed", lambda _: b""),
    "unknown field": ("frame_malformed", lambda chain: chain.frame().replace(b'"epoch"', b'"x":1,"epoch"')),
    "unknown version": ("frame_malformed", lambda chain: b'{"version":2,' + chain.frame()[13:]),
    "no entries": ("frame_malformed", lambda chain: chain.frame(entries=())),
    "no header": ("frame_malformed", _headless),
    "too large": ("frame_malformed", lambda chain: chain.frame() + b" " * 5_000_000),
    "other terminal": ("frame_misplaced", lambda chain: chain.frame(terminal="T2")),
    "old epoch": ("frame_epoch", lambda chain: chain.frame(epoch=7)),
    "swapped": ("frame_chain", _swapped),
    "with a hole": ("frame_chain", _with_hole),
    "wrong key": ("frame_signature", _signed_by_another),
    "signature not hex": ("frame_signature", lambda chain: chain.frame(signature="zz")),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_frame_is_acknowledged_kept_and_never_receipted(bench: Bench, name: str) -> None:
    key, make = BAD_FRAMES[name]
    chain = bench.enrol("T1")
    spend(chain, 3)
    payload = make(chain)
    assert bench.take(chain.topic("event"), payload) == []
    ((terminal, reason, stored),) = kept(bench)
    assert (terminal, reason) == ("T1", number(key))
    assert stored == payload[: limits.MAX_PAYLOAD]
    assert alarmed(bench) == {("T1", number(key)): 1}
    assert states(bench) == {}
    assert len(bench.take(chain.topic("event"), chain.frame())) == 1


@pytest.mark.parametrize(
    ("topic", "key"),
    [
        (f"{ROOT}/{bucket('T1')}/T1/event", None),
        (f"{ROOT}/{(bucket('T1') + 1) % 64}/T1/event", "frame_misplaced"),
        (f"{ROOT}/64/T1/event", "frame_misplaced"),
        (f"{ROOT}/{bucket('T1')}/centre/event", "frame_misplaced"),
        (f"{ROOT}/{bucket('T9')}/T9/event", "frame_terminal_unknown"),
    ],
)
def test_topic_names_the_sender(bench: Bench, topic: str, key: str | None) -> None:
    chain = bench.enrol("T1")
    spend(chain)
    assert len(bench.take(topic, chain.frame())) == (key is None)
    assert [(terminal, reason) for terminal, reason, _ in kept(bench)] == ([] if key is None else [("", number(key))])


def test_evidence_is_bounded_and_alarms_count_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PER_TERMINAL", 3)
    chain = bench.enrol("T1")
    payloads = [f"bad {index}".encode() for index in range(5)]
    assert bench.take(chain.topic("event"), *payloads, payloads[0]) == []
    assert [payload for _, _, payload in kept(bench)] == payloads[:3]
    assert alarmed(bench) == {("T1", number("frame_malformed")): 6}


def test_birth_is_answered_with_the_mark(bench: Bench) -> None:
    chain = bench.enrol("T1")
    (before,) = bench.take(chain.topic("presence"), chain.birth())
    assert (before.seq, before.hash) == (0, chain.start)
    spend(chain, 2)
    bench.take(chain.topic("event"), chain.frame())
    (after,) = bench.take(chain.topic("presence"), chain.birth("i2"))
    assert (after.seq, after.hash) == (2, chain.hash(2))


def test_late_death_cannot_kill_a_new_birth(bench: Bench) -> None:
    chain = bench.enrol("T1")
    state = []
    for payload in (chain.birth("i1"), chain.birth("i2"), chain.birth("i1", state="death")):
        bench.take(chain.topic("presence"), payload)
        with bench.store.read() as connection:
            row = connection.execute(select(presence)).one()
        state.append((row.incarnation, row.state))
    assert state == [("i1", "birth"), ("i2", "birth"), ("i2", "birth")]
    assert bench.take(chain.topic("presence"), chain.birth("i2", state="death")) == []
    with bench.store.read() as connection:
        assert connection.execute(select(presence.c.state)).scalar_one() == "death"


def test_malformed_presence_is_evidence_and_an_empty_one_is_nothing(bench: Bench) -> None:
    chain = bench.enrol("T1")
    assert bench.take(chain.topic("presence"), b"{", b"") == []
    assert kept(bench) == [("T1", number("frame_malformed"), b"{")]


def test_journal_that_ends_before_the_mark_was_rolled_back(bench: Bench) -> None:
    chain = bench.enrol("T1")
    spend(chain, 3)
    bench.take(chain.topic("event"), chain.frame())
    presence_topic = chain.topic("presence")
    assert len(bench.take(presence_topic, chain.birth("old", end=1), retained=True)) == 1
    assert alarmed(bench) == {}
    (receipt,) = bench.take(presence_topic, chain.birth("i2", end=1))
    assert receipt.seq == 3
    assert alarmed(bench) == {("T1", number("journal_rolled_back")): 1}


def test_new_enrolment_closes_the_old_epoch(bench: Bench) -> None:
    old = bench.enrol("T1")
    spend(old, 2)
    bench.take(old.topic("event"), old.frame(1, 1))
    new = bench.enrol("T1")
    spend(new)
    assert new.record.epoch == 2
    assert bench.take(old.topic("event"), old.frame(2, 2)) == []
    assert [(terminal, reason) for terminal, reason, _ in kept(bench)] == [("T1", number("frame_epoch"))]
    (receipt,) = bench.take(new.topic("event"), new.frame())
    assert (receipt.epoch, receipt.seq) == (2, 1)
    (receipt,) = bench.take(old.topic("presence"), old.birth())
    assert receipt.epoch == 2
    assert alarmed(bench) == {("T1", number("frame_epoch")): 2}


def test_many_frames_share_a_commit_and_acks_keep_the_order_of_arrival(bench: Bench) -> None:
    steps: list[str] = []
    chains_ = [bench.enrol(f"T{index}") for index in range(4)]
    for chain in chains_:
        spend(chain, 3)
    inbox = bench.open(steps.append)
    with bench.store.write():
        for seq in (1, 2, 3):
            for chain in chains_:
                bench.put(chain.topic("event"), chain.frame(seq, seq))
    wait_until("acks and receipts", lambda: len(bench.desk.log) >= 16)
    inbox.stop()
    assert [mid for kind, mid in bench.desk.log if kind == "ack"] == list(range(1, 13))
    assert steps.count("inbox.committed") < 12
    assert booked(bench) == 12


def test_store_that_fails_is_asked_again_and_nothing_is_acknowledged_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FIRST_WAIT_S", 0.001)
    failures = [OperationalError("COMMIT", {}, Exception("disk I/O error"))] * 3
    acks_at_failure: list[int] = []

    def fail(step: str) -> None:
        if step == "inbox.mark_written" and failures:
            acks_at_failure.append(len(bench.desk.log))
            raise failures.pop()

    chain = bench.enrol("T1")
    spend(chain)
    bench.open(fail)
    (receipt,) = bench.take(chain.topic("event"), chain.frame())
    assert receipt.seq == 1
    assert acks_at_failure == [0, 0, 0]
    assert booked(bench) == 1


def test_poison_message_becomes_evidence_and_blocks_nobody(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    poison = bench.enrol("T1")
    spend(poison)
    others = [bench.enrol(f"T{index}") for index in (2, 3)]
    for chain in others:
        spend(chain)
    current = ""

    def choke(step: str) -> None:
        if step == "inbox.ledger_written" and current == "T1":
            raise RuntimeError(LI.certno)

    inbox = bench.open(choke)
    current = "T1"
    bench.put(poison.topic("event"), poison.frame())
    wait_until("evidence", lambda: kept(bench))
    current = ""
    for chain in others:
        bench.put(chain.topic("event"), chain.frame())
    wait_until("the others are booked", lambda: booked(bench) == 2)
    inbox.stop()
    assert [(terminal, reason) for terminal, reason, _ in kept(bench)] == [("", number("centre_fault"))]
    assert [mid for kind, mid in bench.desk.log if kind == "ack"] == [1, 2, 3]
    assert LI.certno not in caplog.text


def test_lease_taken_by_another_ends_the_worker_before_it_writes(bench: Bench) -> None:
    chain = bench.enrol("T1")
    spend(chain)
    bench.open()
    bench.store.take_lease()
    bench.put(chain.topic("event"), chain.frame())
    wait_until("the worker has ended", lambda: bench.failures)
    assert isinstance(bench.failures[0], LeaseLost)
    assert bench.desk.log == []
    assert booked(bench) == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_bytes_are_taken_for_what_they_are(bench: Bench, data: st.DataObject) -> None:
    chain = bench.enrol("T1")
    spend(chain, 2)
    good = chain.frame()
    cut = data.draw(st.integers(0, 4000)) % len(good)
    noise = data.draw(st.binary(max_size=8))
    skip = data.draw(st.integers(0, 8))
    name = data.draw(st.sampled_from(["event", "presence"]))
    with bench.store.write() as connection:
        for topic, payload in (
            (chain.topic(name), good[:cut] + noise + good[cut + skip :]),
            (chain.topic("event"), good),
        ):
            owed = take_message(connection, Message(topic, payload, False, 1, 1), millis(bench.now), pass_by)
        who = enrolled(connection, "T1")
    assert owed == "T1"
    assert who is not None
    assert who.mark == (2, chain.hash(2))


def test_event_hash_is_over_the_bytes_as_sent(bench: Bench) -> None:
    chain = bench.enrol("T1")
    spend(chain)
    spaced = chain.events.pop()
    chain.append_bytes(spaced.data.replace(b":", b": ", 1), spaced.person)
    (receipt,) = bench.take(chain.topic("event"), chain.frame())
    assert receipt.hash == event_hash(chain.events[0].data)
    with bench.store.read() as connection:
        assert connection.execute(select(events.c.data)).scalar_one() == chain.events[0].data
