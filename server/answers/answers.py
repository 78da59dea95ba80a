"""What the centre says of a person: read-only (design 7)."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from protocols.events.clock import SHANGHAI
from protocols.events.frames import Answer, PersonAnswer, PersonQuery, Query, Unknown
from server.answers.desk import Desk, Reply
from server.errors import UNREADABLE, number
from server.people.files import card_state
from server.people.persons import PersonYear, balance, standing
from server.store.store import Store
from server.store.tables import people
from server.terminals.registry import enrolled

_DECODER = msgspec.json.Decoder(Query)


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


class Answers(Desk):
    """Answers what the centre knows of a person."""

    def __init__(self, store: Store, reply: Reply, *, now: Callable[[], datetime]) -> None:
        super().__init__("answers", reply)
        self._store = store
        self._now = now

    def answer(self, terminal: str, payload: bytes) -> Answer | None:
        with self._store.read() as connection:
            if enrolled(connection, terminal) is None:
                return None
            return answer(connection, payload, self._now())
