"""What may become of a card and a bill: pure decisions on facts (settlement.md A.7, B.8, B.10; design 3.1, 3.4).

Every key names a text of the catalogue.
"""

from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from host_bridge.card.compare import compare_chip_and_centre
from host_bridge.card.session import Insurance, Issuer
from host_bridge.journal.people import Remembered
from host_bridge.journal.reader import Backlog
from protocols.events.events import Basis, Mode
from protocols.events.frames import PersonAnswer
from protocols.settlement.bill import Accumulators
from protocols.settlement.profile import INPATIENT, City, OfflineLimits, load_city

OUTPATIENT, PHARMACY = "11", "41"
"""Kinds of care: `med_type`."""
INSURED = "1"
"""`psn_insu_stas` of a person whose insurance is in force."""
UNUSABLE_CARDS = {
    "formal_lost": "visit_card_formal_lost",
    "pre_lost": "visit_card_pre_lost",
    "exchanged": "visit_card_exchanged",
    "void": "visit_card_void",
}
"""`card_state`s with which nothing is settled, whatever the card says (003-2.28, 003-2.41, 001-12)."""
NOT_ACTIVATED = "picked_up"
DIFFERENCES = {"insutype": "visit_scheme_differs", "psn_type": "visit_retirement_differs"}

Source = Literal["centre", "cached", "none"]


class Insured(NamedTuple):
    """The insurance a bill is split by."""

    insutype: str
    psn_type: str
    insuplc_admdvs: str


class Known(NamedTuple):
    """What is known about a person beside the chip: from the centre in this visit, or remembered since `time`.

    Accumulators and account balance include this terminal's own bills that the centre has not receipted; `unknown` is
    the catalogue key where the centre was asked and cannot tell.
    """

    source: Source
    answer: PersonAnswer | None = None
    time: datetime | None = None
    accumulators: Accumulators = Accumulators(0, 0)
    balc: int | None = None
    unknown: str | None = None


NOTHING = Known("none")


class Standing(NamedTuple):
    """The terminal at this moment. `card_day_fen`: settled provisionally with this card today."""

    now: datetime
    trusted: bool
    backlog: Backlog
    card_day_fen: int


class Decision(NamedTuple):
    """How a bill is settled; `key` says why not online."""

    mode: Mode | Literal["refuse"]
    key: str | None = None


def usual_care(fixmedins_code: str) -> str:
    """The `med_type` assumed at this institution until a bill says another (settlement.md B.6)."""
    return PHARMACY if fixmedins_code.startswith("P") else OUTPATIENT


def known_of(remembered: Remembered | None, source: Source) -> Known:
    """A remembered answer; with source `centre` the one that was given and remembered in this visit."""
    if remembered is None:
        return NOTHING
    answer, pending = remembered.answer, remembered.pending
    if pending is None:
        return Known(source, answer, remembered.time, answer.accumulators, answer.balc)
    return Known(source, answer, remembered.time, pending.accumulators, pending.balc)


def insured_by(chip: Insurance | None, known: Known) -> Insured | None:
    """The chip's insurance where it was read behind the PIN, otherwise the centre's or the remembered one."""
    said = chip or known.answer
    return None if said is None else Insured(said.insutype, said.psn_type, said.insuplc_admdvs)


def before_of(known: Known, year: int) -> tuple[Accumulators, Basis]:
    """Accumulators to start from and the ledger version they are; a new year starts at nothing."""
    if known.answer is None:
        return Accumulators(0, 0), Basis(0, "none")
    if known.answer.year != year:
        return Accumulators(0, 0), Basis(0, known.source)
    return known.accumulators, Basis(known.answer.version, known.source)


def card_refusal(issuer: Issuer, known: Known, today: date) -> str | None:
    """Why nothing may be settled with this card at all."""
    if issuer.expiry_date is not None and issuer.expiry_date < today:
        return "visit_card_expired"
    return UNUSABLE_CARDS.get(known.answer.card_state) if known.answer is not None else None


def may_pay(city: City, known: Known, *, was_default: bool | None, changed: bool) -> bool:
    """Whether a PIN that was right may pay (-35).

    `was_default` is what was found by comparing; where nothing was compared, the centre's flag decides, until the PIN
    is changed in this visit.
    """
    if city.default_pin_may_pay:
        return True
    if was_default is None:
        was_default = known.answer is not None and known.answer.default_pin and not changed
    return not was_default


def chip_differences(chip: Insurance | None, known: Known) -> tuple[str | None, tuple[str, ...]]:
    """(refusal, notices) where chip and centre differ (003-2.68, 003-3.6): a retirement is settled as the chip says."""
    if chip is None or known.answer is None:
        return None, ()
    found = compare_chip_and_centre(chip, known.answer)
    stops = [DIFFERENCES[each.field] for each in found if each.effect == "stop"]
    return (stops[0] if stops else None), tuple(DIFFERENCES[each.field] for each in found if each.effect == "warn")


def home_city(admdvs: str, on: date, *, simulated: bool) -> City | None:
    """The city somebody is insured in, where it has a profile."""
    try:
        return load_city(admdvs, on, simulated=simulated)
    except KeyError:
        return None


def insured_elsewhere(insured: Insured, city: City, on: date) -> bool:
    """Whether another city's insurance would pay; this counter settles its own city's only."""
    home = home_city(insured.insuplc_admdvs, on, simulated=city.simulated)
    return home is None or city_division(home) != city_division(city)


def city_division(city: City) -> str:
    """The six digits a profile is filed under."""
    return city.versions_name.partition("@")[0]


def backlog_reason(city: City, standing: Standing) -> str | None:
    """The limit of un-receipted events that is reached, if one is."""
    limits, backlog = city.offline_limits, standing.backlog
    if limits is None or backlog.oldest_time is None:
        return None
    if backlog.count >= limits.backlog_count:
        return "visit_backlog_count"
    if backlog.fen >= limits.backlog_fen:
        return "visit_backlog_amount"
    if standing.now - backlog.oldest_time > timedelta(hours=limits.backlog_hours):
        return "visit_backlog_age"
    return None


def decide(
    known: Known, chip: Insurance | None, city: City, *, med_type: str, bill_fen: int, standing: Standing
) -> Decision:
    """How a bill with a readable card that is not refused is settled."""
    insured = insured_by(chip, known)
    if med_type in INPATIENT and known.source != "centre":
        return Decision("refuse", "visit_centre_needed")
    if (key := backlog_reason(city, standing)) is not None:
        return Decision("full_cash", key)
    if insured is None or known.unknown is not None:
        nobody = "visit_cache_missing" if known.source == "none" else "visit_insurance_unknown"
        return Decision("full_cash", known.unknown or nobody)
    if known.answer is not None and known.answer.psn_insu_stas != INSURED:
        return Decision("full_cash", "visit_not_insured")
    if insured_elsewhere(insured, city, standing.now.date()):
        return Decision("full_cash", "visit_insured_elsewhere")
    if known.source == "centre":
        if known.answer is not None and known.answer.card_state == "unknown":
            return Decision("full_cash", "visit_card_unknown")
        return Decision("online")
    rule = city.offline(med_type, insured.insutype)
    if rule == "refuse":
        return Decision("refuse", "visit_centre_needed")
    if rule == "full_cash" or city.offline_limits is None:
        return Decision("full_cash", "visit_centre_away")
    return _within_limits(known, city.offline_limits, bill_fen, standing)


def _within_limits(known: Known, limits: OfflineLimits, bill_fen: int, standing: Standing) -> Decision:
    if not standing.trusted:
        return Decision("full_cash", "visit_clock_untrusted")
    if known.answer is None or known.time is None:
        return Decision("full_cash", "visit_cache_missing")
    if known.answer.card_state != "active":
        return Decision("full_cash", "visit_card_not_active")
    if standing.now - known.time > timedelta(hours=limits.cache_hours):
        return Decision("full_cash", "visit_cache_old")
    if bill_fen > limits.bill_fen:
        return Decision("full_cash", "visit_bill_limit")
    if bill_fen + standing.card_day_fen > limits.card_day_fen:
        return Decision("full_cash", "visit_card_day_limit")
    return Decision("provisional", "visit_provisional")
