"""Answering terminals: read-only, on a thread of its own, so that questions overtake a backlog (design 7)."""

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from protocols.events.clock import SHANGHAI
from protocols.events.frames import Answer, PersonAnswer, PersonQuery, Query, Unknown
from protocols.events.topics import topic
from server.errors import UNREADABLE, number
from server.inbox.frames import FrameRefused, sender
from server.inbox.relay import Question
from server.people.files import card_state
from server.people.persons import PersonYear, balance, standing
from server.store.store import Store
from server.store.tables import people
from server.terminals.registry import enrolled

WAITING = 1000

log = logging.getLogger(__name__)
_DECODER = msgspec.json.Decoder(Query)


class Reply(Protocol):
    def __call__(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None: ...


def answer(connection: Connection, payload: bytes, now: datetime) -> Answer:
    """The centre's answer to a query, whatever it is."""
    try:
        query = _DECODER.decode(payload)
    except UNREADABLE:
        return Unknown(number("query_malformed"))
    return _person(connection, query, now)


def _person(connection: Connection, query: PersonQuery, now: datetime) -> Answer:
    row = connection.execute(select(people).where(people.c.certno == query.certno)).one_or_none()
    if row is None or row.insutype is None:
        return Unknown(number("person_unknown"))
    state = card_state(connection, row.id, query.card_no)
    if state is None:
        return Unknown(number("card_not_of_person"))
    year = now.astimezone(SHANGHAI).year
    place = standing(connection, PersonYear(row.id, row.insutype, year))
    return PersonAnswer(
        insutype=row.insutype,
        psn_type=row.psn_type,
        psn_insu_stas=row.psn_insu_stas,
        insuplc_admdvs=row.insuplc_admdvs,
        balc=balance(connection, row.id),
        card_state=state,
        default_pin=row.default_pin,
        year=year,
        version=place.version,
        accumulators=place.amounts,
    )


class Answers:
    """The thread; a question that finds no room or no store stays unanswered, and the terminal goes on."""

    def __init__(self, store: Store, reply: Reply, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._reply = reply
        self._now = now
        self._queue: queue.Queue[Question | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End after the questions that wait."""
        self._queue.put(None)
        self._thread.join()

    def ask(self, question: Question) -> None:
        """A question has arrived; dropped where too many wait."""
        with suppress(queue.Full):
            self._queue.put_nowait(question)

    def _run(self) -> None:
        while (question := self._queue.get()) is not None:
            try:
                self._answer(question)
            except SQLAlchemyError as error:
                log.error("no answer, store failed (%s)", type(error).__name__)

    def _answer(self, question: Question) -> None:
        try:
            terminal = sender(question.topic)
        except FrameRefused:
            return
        with self._store.read() as connection:
            if enrolled(connection, terminal) is None:
                return
            found = answer(connection, question.payload, self._now())
        self._reply(topic(terminal, "answer"), msgspec.json.encode(found), question.correlation)
