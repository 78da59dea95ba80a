"""What a test puts into an inbox and finds in its store."""

from typing import Any

from sqlalchemy import func, select

from server.store.tables import alarms, bookings, events, evidence
from tests.server.chains import NOTHING, Chain, line
from tests.server.conftest import Bench

LINES = [line("01", "150.00")]


def spend(chain: Chain, count: int = 1, **facts: Any) -> None:
    """Full-cash bills: events whose booking depends on nothing."""
    for _ in range(count):
        chain.settle(LINES, NOTHING, 0, mode="full_cash", reason="S-001", **facts)


def states(bench: Bench) -> dict[int, str]:
    with bench.store.read() as connection:
        return {row.seq: row.state for row in connection.execute(select(events.c.seq, events.c.state))}


def alarmed(bench: Bench) -> dict[tuple[str, str], int]:
    with bench.store.read() as connection:
        rows = connection.execute(select(alarms))
        return {(row.terminal, row.number): row._mapping["count"] for row in rows}


def kept(bench: Bench) -> list[tuple[str, str, bytes]]:
    with bench.store.read() as connection:
        rows = connection.execute(select(evidence).order_by(evidence.c.id))
        return [(row.terminal, row.number, row.payload) for row in rows]


def booked(bench: Bench) -> int:
    with bench.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(bookings)).scalar_one())
