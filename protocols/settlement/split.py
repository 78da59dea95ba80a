"""How a bill is split (settlement.md C.1), in integers only; halves go up."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from protocols.settlement.bill import AcctScope, Accumulators, FeeLine, Rounding, Split
from protocols.settlement.codes import Label
from protocols.settlement.money import halves_up

SPLIT_VERSION = "1"
"""What events record as the version of this arithmetic; it changes when any split comes out differently."""

MAX_LINES = 10_000
MAX_FEN = 10**16 - 1
"""The largest amount of format 16,2 (settlement.md B.5)."""

_PLACES: dict[Rounding, int] = {"line": 2, "bill": 4}
_RATIO_PLACES = 4
_ONE = 10**_RATIO_PLACES
_FORMATS = {
    "pric": (10, 6),
    "cnt": (12, 4),
    "selfpay_prop": (1, _RATIO_PLACES),
    "pric_uplmt_amt": (10, 6),
}
"""Digits before and after the point (settlement.md B.4)."""


class BillError(ValueError):
    """A bill that cannot be split: `code` is a key of the text catalogue, `line` counts from 1."""

    def __init__(self, code: str, *, line: int | None = None, field: str | None = None) -> None:
        super().__init__(f"{code} (line {line}, field {field})")
        self.code = code
        self.line = line
        self.field = field

    @property
    def facts(self) -> dict[str, str]:
        """What the placeholders of its text stand for."""
        return {"line": "" if self.line is None else str(self.line), "field": self.field or ""}


class SplitRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The figures of one named split (settlement.md C.2); amounts in fen, ratios as text such as `"0.70"`.

    `fixed` is a fund payment that bypasses everything else (003-3.2); without it there is a `ratio`.
    `deductible_per` visit ignores the year's sum; `cap` bounds the fund's payment of a year, `limit` what the
    ratio applies to in one settlement; `supplement` is the share of the person's own part that a second fund
    takes (003-3.16).
    """

    name: str
    fund: Label
    simulated: bool
    acct_scope: AcctScope
    fixed: int | None = None
    deductible: int | None = None
    deductible_per: Literal["year", "visit"] = "year"
    ratio: str | None = None
    cap: int | None = None
    limit: int | None = None
    supplement: str | None = None

    def __post_init__(self) -> None:
        """`ValueError` unless the figures go together."""
        others = (self.deductible, self.ratio, self.cap, self.limit, self.supplement)
        if (self.fixed is None) == (self.ratio is None) or (
            self.fixed is not None and any(figure is not None for figure in others)
        ):
            raise ValueError(f"{self.name}: either a ratio or a fixed amount alone")
        if any(amount is not None and amount < 0 for amount in (self.fixed, self.deductible, self.cap, self.limit)):
            raise ValueError(f"{self.name}: a negative amount")
        if self.ratio is not None and not 0 < scaled_ratio(self.ratio) <= _ONE:
            raise ValueError(f"{self.name}: the ratio is above 0 and at most 1")
        if self.supplement is not None and scaled_ratio(self.supplement) > _ONE:
            raise ValueError(f"{self.name}: the supplement is at most 1")


class _Sums(NamedTuple):
    """A bill by what its lines are, in fen."""

    medfee: int
    fulamt: int
    overlmt: int
    preselfpay: int
    inscp: int


class _Share(NamedTuple):
    """Who carries the amount in scope, in fen; they add up to it."""

    dedc: int
    big: int
    supp: int
    ratio: int
    above_cap: int


def scaled_ratio(text: str) -> int:
    """A ratio such as `"0.70"` in ten-thousandths; `ValueError` where it is none."""
    return _scaled(text, 1, _RATIO_PLACES)


def split_bill(
    lines: Sequence[FeeLine],
    rules: SplitRules,
    before: Accumulators,
    *,
    account: int | None,
    acct_scope: AcctScope | None,
    rounding: Rounding,
) -> Split:
    """The bill split by `rules`; `BillError` where it cannot be.

    `account` is the balance in fen, None without one: then it pays nothing and `balc` is absent. `acct_scope`
    None is that of the rules.
    """
    if account is not None and not 0 <= account <= MAX_FEN:
        raise BillError("bill_field_wrong", field="account")
    if not (0 <= before.inscope <= MAX_FEN and 0 <= before.big <= MAX_FEN):
        raise BillError("bill_field_wrong", field="before")
    sums = _sums(lines, rounding)
    if rules.fixed is not None and len(lines) != 1:
        raise BillError("bill_one_line_only")
    share = _share(sums.inscp, rules, before)
    after = before
    if rules.fixed is None:
        after = Accumulators(before.inscope + sums.inscp, before.big + share.big)
    return _split(sums, share, after, account, acct_scope or rules.acct_scope)


def full_cash(lines: Sequence[FeeLine], before: Accumulators, rounding: Rounding) -> Split:
    """The bill with no fund and no account in it: all is cash and the accumulators stay (003-3.18)."""
    sums = _sums(lines, rounding)
    return _split(sums, _Share(0, 0, 0, sums.inscp, 0), before, None, "none")


def refund_of(split: Split, after_inscope: int, after_big: int) -> Split:
    """Every amount negative (I9); the caller knows the accumulators after it, nobody the balance."""
    amounts = {name: -amount for name, amount in _amounts(split).items()}
    return Split(**amounts, balc=None, after_inscope=after_inscope, after_big=after_big)


def broken_identities(split: Split) -> tuple[str, ...]:
    """The identities I1 to I9 of settlement.md C.1 that these figures break, as far as they can show it.

    I5 wants a balance where the account paid, I9 that no amount has the other sign; in rounding `bill` the
    pre-self-pay, being the rest, may be a fen below 0.
    """
    s = split
    sign = -1 if s.medfee_sumamt < 0 else 1
    outside = s.medfee_sumamt - s.inscp_scp_amt
    rest = ("preselfpay_amt", "self2")
    signs = (amount * sign >= (-1 if name in rest else 0) for name, amount in _amounts(split).items())
    holds = {
        "I1": s.medfee_sumamt == s.fulamt_ownpay_amt + s.overlmt_selfpay + s.preselfpay_amt + s.inscp_scp_amt,
        "I2": s.medfee_sumamt == s.fund_pay_sumamt + s.psn_part_amt,
        "I3": s.psn_part_amt == s.acct_pay + s.psn_cash_pay,
        "I4": s.fund_pay_sumamt == s.big + s.supp,
        "I5": s.acct_pay <= 0 if s.balc is None else s.acct_pay >= 0 and s.balc >= 0,
        "I6": s.medfee_sumamt == s.fund_pay_sumamt + s.self1 + s.self2 + s.self_out
        and s.self1 == s.act_pay_dedc + s.self1_ratio + s.self1_above_cap,
        "I7": s.self2 == s.preselfpay_amt
        and s.self_out == s.fulamt_ownpay_amt + s.overlmt_selfpay
        and s.self1 == s.inscp_scp_amt - s.fund_pay_sumamt,
        "I8": outside == s.self2 + s.self_out,
        "I9": all(signs),
    }
    return tuple(name for name, held in holds.items() if not held)


def _amounts(split: Split) -> dict[str, int]:
    """What is paid in this settlement: all but the balance and the accumulators after it."""
    states = ("balc", "after_inscope", "after_big")
    return {name: amount for name, amount in msgspec.structs.asdict(split).items() if name not in states}


def _scaled(text: str, whole: int, places: int) -> int:
    """A decimal with at most `whole` digits and `places` decimals, times 10 to the power of `places`."""
    match = re.fullmatch(rf"(\d{{1,{whole}}})(?:\.(\d{{1,{places}}}))?", text, re.ASCII)
    if match is None:
        raise ValueError("not a decimal of this size")
    return int(match[1] + (match[2] or "").ljust(places, "0"))


def _field(line: FeeLine, name: str, number: int, absent: int | None = None) -> int:
    """A decimal field of a line; `absent` is its value where the line has none, None if it must have one."""
    text = getattr(line, name)
    if text is None:
        if absent is None:
            raise BillError("line_field_missing", line=number, field=name)
        return absent
    try:
        return _scaled(text, *_FORMATS[name])
    except ValueError:
        raise BillError("line_field_wrong", line=number, field=name) from None


def _line_sums(line: FeeLine, number: int, places: int) -> _Sums:
    """One line (settlement.md C.1 step 1) in decimals of `places`, each part rounded as it is made."""
    pric, cnt = _field(line, "pric", number), _field(line, "cnt", number)
    limit = _field(line, "pric_uplmt_amt", number, absent=pric)
    prop = _field(line, "selfpay_prop", number, absent=None if line.chrgitm_lv == "02" else 0)
    if prop > _ONE:
        raise BillError("line_field_wrong", line=number, field="selfpay_prop")
    fee = halves_up(pric * cnt, 10 ** (10 - places))
    unapproved = line.lmt_used_flag == "1" and line.hosp_appr_flag != "1"
    if line.chrgitm_lv == "03" or unapproved or line.hosp_appr_flag == "2":
        return _Sums(fee, fee, 0, 0, 0)
    over = halves_up(max(pric - limit, 0) * cnt, 10 ** (10 - places))
    pre = halves_up((fee - over) * prop, _ONE) if line.chrgitm_lv == "02" else 0
    return _Sums(fee, 0, over, pre, fee - over - pre)


def _sums(lines: Sequence[FeeLine], rounding: Rounding) -> _Sums:
    """The bill's sums; the pre-self-pay is the rest, which in rounding `line` is also its own sum."""
    if not lines:
        raise BillError("bill_empty")
    if len(lines) > MAX_LINES:
        raise BillError("bill_too_large")
    places = _PLACES[rounding]
    parts = [_line_sums(line, number, places) for number, line in enumerate(lines, 1)]
    unit = 10 ** (places - 2)
    medfee, fulamt, overlmt, _, inscp = (halves_up(sum(column), unit) for column in zip(*parts, strict=True))
    if medfee > MAX_FEN:
        raise BillError("bill_too_large")
    return _Sums(medfee, fulamt, overlmt, medfee - fulamt - overlmt - inscp, inscp)


def _share(inscp: int, rules: SplitRules, before: Accumulators) -> _Share:
    """Who carries the amount in scope: the fixed amount, or settlement.md C.1 step 2."""
    if rules.ratio is None:
        big = min(rules.fixed or 0, inscp)
        return _Share(0, big, 0, inscp - big, 0)
    ratio = scaled_ratio(rules.ratio)
    used = before.inscope if rules.deductible_per == "year" else 0
    dedc = min(max((rules.deductible or 0) - used, 0), inscp)
    excess = inscp - dedc
    base = excess if rules.limit is None else min(excess, rules.limit)
    fund, covered = halves_up(base * ratio, _ONE), excess
    room = fund if rules.cap is None else max(rules.cap - before.big, 0)
    if fund > room:
        fund, covered = room, halves_up(room * _ONE, ratio)
    own = covered - fund
    supp = 0 if rules.supplement is None else halves_up(own * scaled_ratio(rules.supplement), _ONE)
    return _Share(dedc, fund, supp, own - supp, excess - covered)


def _split(sums: _Sums, share: _Share, after: Accumulators, account: int | None, acct_scope: AcctScope) -> Split:
    """Payment of the personal total (settlement.md C.1 step 3) and the names of B.5."""
    fund = share.big + share.supp
    self1 = share.dedc + share.ratio + share.above_cap
    personal = sums.medfee - fund
    payable = {"all": personal, "in_scope": self1, "none": 0}[acct_scope]
    acct_pay = min(account or 0, payable)
    return Split(
        medfee_sumamt=sums.medfee,
        fulamt_ownpay_amt=sums.fulamt,
        overlmt_selfpay=sums.overlmt,
        preselfpay_amt=sums.preselfpay,
        inscp_scp_amt=sums.inscp,
        act_pay_dedc=share.dedc,
        big=share.big,
        supp=share.supp,
        fund_pay_sumamt=fund,
        self1=self1,
        self1_ratio=share.ratio,
        self1_above_cap=share.above_cap,
        self2=sums.preselfpay,
        self_out=sums.fulamt + sums.overlmt,
        psn_part_amt=personal,
        acct_pay=acct_pay,
        psn_cash_pay=personal - acct_pay,
        balc=None if account is None else account - acct_pay,
        after_inscope=after.inscope,
        after_big=after.big,
    )
