"""Booking in order of arrival: the vectors of settlement.md C.4, and every rule of design 3.2 about them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from protocols.settlement.bill import Accumulators
from protocols.settlement.money import fen
from server.ledger.report import report
from server.people.persons import PersonYear, Standing, advance, meet_person, standing
from server.store.tables import accounts, adjustments, bookings, ledger
from tests.server.chains import LI, Written, line
from tests.server.conftest import Bench

CASES = tomllib.loads((Path(__file__).parents[1] / "vectors" / "booking.toml").read_text())["case"]
LINES = [line("01", "150.00")]


def opening(bench: Bench, inscope: str, big: str, account: str | None = None) -> Standing:
    with bench.store.write() as connection:
        place = PersonYear(meet_person(connection, LI.certno), "310", 2026)
        amounts = Accumulators(fen(inscope), fen(big))
        advance(connection, place, Standing(0, amounts), amounts)
        if account is not None:
            connection.execute(accounts.insert().values(person_id=place.person, balc_fen=fen(account)))
    return where(bench)


def where(bench: Bench) -> Standing:
    with bench.store.read() as connection:
        return standing(connection, PersonYear(1, "310", 2026))


def balance(bench: Bench) -> int:
    with bench.store.read() as connection:
        return int(connection.execute(select(accounts.c.balc_fen)).scalar_one())


def balanced(bench: Bench) -> bool:
    """Every booking's lines, its adjustment's included, sum to 0, each part by itself."""
    with bench.store.read() as connection:
        sums = connection.execute(
            select(func.sum(ledger.c.amount_fen)).group_by(ledger.c.booking_id, ledger.c.adjustment_id)
        ).scalars()
        return all(amount == 0 for amount in sums)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_vector(bench: Bench, case: dict[str, Any]) -> None:
    start = opening(bench, **case["opening"])
    chains = {site: bench.enrol(f"T-{site}") for site in {step["site"] for step in case["steps"]}}
    written: list[Written] = []
    for step in case["steps"]:
        chain = chains[step["site"]]
        if "refund_of" in step:
            written.append(chain.refund(written[step["refund_of"]]))
        else:
            basis = start if step["basis"] == "opening" else where(bench)
            lines = [line(**each) for each in step["lines"]]
            kept = {key: step[key] for key in ("mode", "rounding", "reason") if key in step}
            facts = {"split_name": case["split_name"], "psn_type": case["psn_type"], **kept}
            written.append(chain.settle(lines, basis.amounts, basis.version, **facts))
            assert written[-1].event.data.split.act_pay_dedc == fen(step["dedc"])  # type: ignore[union-attr]
        receipts = bench.take(chain.topic("event"), chain.frame(len(chain.events)))
        assert [(receipt.seq, receipt.refused) for receipt in receipts] == [(len(chain.events), ())]
    with bench.store.read() as connection:
        found = report(connection)
    booked = {event.id: event for event in found.events}
    for step, event in zip(case["steps"], written, strict=True):
        assert (booked[event.id].fund_fen, booked[event.id].cash_fen) == (fen(step["fund"]), fen(step["cash"]))
    assert [(a.event, a.fund_fen, a.cash_fen, a.payee, a.state) for a in found.adjustments] == [
        (event.id, fen(wanted["fund"]), fen(wanted["cash"]), wanted["payee"], "open")
        for step, event in zip(case["steps"], written, strict=True)
        if (wanted := step.get("adjustment"))
    ]
    assert where(bench).amounts == Accumulators(fen(case["after"]["inscope"]), fen(case["after"]["big"]))
    if "totals" in case:
        assert found.totals.fund_fen == fen(case["totals"]["fund"])
        assert found.totals.cash_fen == fen(case["totals"]["cash"])
    assert found.balance_fen == 0
    assert found.chains.broken == ()
    assert balanced(bench)


def test_version_grows_by_one_with_each_booking(bench: Bench) -> None:
    chain = bench.enrol("T1")
    versions = []
    for _ in range(3):
        now = where(bench)
        chain.settle(LINES, now.amounts, now.version)
        bench.take(chain.topic("event"), chain.frame(len(chain.events)))
        versions.append(where(bench).version)
    assert versions == [1, 2, 3]
    assert where(bench).amounts == Accumulators(45000, 0)


def test_same_version_but_other_amounts_is_recomputed(bench: Bench) -> None:
    start = opening(bench, "1700.00", "0.00")
    chain = bench.enrol("T1")
    chain.settle([line("01", "200.00")], Accumulators(0, 0), start.version)
    bench.take(chain.topic("event"), chain.frame())
    with bench.store.read() as connection:
        assert [a.fund_fen for a in report(connection).adjustments] == [7000]
    assert where(bench).amounts == Accumulators(190000, 7000)


def test_person_who_was_paid_too_much_owes_the_fund(bench: Bench) -> None:
    start = opening(bench, "1900.00", "19990.00")
    first, second = bench.enrol("T1"), bench.enrol("T2")
    for chain in (first, second):
        chain.settle([line("01", "10.00")], start.amounts, start.version, mode="provisional")
        bench.take(chain.topic("event"), chain.frame())
    with bench.store.read() as connection:
        (found,) = report(connection).adjustments
    assert (found.fund_fen, found.cash_fen) == (-400, 400)
    assert (found.payee, found.channel, found.state) == ("fund", "agency", "open")
    assert where(bench).amounts.big == fen("20000.00")


def test_account_spent_elsewhere_becomes_cash_due(bench: Bench) -> None:
    start = opening(bench, "0.00", "0.00", account="80.00")
    facts: dict[str, Any] = {
        "profile": "990101@2026-01-01+simulated",
        "split_name": "SF-E",
        "account": 8000,
        "acct_scope": "all",
    }
    first, second = bench.enrol("T1"), bench.enrol("T2")
    for chain in (first, second):
        chain.settle([line("01", "50.00")], start.amounts, start.version, **facts)
        bench.take(chain.topic("event"), chain.frame())
    assert balance(bench) == 0
    with bench.store.read() as connection:
        (found,) = report(connection).adjustments
    assert (found.fund_fen, found.acct_fen, found.cash_fen, found.payee) == (0, -2000, 2000, "fund")
    second.refund(second.events[0])
    bench.take(second.topic("event"), second.frame(2))
    assert balance(bench) == 3000
    assert balanced(bench)


def test_full_cash_touches_no_accumulators_and_needs_no_person(bench: Bench) -> None:
    start = opening(bench, "1700.00", "0.00")
    chain = bench.enrol("T1")
    chain.settle(LINES, start.amounts, start.version, mode="full_cash", reason="S-001")
    chain.settle(LINES, Accumulators(0, 0), 0, mode="full_cash", reason="S-001", person=None)
    chain.refund(chain.events[0])
    (receipt,) = bench.take(chain.topic("event"), chain.frame())
    assert (receipt.seq, receipt.refused) == (3, ())
    assert where(bench) == start
    assert balanced(bench)


class Adjusted:
    """D14's A, booked with its adjustment of +70.00, the settlement at `chain`'s seq 1."""

    def __init__(self, bench: Bench) -> None:
        self.start = opening(bench, "1700.00", "0.00")
        self.b, self.a = bench.enrol("T-B"), bench.enrol("T-A")
        self.b.settle([line("01", "150.00")], self.start.amounts, self.start.version)
        self.a.settle([line("01", "200.00")], self.start.amounts, self.start.version, mode="provisional")
        bench.take(self.b.topic("event"), self.b.frame())
        bench.take(self.a.topic("event"), self.a.frame())

    def refund(self, bench: Bench) -> None:
        self.a.refund(self.a.events[0])
        bench.take(self.a.topic("event"), self.a.frame(2))


def test_refund_takes_an_open_adjustment_back(bench: Bench) -> None:
    adjusted = Adjusted(bench)
    adjusted.refund(bench)
    with bench.store.read() as connection:
        found = report(connection).adjustments
        due = connection.execute(select(func.sum(ledger.c.amount_fen)).where(ledger.c.account == "due")).scalar_one()
    assert [(a.fund_fen, a.cash_fen, a.state, a.counter_entry) for a in found] == [
        (7000, -7000, "waived", False),
        (-7000, 7000, "waived", True),
    ]
    assert due == 0
    assert where(bench).amounts == Accumulators(185000, 3500)
    assert balanced(bench)


def test_refund_after_the_adjustment_was_paid_leaves_a_debt(bench: Bench) -> None:
    adjusted = Adjusted(bench)
    with bench.store.write() as connection:
        connection.execute(update(adjustments).values(state="paid"))
    adjusted.refund(bench)
    with bench.store.read() as connection:
        found = report(connection).adjustments
    assert [(a.fund_fen, a.payee, a.state) for a in found] == [
        (7000, "person", "paid"),
        (-7000, "fund", "open"),
    ]


def test_later_settlements_stand_when_an_older_one_is_refunded(bench: Bench) -> None:
    start = opening(bench, "1700.00", "0.00")
    chain = bench.enrol("T1")
    old = chain.settle([line("01", "150.00")], start.amounts, start.version)
    bench.take(chain.topic("event"), chain.frame())
    now = where(bench)
    chain.settle([line("01", "100.00")], now.amounts, now.version)
    chain.refund(old)
    bench.take(chain.topic("event"), chain.frame(2))
    assert where(bench).amounts == Accumulators(180000, 7000)
    with bench.store.read() as connection:
        assert report(connection).adjustments == ()


def test_refusals_are_booked_without_money(bench: Bench) -> None:
    chain = bench.enrol("T1")
    chain.refuse()
    bench.take(chain.topic("event"), chain.frame())
    with bench.store.read() as connection:
        rows = connection.execute(select(bookings.c.kind, bookings.c.number)).all()
        assert [tuple(row) for row in rows] == [("refusal", "-52")]
        assert connection.execute(select(func.count()).select_from(ledger)).scalar_one() == 0


def test_consultation_leaves_the_accumulators(bench: Bench) -> None:
    start = opening(bench, "1000.00", "5.00")
    chain = bench.enrol("T1")
    chain.settle([line("01", "5.00")], start.amounts, start.version, split_name="BJ-REG", med_type="12")
    bench.take(chain.topic("event"), chain.frame())
    assert where(bench) == Standing(start.version + 1, start.amounts)
    with bench.store.read() as connection:
        assert report(connection).totals.fund_fen == 200
