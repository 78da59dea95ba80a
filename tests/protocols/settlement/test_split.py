"""The split: vectors typed from the facts, the identities, refunds, and what cannot be split."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from protocols.settlement.bill import Accumulators, FeeLine, Split
from protocols.settlement.codes import Label
from protocols.settlement.money import fen
from protocols.settlement.profile import find_rules
from protocols.settlement.split import (
    MAX_FEN,
    BillError,
    SplitRules,
    broken_identities,
    full_cash,
    refund_of,
    split_bill,
)

Vector = dict[str, Any]
SplitVector = Callable[..., Split]
InYuan = Callable[[Split], dict[str, str]]
NOTHING = Accumulators(0, 0)


def test_vector(vector: Vector, split_vector: SplitVector, in_yuan: InYuan) -> None:
    """Every figure the vector names; a balance only where there is an account."""
    result = split_vector(vector)
    shown = in_yuan(result)
    expected = vector["expect"]
    assert {name: shown.get(name) for name in expected} == expected
    assert broken_identities(result) == ()
    assert ("balc" in shown) == (vector.get("account") is not None)


def test_vectors_of_the_sheet_are_complete(
    vectors: dict[str, Vector], split_vector: SplitVector, in_yuan: InYuan
) -> None:
    """The ten vectors of C.4 that have lines name every figure of a split."""
    ids = ("D1", "D2", "D4", "D5", "D8a", "D10", "D12a", "D13", "D16a", "D16b")
    for name in ids:
        assert in_yuan(split_vector(vectors[name])) == vectors[name]["expect"]


def test_reversal_of_d2(vectors: dict[str, Vector], split_vector: SplitVector, in_yuan: InYuan) -> None:
    """D9: every amount negative, the accumulators as they were."""
    original = split_vector(vectors["D2"])
    back = refund_of(original, fen("1650.35"), 0)
    for name, amount in vectors["D2"]["expect"].items():
        if not name.startswith("after_"):
            assert fen(in_yuan(back)[name]) == -fen(amount)
    assert (back.after_inscope, back.after_big, back.balc) == (fen("1650.35"), 0, None)
    assert broken_identities(back) == ()


def test_published_reversal(vectors: dict[str, Vector], split_vector: SplitVector, in_yuan: InYuan) -> None:
    """P1r."""
    back = in_yuan(refund_of(split_vector(vectors["P1r-original"]), 0, 0))
    published = {
        "medfee_sumamt": "-25.10",
        "preselfpay_amt": "-0.23",
        "inscp_scp_amt": "-24.87",
        "act_pay_dedc": "-24.87",
        "acct_pay": "-25.10",
    }
    assert {name: back[name] for name in published} == published


def test_partial_return(vectors: dict[str, Vector], split_vector: SplitVector) -> None:
    """D10: D5 is taken back whole and the rest settled; the patient gets 96.00, the fund 84.00."""
    back = refund_of(split_vector(vectors["D5"]), fen("2500.00"), fen("490.00"))
    rest = split_vector(vectors["D10"])
    assert back.psn_part_amt + rest.psn_part_amt == -fen("96.00")
    assert back.fund_pay_sumamt + rest.fund_pay_sumamt == -fen("84.00")


def test_work_injury(vectors: dict[str, Vector], split_vector: SplitVector) -> None:
    """D11: the settlement goes back, then all is cash and the accumulators stay at 2400.00 / 770.00."""
    vector = vectors["D11"]
    back = refund_of(split_vector(vector), fen("2400.00"), fen("770.00"))
    assert (back.fund_pay_sumamt, back.psn_cash_pay) == (-fen("255.13"), -fen("45.02"))
    cash = full_cash([FeeLine("01", "300.15", "1")], Accumulators(fen("2400.00"), fen("770.00")), "line")
    assert (cash.psn_cash_pay, cash.fund_pay_sumamt, cash.acct_pay) == (fen("300.15"), 0, 0)
    assert (cash.self1, cash.act_pay_dedc, cash.balc) == (fen("300.15"), 0, None)
    assert (cash.after_inscope, cash.after_big) == (fen("2400.00"), fen("770.00"))
    assert broken_identities(cash) == ()


def test_two_sites(vectors: dict[str, Vector], split_vector: SplitVector) -> None:
    """D14: the adjustment is 70.00."""
    provisional, booked = (split_vector(vectors[name]) for name in ("D14-A-provisional", "D14-A-booked"))
    assert booked.fund_pay_sumamt - provisional.fund_pay_sumamt == fen("70.00")


def test_order_counts_where_ratios_differ() -> None:
    """C.4: 200.00 at 90 % and 150.00 at 70 % from 1700.00 give 195.00 or 215.00 by order."""
    ordinary = find_rules("BJ-E")
    community = msgspec.structs.replace(ordinary, name="test community", ratio="0.90", simulated=True)
    visits = [(community, "200.00"), (ordinary, "150.00")]
    sums = []
    for order in (visits, visits[::-1]):
        state, total = Accumulators(fen("1700.00"), 0), 0
        for rules, amount in order:
            line = FeeLine("01", amount, "1")
            result = split_bill([line], rules, state, account=None, acct_scope=None, rounding="line")
            state, total = (
                Accumulators(result.after_inscope, result.after_big),
                total + result.fund_pay_sumamt,
            )
        sums.append(total)
    assert sums == [fen("195.00"), fen("215.00")]


@pytest.mark.parametrize(
    ("restricted", "approved", "covered"),
    [
        ("0", "0", True),
        ("0", "1", True),
        ("0", "2", False),
        ("1", "0", False),
        ("1", "1", True),
        ("1", "2", False),
    ],
)
def test_restricted_items(restricted: Any, approved: Any, covered: bool) -> None:
    """B.4: a restricted item needs approval; what is not approved is self-pay."""
    line = FeeLine("01", "10.00", "1", lmt_used_flag=restricted, hosp_appr_flag=approved)
    result = full_cash([line], NOTHING, "line")
    assert (result.inscp_scp_amt, result.fulamt_ownpay_amt) == ((1000, 0) if covered else (0, 1000))


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"pric": "-1.00"}, "line_field_wrong", "pric"),
        ({"pric": "1.0000000"}, "line_field_wrong", "pric"),
        ({"pric": "12345678901"}, "line_field_wrong", "pric"),
        ({"pric": "1e3"}, "line_field_wrong", "pric"),
        ({"pric": ""}, "line_field_wrong", "pric"),
        ({"pric": "١٢"}, "line_field_wrong", "pric"),
        ({"pric": "1.00\n"}, "line_field_wrong", "pric"),
        ({"cnt": "1.00001"}, "line_field_wrong", "cnt"),
        ({"cnt": "NaN"}, "line_field_wrong", "cnt"),
        ({"selfpay_prop": "1.0001"}, "line_field_wrong", "selfpay_prop"),
        ({"selfpay_prop": "0.12345"}, "line_field_wrong", "selfpay_prop"),
        ({"pric_uplmt_amt": "-0"}, "line_field_wrong", "pric_uplmt_amt"),
        ({"chrgitm_lv": "02"}, "line_field_missing", "selfpay_prop"),
    ],
)
def test_wrong_lines(fields: dict[str, str], code: str, field: str) -> None:
    """The error names line and field."""
    wrong = msgspec.structs.replace(FeeLine("01", "1.00", "1"), **fields)
    with pytest.raises(BillError) as caught:
        full_cash([FeeLine("01", "1.00", "1"), wrong], NOTHING, "line")
    assert (caught.value.code, caught.value.line, caught.value.field) == (code, 2, field)
    assert caught.value.facts == {"line": "2", "field": field}


@pytest.mark.parametrize(
    ("lines", "before", "account", "code"),
    [
        ([], NOTHING, None, "bill_empty"),
        ([FeeLine("01", "1", "1")] * 10_001, NOTHING, None, "bill_too_large"),
        ([FeeLine("01", "9999999999.99", "99999")], NOTHING, None, "bill_too_large"),
        ([FeeLine("01", "1", "1")], Accumulators(-1, 0), None, "bill_field_wrong"),
        ([FeeLine("01", "1", "1")], Accumulators(0, MAX_FEN + 1), None, "bill_field_wrong"),
        ([FeeLine("01", "1", "1")], NOTHING, -1, "bill_field_wrong"),
    ],
)
def test_wrong_bills(lines: list[FeeLine], before: Accumulators, account: int | None, code: str) -> None:
    """Nothing is split."""
    with pytest.raises(BillError) as caught:
        split_bill(lines, find_rules("BJ-E"), before, account=account, acct_scope=None, rounding="line")
    assert caught.value.code == code


def test_a_consultation_is_settled_alone() -> None:
    """003-2.69."""
    lines = [FeeLine("01", "5.00", "1")] * 2
    with pytest.raises(BillError, match="bill_one_line_only"):
        split_bill(lines, find_rules("BJ-REG"), NOTHING, account=None, acct_scope=None, rounding="line")


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"fixed": 200, "ratio": "0.70"},
        {"fixed": 200, "deductible": 0},
        {"fixed": -1},
        {"ratio": "0"},
        {"ratio": "1.0001"},
        {"ratio": "70"},
        {"ratio": "-0.7"},
        {"ratio": "0.7", "cap": -1},
        {"ratio": "0.7", "supplement": "1.5"},
    ],
)
def test_figures_that_do_not_go_together(figures: dict[str, Any]) -> None:
    """Rules are refused when they are made, not when a bill meets them."""
    with pytest.raises(ValueError):
        SplitRules(name="wrong", fund=Label("", ""), simulated=True, acct_scope="none", **figures)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"preselfpay_amt": 1666}, {"I1", "I7"}),
        ({"psn_part_amt": 24143}, {"I2", "I3"}),
        ({"psn_cash_pay": 24143}, {"I3"}),
        ({"big": 17524}, {"I4"}),
        ({"acct_pay": 100, "psn_cash_pay": 24042}, {"I5"}),
        ({"acct_pay": 100, "psn_cash_pay": 24042, "balc": -1}, {"I5"}),
        ({"self1_ratio": 7511}, {"I6"}),
        ({"self2": 1666, "self_out": 1}, {"I7"}),
        ({"inscp_scp_amt": 40001}, {"I1", "I7", "I8"}),
        ({"acct_pay": -100, "psn_cash_pay": 24242}, {"I9"}),
    ],
)
def test_broken_identities_are_named(
    changes: dict[str, int], broken: set[str], vectors: dict[str, Vector], split_vector: SplitVector
) -> None:
    """D2 with a figure changed."""
    right = split_vector(vectors["D2"])
    assert set(broken_identities(msgspec.structs.replace(right, **changes))) == broken
