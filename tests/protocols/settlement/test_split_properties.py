"""What holds for every bill, rule and rounding; a second arithmetic in fractions, as settlement.md C.1 reads."""

import random
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from protocols.settlement.bill import AcctScope, Accumulators, FeeLine, Rounding, Split
from protocols.settlement.codes import Label
from protocols.settlement.split import SplitRules, broken_identities, full_cash, refund_of, split_bill


class Bill(NamedTuple):
    """All that a split is computed from."""

    lines: list[FeeLine]
    rules: SplitRules
    before: Accumulators
    account: int | None
    acct_scope: AcctScope | None
    rounding: Rounding

    def split(self) -> Split:
        """Through the public door."""
        lines, rules, before, account, scope, rounding = self
        return split_bill(lines, rules, before, account=account, acct_scope=scope, rounding=rounding)


def decimals(most: str, places: int) -> st.SearchStrategy[str]:
    """Decimals as text, small ones often."""
    small = st.decimals(0, "0.1", places=places)
    return st.one_of(small, st.decimals(0, most, places=places)).map(lambda number: f"{number:f}")


def fee_lines() -> st.SearchStrategy[FeeLine]:
    """Lines of every class, with and without limit."""
    return st.builds(
        FeeLine,
        chrgitm_lv=st.sampled_from(["01", "02", "03"]),
        pric=st.one_of(decimals("3000", 2), decimals("300", 6)),
        cnt=st.one_of(st.just("1"), decimals("30", 4)),
        selfpay_prop=decimals("1", 4),
        pric_uplmt_amt=st.none() | decimals("300", 2),
        lmt_used_flag=st.sampled_from(["0", "1"]),
        hosp_appr_flag=st.sampled_from(["0", "1", "2"]),
    )


def split_rules(*, cap: bool = True) -> st.SearchStrategy[SplitRules]:
    """Rules with a ratio, with and without the other figures."""
    return st.builds(
        SplitRules,
        name=st.just("test"),
        fund=st.just(Label("测试", "Test")),
        simulated=st.just(True),
        acct_scope=st.sampled_from(["all", "in_scope", "none"]),
        deductible=st.none() | st.integers(0, 200_000),
        deductible_per=st.sampled_from(["year", "visit"]),
        ratio=st.integers(1, 10_000).map(lambda n: f"{Decimal(n) / 10_000:f}"),
        cap=st.none() | st.integers(0, 500_000) if cap else st.none(),
        limit=st.none() | st.integers(0, 100_000),
        supplement=st.none() | decimals("1", 4),
    )


def bills(rules: st.SearchStrategy[SplitRules] | None = None) -> st.SearchStrategy[Bill]:
    """Any bill of a few lines."""
    return st.builds(
        Bill,
        lines=st.lists(fee_lines(), min_size=1, max_size=6),
        rules=split_rules() if rules is None else rules,
        before=st.builds(Accumulators, st.integers(0, 300_000), st.integers(0, 600_000)),
        account=st.none() | st.integers(0, 300_000),
        acct_scope=st.none() | st.sampled_from(["all", "in_scope", "none"]),
        rounding=st.sampled_from(["line", "bill"]),
    )


def rounded(amount: Fraction, places: int) -> Fraction:
    """Half up."""
    return Fraction(floor(amount * 10**places + Fraction(1, 2)), 10**places)


def reckoned(bill: Bill) -> dict[str, int]:
    """The same split in yuan and fractions, step by step as the sheet has it."""
    places = 2 if bill.rounding == "line" else 4
    sums = [Fraction(0)] * 4
    for line in bill.lines:
        fee = rounded(Fraction(line.pric) * Fraction(line.cnt), places)
        ful = over = inscp = Fraction(0)
        restricted = line.hosp_appr_flag == "2" or (line.lmt_used_flag, line.hosp_appr_flag) == ("1", "0")
        if line.chrgitm_lv == "03" or restricted:
            ful = fee
        else:
            if line.pric_uplmt_amt is not None and Fraction(line.pric) > Fraction(line.pric_uplmt_amt):
                difference = Fraction(line.pric) - Fraction(line.pric_uplmt_amt)
                over = rounded(difference * Fraction(line.cnt), places)
            prop = Fraction(line.selfpay_prop or "0") if line.chrgitm_lv == "02" else Fraction(0)
            inscp = fee - over - rounded((fee - over) * prop, places)
        sums = [a + b for a, b in zip(sums, (fee, ful, over, inscp), strict=True)]
    medfee, ful, over, inscp = (rounded(part, 2) for part in sums)

    rules = bill.rules
    in_scope_before, paid_before = Fraction(bill.before.inscope, 100), Fraction(bill.before.big, 100)
    ratio = Fraction(rules.ratio or "0")
    left = Fraction(rules.deductible or 0, 100) - (in_scope_before if rules.deductible_per == "year" else 0)
    dedc = min(max(left, Fraction(0)), inscp)
    excess = inscp - dedc
    base = excess if rules.limit is None else min(excess, Fraction(rules.limit, 100))
    fund, above, own = rounded(base * ratio, 2), Fraction(0), Fraction(0)
    room = None if rules.cap is None else max(Fraction(rules.cap, 100) - paid_before, Fraction(0))
    if room is None or fund <= room:
        own = excess - fund
    else:
        covered = rounded(room / ratio, 2)
        fund, above, own = room, excess - covered, covered - room
    supp = rounded(own * Fraction(rules.supplement or "0"), 2)
    figures = {
        "medfee_sumamt": medfee,
        "fulamt_ownpay_amt": ful,
        "overlmt_selfpay": over,
        "preselfpay_amt": medfee - ful - over - inscp,
        "inscp_scp_amt": inscp,
        "act_pay_dedc": dedc,
        "big": fund,
        "supp": supp,
        "self1_ratio": own - supp,
        "self1_above_cap": above,
        "psn_part_amt": medfee - fund - supp,
        "after_inscope": in_scope_before + inscp,
        "after_big": paid_before + fund,
    }
    return {name: int(amount * 100) for name, amount in figures.items()}


@given(bills())
def test_two_arithmetics_agree(bill: Bill) -> None:
    result = msgspec.structs.asdict(bill.split())
    expected = reckoned(bill)
    assert {name: result[name] for name in expected} == expected


@given(bills())
def test_identities_hold(bill: Bill) -> None:
    """I1 to I8, and no amount below 0 (the rest of rounding `bill` by a fen at most)."""
    result = bill.split()
    assert broken_identities(result) == ()
    assert result.preselfpay_amt >= (0 if bill.rounding == "line" else -1)
    assert 0 <= result.fund_pay_sumamt <= result.inscp_scp_amt


@given(bills())
def test_the_account(bill: Bill) -> None:
    """I3 and I5: it pays what its scope lets it, as far as it reaches, and the balance says so."""
    result = bill.split()
    scope = bill.acct_scope or bill.rules.acct_scope
    payable = {"all": result.psn_part_amt, "in_scope": result.self1, "none": 0}[scope]
    assert result.acct_pay == min(bill.account or 0, payable)
    assert result.balc == (None if bill.account is None else bill.account - result.acct_pay)
    assert result.psn_cash_pay >= 0


@given(bills())
def test_the_cap_of_the_year(bill: Bill) -> None:
    """The fund passes its cap never, or stays where it was already past it."""
    result = bill.split()
    if bill.rules.cap is not None:
        assert result.after_big <= max(bill.rules.cap, bill.before.big)


@given(bills(), st.integers(0, 100_000))
def test_more_paid_before_never_pays_more_now(bill: Bill, more: int) -> None:
    """The room under the cap only shrinks."""
    later = bill._replace(before=Accumulators(bill.before.inscope, bill.before.big + more))
    assert later.split().big <= bill.split().big


@given(bills(), st.integers(0, 100_000))
def test_more_in_scope_before_never_takes_more_deductible(bill: Bill, more: int) -> None:
    """The year's deductible only shrinks."""
    later = bill._replace(before=Accumulators(bill.before.inscope + more, bill.before.big))
    assert later.split().act_pay_dedc <= bill.split().act_pay_dedc


@given(bills(), st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_count(bill: Bill, chance: random.Random) -> None:
    shuffled = list(bill.lines)
    chance.shuffle(shuffled)
    assert bill._replace(lines=shuffled).split() == bill.split()


@given(bills(split_rules(cap=False)))
def test_lines_with_cents_come_out_alike(bill: Bill) -> None:
    """Where no part has more than two decimals, both roundings agree."""
    lines = [
        msgspec.structs.replace(line, pric="12.34", cnt="3", selfpay_prop="0.5", pric_uplmt_amt="2.00")
        for line in bill.lines
    ]
    assert bill._replace(lines=lines, rounding="line").split() == bill._replace(lines=lines, rounding="bill").split()


@given(bills())
def test_a_refund_takes_everything_back(bill: Bill) -> None:
    """I9: settlement and refund add up to nothing, and the refund holds its own identities."""
    result = bill.split()
    back = refund_of(result, bill.before.inscope, bill.before.big)
    amounts = msgspec.structs.asdict(result)
    for name, amount in msgspec.structs.asdict(back).items():
        if name not in {"balc", "after_inscope", "after_big"}:
            assert amount + amounts[name] == 0
    assert (back.after_inscope, back.after_big) == (bill.before.inscope, bill.before.big)
    assert broken_identities(back) == ()


@given(bills())
def test_full_cash_moves_nothing_but_cash(bill: Bill) -> None:
    """The same bill without fund and account; the accumulators stay."""
    cash, result = full_cash(bill.lines, bill.before, bill.rounding), bill.split()
    assert broken_identities(cash) == ()
    assert (cash.psn_cash_pay, cash.inscp_scp_amt) == (result.medfee_sumamt, result.inscp_scp_amt)
    assert (cash.fund_pay_sumamt, cash.acct_pay, cash.act_pay_dedc) == (0, 0, 0)
    assert Accumulators(cash.after_inscope, cash.after_big) == bill.before


@given(bills(), st.integers(0, 1_000_000))
def test_a_fixed_amount(bill: Bill, fixed: int) -> None:
    """003-3.2: no deductible, no cap, no supplement, and the accumulators stay."""
    rules = SplitRules(name="test", fund=Label("", ""), simulated=True, acct_scope="none", fixed=fixed)
    result = bill._replace(lines=bill.lines[:1], rules=rules).split()
    assert result.big == result.fund_pay_sumamt == min(fixed, result.inscp_scp_amt)
    assert (result.act_pay_dedc, result.supp, result.self1_above_cap) == (0, 0, 0)
    assert Accumulators(result.after_inscope, result.after_big) == bill.before
    assert broken_identities(result) == ()


@given(
    bills(),
    st.integers(1, 50),
    st.sampled_from(["medfee_sumamt", "fund_pay_sumamt", "big", "self1", "psn_part_amt"]),
)
def test_a_changed_figure_breaks_an_identity(bill: Bill, more: int, name: str) -> None:
    result = bill.split()
    changed = msgspec.structs.replace(result, **{name: getattr(result, name) + more})
    assert broken_identities(changed)
