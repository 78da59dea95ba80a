"""The centre's side of the power cuts: a session of the real inbox, and what a store must hold afterwards.

Run as a process, `-m tests.chaos.centre_power WORK PLAN AFTER_FAULT AT` takes the frames of `WORK/script.json` into
`WORK/store/centre.db` and marks every acknowledgement and receipt as it leaves. A batch whose commit fails is tried
again by the inbox itself (`close`), or the process dies and a new one finds what it left (`kill`).
"""

import logging
import os
import queue
import sys
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from protocols.events.frames import Broker, EnrolmentRequest, Person, open_receipt
from protocols.events.steps import pass_by
from protocols.settlement.bill import Accumulators
from server.errors import CentreError
from server.inbox.inbox import Inbox
from server.inbox.message import Message
from server.ledger.report import Report, report
from server.store.store import Store, millis
from server.store.tables import accumulators, event_persons
from server.terminals.registry import Enrolment, add_terminal, enrol, enrolled
from tests.chaos.promises import Faults, Marks
from tests.server.chains import LI, NOTHING, SALT, Chain, line
from tests.server.conftest import NOW

DEADLINE_S = 60
LARGE = "0" * 160_000
"""Fills 40 pages, so that a few events bring the log to 1,000 pages, where SQLite checkpoints it by itself."""
WANG = Person("990101195406150019", "B23456789", SALT)
LARGE_EVENTS = {"short": 0, "long": 14}
TRIES = 20
TERMINALS = ("T1", "T2", "T3")


class Delivery(msgspec.Struct, frozen=True):
    """A message of the session, and the events in it: terminal, seq, hash."""

    topic: str
    payload: str
    events: tuple[tuple[str, int, str], ...] = ()


class Script(msgspec.Struct, frozen=True):
    """What arrives, in batches; between them the server is stopped (`reopen`) or gone (`restart`)."""

    batches: tuple[tuple[Delivery, ...] | str, ...]
    key: str
    final: str = ""

    def deliveries(self) -> list[Delivery]:
        """All of it, in order; the packet id is the place, from 1."""
        return [delivery for batch in self.batches if not isinstance(batch, str) for delivery in batch]


class Found(msgspec.Struct, frozen=True):
    """What the product makes of an image; `trouble` where it refuses it or does not go on."""

    marks: dict[str, int] = {}
    hashes: dict[str, str] = {}
    doubled: int = 0
    balance_fen: int = 0
    trouble: tuple[str, str] | None = None


class Desk:
    """The outbound side of an inbox: says what leaves."""

    def __init__(self, key: Ed25519PrivateKey, say: Callable[[str], None] | None = None) -> None:
        self._key, self._say = key, say
        self.acknowledged: queue.Queue[int] = queue.Queue()

    def acknowledge(self, message: Message) -> None:
        if self._say:
            self._say(f"ACK {message.mid}")
        self.acknowledged.put(message.mid)

    def publish(self, topic: str, payload: bytes) -> None:
        if self._say:
            receipt = open_receipt(self._key.public_key(), payload)
            self._say(f"RECEIPT {receipt.terminal} {receipt.seq} {receipt.hash}")


class Session:
    """The recorded program."""

    def __init__(self, work: Path, _: str, after_fault: str) -> None:
        self._work, self._after_fault = work, after_fault
        self._script = script_of(work)
        self._marks = Marks(work)
        self._at = 0
        logging.getLogger("server.inbox.inbox").addFilter(self._failed)

    def play(self, at: int) -> None:
        """The batches from one on."""
        key = receipt_key(self._script)
        store, inbox, desk = self._open(key)
        mid = 0
        for place, batch in enumerate(self._script.batches):
            self._at = place
            if place < at:
                mid += 0 if isinstance(batch, str) else len(batch)
            elif batch == "reopen":
                inbox.stop()
                store.close()
                store, inbox, desk = self._open(key)
            elif batch == "restart":
                self._marks.die(place + 1)
            elif not isinstance(batch, str):
                for delivery in batch:
                    mid += 1
                    inbox.put(message(delivery, mid))
                for _ in batch:
                    desk.acknowledged.get(timeout=DEADLINE_S)
        inbox.stop()
        store.close()

    def _open(self, key: Ed25519PrivateKey) -> tuple[Store, Inbox, Desk]:
        """As often as it takes: a server that cannot start is started again."""
        for _ in range(TRIES):
            try:
                store = Store.open(url_of(self._work / "store"))
                desk = Desk(key, self._marks.say)
                return store, open_inbox(store, key, desk), desk
            except (SQLAlchemyError, CentreError) as error:
                self._marks.say(f"REFUSED {type(error).__name__}")
        raise SystemExit("the centre did not start")

    def _failed(self, _: logging.LogRecord) -> bool:
        """The inbox says that the store has failed."""
        self._marks.say("FAILED")
        if self._after_fault == "kill":
            self._marks.die(self._at)
        return False


def open_inbox(store: Store, key: Ed25519PrivateKey, desk: Desk) -> Inbox:
    """A started inbox whose clock stands still."""
    lease = store.take_lease()
    inbox = Inbox(store, key, desk, lease=lease, now=lambda: NOW, on_step=pass_by, on_failure=lambda _: None)
    inbox.start()
    return inbox


def message(delivery: Delivery, mid: int) -> Message:
    """As the broker would hand it over."""
    return Message(delivery.topic, delivery.payload.encode(), False, 1, mid)


def url_of(store: Path) -> str:
    """The store's address."""
    return f"sqlite:///{store}/centre.db"


@lru_cache(1)
def script_of(work: Path) -> Script:
    """What a prepared session takes in."""
    return msgspec.json.decode((work / "script.json").read_bytes(), type=Script)


def receipt_key(script: Script) -> Ed25519PrivateKey:
    """The centre's receipt key."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(script.key))


def prepare(work: Path, plan: str) -> None:
    """A store with three enrolled terminals, closed; what they will send; and the ledger that makes."""
    key = Ed25519PrivateKey.generate()
    for folder in ("store", "reference"):
        (work / folder).mkdir()
    store = Store.open(url_of(work / "store"))
    chains = {terminal: _enrol(store, terminal, key) for terminal in TERMINALS}
    store.close()
    batches = tuple(_batches(chains, large=LARGE_EVENTS[plan]))
    script = Script(batches, key.private_bytes_raw().hex())
    for file in (work / "store").iterdir():
        (work / "reference" / file.name).write_bytes(file.read_bytes())
    store = Store.open(url_of(work / "reference"))
    script = msgspec.structs.replace(script, final=_take_all(store, script))
    store.close()
    (work / "script.json").write_bytes(msgspec.json.encode(script))


def _enrol(store: Store, terminal: str, key: Ed25519PrivateKey) -> Chain:
    own = Ed25519PrivateKey.generate()
    facts = Enrolment(key.public_key().public_bytes_raw().hex(), (Broker("127.0.0.1", 1883),), os.urandom)
    with store.write() as connection:
        code = add_terminal(
            connection,
            terminal,
            fixmedins_code="H11010200001",
            fixmedins_name="示范社区",
            city="110000",
            role="counter",
            random=os.urandom,
            now_ms=millis(NOW),
        )
        request = EnrolmentRequest(code, own.public_key().public_bytes_raw().hex())
        return Chain(enrol(connection, request, facts, millis(NOW)), own)


def _batches(chains: dict[str, Chain], large: int) -> list[tuple[Delivery, ...] | str]:
    """Settlements of two persons at three counters, refunds, refusals, a gap, repetitions, an event for quarantine."""
    one, two, three = chains.values()
    for chain, person in ((one, LI), (two, WANG), (three, LI)):
        chain.settle([line("01", "150.00")], NOTHING, 0, mode="provisional", person=person)
        chain.settle([line("01", "1900.00"), line("03", "10.00")], NOTHING, 0, mode="provisional", person=person)
        chain.refuse()
        chain.refund(chain.events[0])
    two.settle([line("01", "80.00")], NOTHING, 0, mode="provisional", fixmedins_code="H11010200009")
    three.settle([line("01", "80.00")], Accumulators(0, 0), 0, mode="provisional", person=WANG)
    small: list[tuple[Delivery, ...] | str] = [
        (_frame(one, 1, 2), _frame(two, 1, 1)),
        (_frame(three, 1, 1),),
        (_frame(one, 1, 2), _frame(three, 3, 4), Delivery(two.topic("presence"), two.birth().decode())),
        "restart",
        (_frame(three, 2, 2),),
        (_frame(two, 2, 4), _frame(one, 3, 4)),
        "reopen",
        (_frame(two, 5, 5), _frame(three, 5, 5), _frame(two, 1, 5)),
    ]
    for _ in range(large):
        one.settle([line("01", "10.00")], NOTHING, 0, mode="provisional", opter=LARGE)
    many = [(_frame(one, seq, seq),) for seq in range(5, 5 + large)]
    for chain in (one, two, three):
        chain.settle([line("01", "33.30")], NOTHING, 0, mode="provisional", person=WANG)
    last = tuple(_frame(chain, len(chain.events), len(chain.events)) for chain in (one, two, three))
    return [*small, *many, "restart", last]


def _frame(chain: Chain, first: int, last: int) -> Delivery:
    events = tuple((chain.terminal, seq, chain.hash(seq)) for seq in range(first, last + 1))
    return Delivery(chain.topic("event"), chain.frame(first, last).decode(), events)


def _take_all(store: Store, script: Script) -> str:
    """Deliver everything, whatever is there already; the books afterwards, as text."""
    key = receipt_key(script)
    desk = Desk(key)
    inbox = open_inbox(store, key, desk)
    deliveries = script.deliveries()
    for mid, delivery in enumerate(deliveries, 1):
        inbox.put(message(delivery, mid))
    for _ in deliveries:
        desk.acknowledged.get(timeout=DEADLINE_S)
    inbox.stop()
    with store.read() as connection:
        found = report(connection)
        standing = [tuple(row) for row in connection.execute(select(accumulators))]
        persons = [tuple(row) for row in connection.execute(select(event_persons))]
    return msgspec.json.encode((found, sorted(standing), sorted(persons))).decode()


def examine(work: Path, folder: Path) -> Found:
    """Open an image as the product would, check all of it, and take everything once more."""
    kind, found = "corrupt", Found()
    try:
        with closing(Store.open(url_of(folder))) as store:
            with store.read() as connection:
                sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
                orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                books = report(connection)
                marks = {name: who.mark.seq for name in TERMINALS if (who := enrolled(connection, name)) is not None}
            found = _found(books, marks)
            if sound != "ok" or orphans:
                return msgspec.structs.replace(found, trouble=("corrupt", f"{sound}, {len(orphans)} orphans"))
            if books.chains.broken:
                return msgspec.structs.replace(found, trouble=("broken_chains", " ".join(books.chains.broken)))
            kind = "did_not_continue"
            final = _take_all(store, script_of(work))
    except (SQLAlchemyError, CentreError, queue.Empty) as error:
        return msgspec.structs.replace(found, trouble=(kind, f"{type(error).__name__} {error}"))
    if final != script_of(work).final:
        return msgspec.structs.replace(found, trouble=("did_not_continue", "the books end differently"))
    return found


def _found(books: Report, marks: dict[str, int]) -> Found:
    hashes = {event.id: event.hash for event in books.events}
    return Found(marks, hashes, len(books.events) - len(hashes), books.balance_fen)


def judge(work: Path, found: Found, promised: list[str]) -> Faults:
    """What is wrong with an image, given everything that had been acknowledged and receipted before the cut."""
    faults = Faults()
    if found.trouble is not None:
        faults.add(*found.trouble)
    deliveries = script_of(work).deliveries()
    for said in promised:
        word, *rest = said.split()
        if word == "ACK":
            for terminal, seq, digest in deliveries[int(rest[0]) - 1].events:
                if found.hashes.get(f"{terminal}/1/{seq}") != digest:
                    faults.add("lost", f"event {terminal}/1/{seq} was acknowledged")
        elif word == "RECEIPT" and found.marks.get(rest[0], 0) < int(rest[1]):
            faults.add("lost", f"mark {rest[1]} of {rest[0]} was receipted")
    if found.doubled:
        faults.add("doubled", f"{found.doubled} events")
    if found.balance_fen:
        faults.add("unbalanced", f"{found.balance_fen} fen")
    return faults


if __name__ == "__main__":
    Session(Path(sys.argv[1]), *sys.argv[2:4]).play(int(sys.argv[4]))
