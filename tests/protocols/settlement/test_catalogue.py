"""The catalogue, its search, and the demo's bills made from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.settlement.bill import Accumulators
from protocols.settlement.catalogue import load_catalogue
from protocols.settlement.money import fen
from protocols.settlement.profile import find_rules
from protocols.settlement.split import BillError, full_cash, split_bill


def test_every_item_makes_a_line() -> None:
    """Codes are unique, prices and ratios well formed, and all of it is marked simulated."""
    catalogue = load_catalogue()
    assert catalogue.version.endswith("+simulated")
    assert len({item.code for item in catalogue.items}) == len(catalogue.items) >= 40
    for item in catalogue.items:
        assert full_cash([catalogue.line(item.code, "1")], Accumulators(0, 0), "line").medfee_sumamt > 0
        assert item.pinyin.isascii()
        assert item.pinyin.islower()
        assert (item.prop is not None) == (item.lv == "02")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("F3002", "血常规（五分类）"),
        ("f3002", "血常规（五分类）"),
        ("xcg", "血常规（五分类）"),
        ("XCG", "血常规（五分类）"),
        ("血常规", "血常规（五分类）"),
        (" 五分类 ", "血常规（五分类）"),
        ("x线", "胸部X线摄影"),
        ("amqsp", None),
        ("aqms", "阿奇霉素片"),
    ],
)
def test_search(text: str, name: str | None) -> None:
    """By code, pinyin initials or part of the name; the best first."""
    found = load_catalogue().search(text)
    assert (found[0].name if found else None) == name


def test_search_puts_beginnings_first() -> None:
    """`xt` begins 血糖 and stands inside others."""
    found = [item.pinyin for item in load_catalogue().search("xt")]
    assert found[0].startswith("xt")
    assert any(not pinyin.startswith("xt") for pinyin in found)


def test_search_for_nothing_is_everything() -> None:
    catalogue = load_catalogue()
    assert catalogue.search("  ") == catalogue.items


@given(st.text())
def test_any_text_may_be_searched(text: str) -> None:
    assert set(load_catalogue().search(text)) <= set(load_catalogue().items)


def test_unknown_code() -> None:
    with pytest.raises(BillError) as caught:
        load_catalogue().line("F9999", "1")
    assert caught.value.code == "item_unknown"


@pytest.mark.parametrize(
    ("profile", "before", "codes", "total", "fund"),
    [
        ("BJ-E", ("0.00", "0.00"), ["F3007", "X1008", "X1016"], "221.90", "0.00"),
        ("BJ-E", ("1650.35", "0.00"), ["F3002", "F3002", "F3003", "X1002", "X1002"], "416.67", "175.25"),
        ("BJ-R2", ("1290.00", "0.00"), ["Z2007"], "88.88", "70.99"),
        ("BJ-E", ("2500.00", "490.00"), ["X1017", "X1013", "X1013", *["X1006"] * 3], "435.30", "189.21"),
        ("SF-E", ("0.00", "0.00"), ["Z2006", "C4001"], "96.80", "0.00"),
        ("BJ-REG", ("0.00", "0.00"), ["F3001"], "5.00", "2.00"),
        ("BJ-E", ("1700.00", "0.00"), ["F3003"], "200.00", "70.00"),
        ("BJ-E", ("1700.00", "0.00"), ["F3005"], "150.00", "35.00"),
    ],
    ids=["D1", "D2", "D4", "D5", "D8a", "D7", "D14-A", "D14-B"],
)
def test_bills_of_the_vectors(profile: str, before: tuple[str, str], codes: list[str], total: str, fund: str) -> None:
    """settlement.md C.4 from catalogue items, each code as often as it is named."""
    catalogue = load_catalogue()
    lines = [catalogue.line(code, str(codes.count(code))) for code in dict.fromkeys(codes)]
    accumulators = Accumulators(fen(before[0]), fen(before[1]))
    split = split_bill(lines, find_rules(profile), accumulators, account=None, acct_scope=None, rounding="line")
    assert (split.medfee_sumamt, split.fund_pay_sumamt) == (fen(total), fen(fund))
