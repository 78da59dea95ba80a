"""A witness beside the inbox: what is acknowledged or receipted is on the disk by then, seen by another connection."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hardware.virtual.processes import wait_until
from protocols.events.frames import open_receipt
from server.errors import LeaseLost, number
from server.inbox.message import Message
from tests.server.chains import LI, NOTHING, Chain, line
from tests.server.conftest import Bench, Desk

LINES = [line("01", "150.00")]


class Witness(Desk):
    """The broker's side; looks into the store at every promise."""

    def __init__(self, store: Path, receipt_key: Ed25519PublicKey) -> None:
        super().__init__()
        self._store, self._receipt_key = store, receipt_key
        self.promised: dict[int, int] = {}
        """By packet id: events and pieces of evidence that must be there once it is acknowledged."""
        self.broken: list[str] = []

    def acknowledge(self, message: Message) -> None:
        (kept,) = self._look("SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM evidence)")
        if kept < self.promised.get(message.mid, 0):
            self.broken.append(f"acknowledged before its commit: {kept} of {self.promised[message.mid]} kept")
        super().acknowledge(message)

    def publish(self, topic: str, payload: bytes) -> None:
        receipt = open_receipt(self._receipt_key, payload)
        row = self._look(
            "SELECT mark_seq, mark_hash, (SELECT count(*) FROM bookings b WHERE b.terminal = e.terminal)"
            " FROM enrolments e WHERE terminal = ? AND epoch = ?",
            receipt.terminal,
            receipt.epoch,
        )
        if row != (receipt.seq, receipt.hash, receipt.seq - len(receipt.refused)):
            self.broken.append(f"receipt before its commit: says {receipt.seq}, the ledger has {row[0]}")
        super().publish(topic, payload)

    def _look(self, sql: str, *values: object) -> tuple[Any, ...]:
        with closing(sqlite3.connect(f"{self._store.as_uri()}?mode=ro", uri=True)) as store:
            row: tuple[Any, ...] = store.execute(sql, values).fetchone()
            return row


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(f"sqlite:///{tmp_path}/centre.db")
    yield bench
    bench.close()


@pytest.fixture
def witness(bench: Bench, tmp_path: Path) -> Witness:
    bench.desk = witness = Witness(tmp_path / "centre.db", bench.receipt_key.public_key())
    return witness


def events(chain: Chain, count: int) -> None:
    for _ in range(count):
        chain.settle(LINES, NOTHING, 0, mode="full_cash", reason="S-001")


def send(bench: Bench, witness: Witness, chain: Chain, payload: bytes, kept: int) -> None:
    """One message, and what there must be once it is acknowledged."""
    witness.promised[len(witness.promised) + 1] = kept
    bench.take(chain.topic("event"), payload)


def test_nothing_is_promised_before_it_is_committed(bench: Bench, witness: Witness) -> None:
    chain = bench.enrol("T1")
    events(chain, 5)
    chain.settle(LINES, NOTHING, 0, person=None)
    send(bench, witness, chain, chain.frame(1, 2), 2)
    send(bench, witness, chain, chain.frame(1, 2), 2)
    send(bench, witness, chain, chain.frame(4, 4), 3)
    send(bench, witness, chain, b"malformed", 4)
    send(bench, witness, chain, chain.frame(3, 3), 5)
    send(bench, witness, chain, chain.frame(5, 6), 7)
    assert witness.broken == []
    assert [kind for kind, _ in witness.log] == [
        *("ack", "receipt") * 3,
        "ack",
        *("ack", "receipt") * 2,
    ]


def test_a_poison_event_is_kept_before_it_is_acknowledged(bench: Bench, witness: Witness) -> None:
    """A fault of ours at one message: it is stored as evidence, and only then does its packet id go free."""
    chain = bench.enrol("T1")
    events(chain, 1)

    def choke(step: str) -> None:
        if step == "inbox.ledger_written":
            raise RuntimeError(LI.certno)

    bench.open(choke)
    send(bench, witness, chain, chain.frame(), 1)
    assert witness.broken == []
    with bench.store.read() as connection:
        kept = connection.exec_driver_sql("SELECT number, payload FROM evidence").one()
    assert tuple(kept) == (number("centre_fault"), chain.frame())


def test_a_centre_that_another_has_replaced_books_and_promises_nothing(bench: Bench, witness: Witness) -> None:
    chain = bench.enrol("T1")
    events(chain, 1)
    bench.open()
    bench.store.take_lease()
    bench.put(chain.topic("event"), chain.frame())
    wait_until("it gives up", lambda: bench.failures or witness.log)
    assert [type(failure) for failure in bench.failures] == [LeaseLost]
    assert witness.log == []
    with bench.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one() == 0


def test_the_bytes_at_the_centre_are_those_the_terminal_signed(bench: Bench) -> None:
    """A blank more than our own serialiser would write, as another version's might."""
    chain = bench.enrol("T1")
    events(chain, 1)
    written = chain.events.pop()
    chain.append_bytes(written.data.replace(b":", b": ", 1), written.person)
    bench.take(chain.topic("event"), chain.frame())
    with bench.store.read() as connection:
        stored = [bytes(data) for data in connection.exec_driver_sql("SELECT data FROM events").scalars()]
    assert stored == [chain.events[0].data], "not the bytes that were signed"
