"""The visit's bill pre-settled, or what a bill would be settled as. Pure."""

from datetime import date

from host_bridge.counter.bill import quote_full_cash, quote_split
from host_bridge.counter.decide import Standing, decide
from host_bridge.counter.visit import Visit
from protocols.settlement.bill import Accumulators
from protocols.settlement.profile import City, NotOffered
from protocols.settlement.split import full_cash
from protocols.sscard.identity import age_on


def priced(visit: Visit, city: City, standing: Standing, day: date) -> Visit:
    """The visit with its bill pre-settled; without a bill, ready for one with the outlook on it; or refused.

    A visit without a card waits for a full-cash reason. `BillError` where the bill does not fit the split.
    """
    if visit.cash is not None:
        return _in_cash(visit, city, visit.cash, day)
    if visit.holder is None:
        return visit
    total = full_cash(visit.lines, Accumulators(0, 0), city.rounding).medfee_sumamt if visit.lines else 0
    decision = decide(visit.known, visit.chip, city, med_type=visit.med_type, bill_fen=total, standing=standing)
    if decision.mode == "refuse":
        return visit.refuse(decision.key or "visit_centre_needed")
    if not visit.lines:
        return visit.ready(decision.key)
    if decision.mode == "full_cash" or visit.insured is None:
        return _in_cash(visit, city, decision.key or "visit_insurance_unknown", day)
    age = age_on(visit.holder.brdy, day)
    try:
        quote = quote_split(
            visit.lines, city, visit.insured, visit.known, decision, med_type=visit.med_type, age=age, day=day
        )
    except NotOffered as error:
        return _in_cash(visit, city, error.key, day)
    return visit.quoted(quote)


def _in_cash(visit: Visit, city: City, key: str, day: date) -> Visit:
    if not visit.lines:
        return visit
    return visit.quoted(quote_full_cash(visit.lines, city, visit.insured, key, day))
