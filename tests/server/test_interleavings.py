"""Whatever order, repetition and grouping frames arrive in: each event once, and the accumulators are the sum."""

from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from protocols.events.events import Settlement
from protocols.events.frames import Person
from protocols.events.steps import pass_by
from protocols.settlement.bill import Accumulators
from server.inbox.intake import take_message
from server.inbox.message import Message
from server.people.persons import PersonYear, person_id, standing
from server.store.store import millis
from server.store.tables import adjustments, bookings, ledger
from server.terminals.registry import enrolled
from tests.server.chains import SALT, Chain, line
from tests.server.conftest import Bench

UNIQUE = count(1)
PLENTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def someone() -> Person:
    return Person(f"99010119880229{next(UNIQUE):04d}", f"A{next(UNIQUE):08d}", SALT)


@st.composite
def deliveries(draw: st.DrawFn, lengths: list[int]) -> list[tuple[int, int, int]]:
    """(terminal, first, last) frames in any order, with repetitions, that cover every event at least once."""
    frames = draw(
        st.lists(st.tuples(st.integers(0, len(lengths) - 1), st.integers(1, 6), st.integers(0, 3)), max_size=20)
    )
    chosen = [(which, min(first, lengths[which]), min(first + more, lengths[which])) for which, first, more in frames]
    singles = [(which, seq, seq) for which, length in enumerate(lengths) for seq in range(1, length + 1)]
    return chosen + draw(st.permutations(singles))


def deliver(bench: Bench, chains: list[Chain], frames: list[tuple[int, int, int]]) -> None:
    with bench.store.write() as connection:
        for which, first, last in frames:
            chain = chains[which]
            message = Message(chain.topic("event"), chain.frame(first, last), False, 1, 1)
            assert take_message(connection, message, millis(bench.now), pass_by) == chain.terminal


def check_chains(bench: Bench, chains: list[Chain]) -> None:
    with bench.store.read() as connection:
        for chain in chains:
            who = enrolled(connection, chain.terminal)
            assert who is not None
            assert (who.mark.seq, who.mark.hash) == (len(chain.events), chain.hash(len(chain.events)))
            rows = connection.execute(
                select(bookings.c.seq).where(bookings.c.terminal == chain.terminal).order_by(bookings.c.id)
            ).scalars()
            assert list(rows) == list(range(1, len(chain.events) + 1))
        assert connection.execute(select(func.sum(ledger.c.amount_fen))).scalar_one() == 0


@PLENTY
@given(data=st.data())
def test_terminals_with_their_own_persons_end_as_in_order(bench: Bench, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    chains, ends = [], []
    for length in lengths:
        chain, person = bench.enrol(f"P{next(UNIQUE)}"), someone()
        now, version = Accumulators(0, 0), 0
        for _ in range(length):
            pric = f"{data.draw(st.integers(1, 90000))}.{data.draw(st.integers(0, 99)):02d}"
            split = chain.settle([line("01", pric)], now, version, person=person).event.data
            assert isinstance(split, Settlement)
            now, version = Accumulators(split.split.after_inscope, split.split.after_big), version + 1
        chains.append(chain)
        ends.append((person, now, version))
    deliver(bench, chains, data.draw(deliveries(lengths)))
    check_chains(bench, chains)
    with bench.store.read() as connection:
        for person, now, version in ends:
            key = person_id(connection, person.certno)
            assert key is not None
            assert standing(connection, PersonYear(key, "310", 2026)) == (version, now)
            assert (
                connection.execute(
                    select(func.count()).select_from(adjustments).where(adjustments.c.person_id == key)
                ).scalar_one()
                == 0
            )


@PLENTY
@given(data=st.data())
def test_terminals_that_share_a_person_offline_add_up(bench: Bench, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=3))
    person = someone()
    chains = []
    inscope = 0
    for length in lengths:
        chain = bench.enrol(f"S{next(UNIQUE)}")
        for _ in range(length):
            amount = data.draw(st.integers(1, 200000))
            inscope += amount
            pric = f"{amount // 100}.{amount % 100:02d}"
            chain.settle([line("01", pric)], Accumulators(0, 0), 0, mode="provisional", person=person)
        chains.append(chain)
    deliver(bench, chains, data.draw(deliveries(lengths)))
    check_chains(bench, chains)
    with bench.store.read() as connection:
        key = person_id(connection, person.certno)
        assert key is not None
        now = standing(connection, PersonYear(key, "310", 2026))
        funds = connection.execute(
            select(func.coalesce(func.sum(ledger.c.amount_fen), 0))
            .join(bookings, bookings.c.id == ledger.c.booking_id)
            .where(bookings.c.person_id == key, ledger.c.account == "big")
        ).scalar_one()
    assert now.version == sum(lengths)
    assert now.amounts == Accumulators(inscope, funds)
    assert now.amounts.big <= 2_000_000
