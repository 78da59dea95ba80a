"""What may become of a bill: each limit at its edge (settlement.md B.10, design 3.1, 3.4)."""

from datetime import timedelta

import msgspec
import pytest

from host_bridge.card.session import Insurance
from host_bridge.counter.decide import Decision, Known, Standing, before_of, decide, insured_by
from host_bridge.journal.reader import Backlog
from protocols.events.events import Basis
from protocols.events.frames import PersonAnswer
from protocols.settlement.bill import Accumulators
from protocols.settlement.profile import load_city
from tests.host_bridge.counter.till import NOON

CITY = load_city("110000", NOON.date(), simulated=True)
PLAIN_CITY = load_city("110000", NOON.date(), simulated=False)
"""Without simulated values Beijing settles nothing without the centre (003-3.18)."""
ANSWER = PersonAnswer(
    insutype="310",
    psn_type="1101",
    psn_insu_stas="1",
    insuplc_admdvs="110000",
    balc=None,
    card_state="active",
    default_pin=False,
    year=2026,
    version=7,
    accumulators=Accumulators(165035, 0),
)
CACHED = Known("cached", ANSWER, NOON, ANSWER.accumulators)
ONLINE = CACHED._replace(source="centre")
STANDING = Standing(NOON, True, Backlog(0, 0, None), 0)
CHIP = Insurance("310", "1101", "110000", "11", "00000")
HOUR = timedelta(hours=1)


def decided(
    known: Known = CACHED, standing: Standing = STANDING, *, med_type: str = "11", bill_fen: int = 10000
) -> Decision:
    return decide(known, None, CITY, med_type=med_type, bill_fen=bill_fen, standing=standing)


def answered(**change: object) -> Known:
    return CACHED._replace(answer=msgspec.structs.replace(ANSWER, **change))


def test_the_centre_makes_it_online_whatever_the_clock_says() -> None:
    assert decided(ONLINE, STANDING._replace(trusted=False), bill_fen=10**9) == Decision("online")


def test_within_all_limits_it_is_provisional() -> None:
    assert decided() == Decision("provisional", "visit_provisional")


@pytest.mark.parametrize(
    ("standing", "bill_fen", "key"),
    [
        (STANDING, 100000, "visit_provisional"),
        (STANDING, 100001, "visit_bill_limit"),
        (STANDING._replace(card_day_fen=150000), 50000, "visit_provisional"),
        (STANDING._replace(card_day_fen=150000), 50001, "visit_card_day_limit"),
        (STANDING._replace(trusted=False), 100, "visit_clock_untrusted"),
        (STANDING._replace(now=NOON + 48 * HOUR), 100, "visit_provisional"),
        (STANDING._replace(now=NOON + 49 * HOUR), 100, "visit_cache_old"),
        (STANDING._replace(backlog=Backlog(199, 100, NOON)), 100, "visit_provisional"),
        (STANDING._replace(backlog=Backlog(200, 100, NOON)), 100, "visit_backlog_count"),
        (STANDING._replace(backlog=Backlog(2, 4999999, NOON)), 100, "visit_provisional"),
        (STANDING._replace(backlog=Backlog(2, 5000000, NOON)), 100, "visit_backlog_amount"),
        (STANDING._replace(backlog=Backlog(2, 100, NOON - 72 * HOUR)), 100, "visit_provisional"),
        (STANDING._replace(backlog=Backlog(2, 100, NOON - 73 * HOUR)), 100, "visit_backlog_age"),
    ],
)
def test_each_limit_at_its_edge(standing: Standing, bill_fen: int, key: str) -> None:
    """The simulated limits of Beijing: 1000.00, 2000.00, 50000.00, 200 events, 72 hours, 48 hours."""
    mode = "provisional" if key == "visit_provisional" else "full_cash"
    assert decided(standing=standing, bill_fen=bill_fen) == (mode, key)


def test_a_backlog_past_its_limits_means_full_cash_with_the_centre_too() -> None:
    standing = STANDING._replace(backlog=Backlog(200, 100, NOON))
    assert decided(ONLINE, standing) == Decision("full_cash", "visit_backlog_count")


@pytest.mark.parametrize(
    ("known", "key"),
    [
        (answered(card_state="picked_up"), "visit_card_not_active"),
        (answered(card_state="unknown"), "visit_card_not_active"),
        (answered(psn_insu_stas="0"), "visit_not_insured"),
        (answered(insuplc_admdvs="430100"), "visit_insured_elsewhere"),
        (answered(insuplc_admdvs="640100"), "visit_insured_elsewhere"),
        (Known("none"), "visit_cache_missing"),
        (Known("centre", unknown="visit_card_unknown"), "visit_card_unknown"),
    ],
)
def test_what_is_known_may_forbid_it(known: Known, key: str) -> None:
    assert decided(known) == Decision("full_cash", key)


def test_with_the_chip_alone_the_sums_are_missing() -> None:
    decision = decide(Known("none"), CHIP, CITY, med_type="11", bill_fen=100, standing=STANDING)
    assert decision == Decision("full_cash", "visit_cache_missing")


@pytest.mark.parametrize("med_type", ["21", "22", "23", "24"])
def test_inpatient_care_is_refused_without_the_centre(med_type: str) -> None:
    assert decided(med_type=med_type) == Decision("refuse", "visit_centre_needed")
    assert decided(ONLINE, med_type=med_type) == Decision("online")


@pytest.mark.parametrize("med_type", ["12", "13", "14", "41"])
def test_care_that_is_never_provisional_is_full_cash(med_type: str) -> None:
    assert decided(med_type=med_type) == Decision("full_cash", "visit_centre_away")


def test_full_cash_is_what_a_city_that_says_nothing_else_does() -> None:
    decision = decide(CACHED, None, PLAIN_CITY, med_type="11", bill_fen=100, standing=STANDING)
    assert decision == Decision("full_cash", "visit_centre_away")


def test_a_district_of_the_city_is_the_city() -> None:
    assert decided(answered(insuplc_admdvs="110102")).mode == "provisional"


def test_the_chip_names_the_insurance_before_the_centre() -> None:
    found = insured_by(msgspec.structs.replace(CHIP, psn_type="1201"), ONLINE)
    assert found is not None
    assert found.psn_type == "1201"


def test_a_new_year_starts_at_nothing() -> None:
    assert before_of(CACHED, 2026) == (Accumulators(165035, 0), Basis(7, "cached"))
    assert before_of(CACHED, 2027) == (Accumulators(0, 0), Basis(0, "cached"))
    assert before_of(Known("none"), 2026) == (Accumulators(0, 0), Basis(0, "none"))
