"""Yuan as text, fen as integers."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.settlement.money import fen, halves_up, yuan


@pytest.mark.parametrize(
    ("text", "amount"), [("0", 0), ("12.3", 1230), ("12.30", 1230), ("-0.05", -5), ("99999999999999.99", 10**16 - 1)]
)
def test_fen(text: str, amount: int) -> None:
    assert fen(text) == amount


@pytest.mark.parametrize("text", ["", ".5", "5.", "1.234", "1,00", "+1", " 1", "1 ", "1e2", "NaN", "１", "1\n", "--1"])
def test_not_an_amount(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        fen(text)


@given(st.integers(-(10**16) + 1, 10**16 - 1))
def test_yuan_and_back(amount: int) -> None:
    assert fen(yuan(amount)) == amount


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_halves_go_away_from_zero(numerator: int, denominator: int) -> None:
    expected = floor(Fraction(abs(numerator), denominator) + Fraction(1, 2))
    assert halves_up(numerator, denominator) == (expected if numerator >= 0 else -expected)
