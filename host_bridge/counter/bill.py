"""A bill in a visit: what it comes to before anything is recorded, and the settlement made of it."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol

from host_bridge.counter.decide import Decision, Insured, Known, before_of
from protocols.events.events import Basis, Mode, Refund, Settlement, Versions, person_hash
from protocols.events.frames import Person
from protocols.settlement.bill import AcctScope, Accumulators, FeeLine, Split
from protocols.settlement.catalogue import Catalogue
from protocols.settlement.profile import City
from protocols.settlement.split import (
    SPLIT_VERSION,
    BillError,
    SplitRules,
    broken_identities,
    full_cash,
    refund_of,
    split_bill,
)
from protocols.texts.catalogue import texts

NO_SPLIT = ""
"""`split_name` of a full-cash bill, which no rules split."""


class ItemLine(Protocol):
    """A line that names a catalogue item and how many of it."""

    @property
    def code(self) -> str: ...

    @property
    def cnt(self) -> str: ...


class Quote(NamedTuple):
    """A pre-settled bill (预结算): everything a settlement is computed from, and its result.

    `reason` is the catalogue key of a full-cash or provisional bill; `rules` are absent where no fund takes part.
    """

    mode: Mode
    reason: str | None
    insured: Insured | None
    rules: SplitRules | None
    year: int
    before: Accumulators
    basis: Basis
    account: int | None
    acct_scope: AcctScope | None
    split: Split


def bill_lines(lines: Sequence[FeeLine | ItemLine], catalogue: Catalogue) -> tuple[FeeLine, ...]:
    """The lines with catalogue items looked up; `BillError` where one is unknown or malformed, or there is none."""
    found = tuple(_fee_line(line, number, catalogue) for number, line in enumerate(lines, 1))
    full_cash(found, Accumulators(0, 0), "line")
    return found


def quote_full_cash(lines: Sequence[FeeLine], city: City, insured: Insured | None, reason: str, day: date) -> Quote:
    """All cash, no fund, no account, no accumulator moves (003-3.18)."""
    nothing = Accumulators(0, 0)
    split = full_cash(lines, nothing, city.rounding)
    year = city.accumulator_year(day, day)
    return Quote("full_cash", reason, insured, None, year, nothing, Basis(0, "none"), None, None, split)


def quote_split(
    lines: Sequence[FeeLine],
    city: City,
    insured: Insured,
    known: Known,
    decision: Decision,
    *,
    med_type: str,
    age: int,
    day: date,
) -> Quote:
    """Split by the city's rules; the account takes part only where the centre just gave its balance.

    `NotOffered` where the city has no split for it, `BillError` where the bill does not fit the split.
    """
    rules = city.split_for(insured.insutype, insured.psn_type, age, med_type)
    year = city.accumulator_year(day, day)
    before, basis = before_of(known, year)
    scope = city.acct_scope(insured.insutype, med_type)
    account = known.balc if decision.mode == "online" and scope != "none" else None
    split = split_bill(lines, rules, before, account=account, acct_scope=scope, rounding=city.rounding)
    mode: Mode = "online" if decision.mode == "online" else "provisional"
    return Quote(mode, decision.key, insured, rules, year, before, basis, account, scope, split)


def line_fen(line: FeeLine) -> int:
    """What one line comes to, rounded to fen for display."""
    return full_cash((line,), Accumulators(0, 0), "line").medfee_sumamt


def faults_of(quote: Quote, lines: Sequence[FeeLine], city: City) -> tuple[str, ...]:
    """Split once more from the same inputs: the identities it breaks, `again` where it comes out differently."""
    if quote.rules is None:
        again = full_cash(lines, quote.before, city.rounding)
    else:
        again = split_bill(
            lines,
            quote.rules,
            quote.before,
            account=quote.account,
            acct_scope=quote.acct_scope,
            rounding=city.rounding,
        )
    return broken_identities(again) + (() if again == quote.split else ("again",))


def settlement_of(
    quote: Quote,
    lines: tuple[FeeLine, ...],
    city: City,
    catalogue: Catalogue,
    *,
    mdtrt_id: str,
    fixmedins_code: str,
    opter: str,
    med_type: str,
    person: Person | None,
    pin_verified: bool,
) -> Settlement:
    """The journal's record of a quote."""
    insured = quote.insured or Insured("", "", "")
    reason = texts()[quote.reason].number if quote.mode == "full_cash" and quote.reason is not None else None
    return Settlement(
        mdtrt_id=mdtrt_id,
        fixmedins_code=fixmedins_code,
        opter=opter,
        med_type=med_type,
        insutype=insured.insutype,
        psn_type=insured.psn_type,
        insuplc_admdvs=insured.insuplc_admdvs,
        person_hash=hash_of(person),
        pin="verified" if pin_verified else "not_asked",
        mode=quote.mode,
        reason=reason,
        versions=Versions(profile=city.versions_name, catalogue=catalogue.version, split=SPLIT_VERSION),
        split_name=NO_SPLIT if quote.rules is None else quote.rules.name,
        year=quote.year,
        basis=quote.basis,
        before=quote.before,
        account=quote.account,
        acct_scope=quote.acct_scope,
        rounding=city.rounding,
        lines=lines,
        split=quote.split,
    )


def refund_event(
    original_id: str, original: Settlement, current: Accumulators, *, mdtrt_id: str, opter: str, person: Person | None
) -> Refund:
    """Takes back a whole settlement (settlement.md B.7-5); `current` are the person's accumulators before it."""
    split = original.split
    after_inscope = current.inscope - (split.after_inscope - original.before.inscope)
    after_big = current.big - (split.after_big - original.before.big)
    return Refund(
        original=original_id,
        mdtrt_id=mdtrt_id,
        fixmedins_code=original.fixmedins_code,
        opter=opter,
        person_hash=hash_of(person),
        split=refund_of(split, after_inscope, after_big),
    )


def hash_of(person: Person | None) -> str | None:
    """How an event names this person."""
    return None if person is None else person_hash(person.certno, person.salt)


def _fee_line(line: FeeLine | ItemLine, number: int, catalogue: Catalogue) -> FeeLine:
    if isinstance(line, FeeLine):
        return line
    try:
        return catalogue.line(line.code, line.cnt)
    except BillError as error:
        raise BillError(error.code, line=number, field=error.field) from None
