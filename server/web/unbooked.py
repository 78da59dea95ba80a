"""Events that are not booked: few among very many, so they are looked for by terminal, epoch and state."""

from typing import Literal

from sqlalchemy import ColumnElement, select, tuple_

from server.store.tables import enrolments, events


def unbooked(state: Literal["waiting", "quarantined"]) -> ColumnElement[bool]:
    """The condition that events are in this state, in the words of their index."""
    chains = select(enrolments.c.terminal, enrolments.c.epoch)
    return tuple_(events.c.terminal, events.c.epoch).in_(chains) & (events.c.state == state)
