"""Amounts in words."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_bridge.printer.words import DIGITS, rmb_words
from protocols.settlement.money import fen

VECTORS = tomllib.loads((Path(__file__).parents[2] / "vectors" / "rmb_words.toml").read_text())["vector"]
UNITS = {"拾": 10, "佰": 100, "仟": 1000}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["yuan"])
def test_vectors(vector: dict[str, str]) -> None:
    assert rmb_words(fen(vector["yuan"])) == vector["words"]


def read_back(text: str) -> int:
    """Fen of an amount in words, by reading it from the left."""
    whole = section = digit = 0
    for each in text.removeprefix("负"):
        if each in DIGITS:
            digit = DIGITS.index(each)
        elif each in UNITS:
            section, digit = section + digit * UNITS[each], 0
        elif each == "万":
            section, digit = (section + digit) * 10**4, 0
        elif each == "亿":
            whole, section, digit = (whole + section + digit) * 10**8, 0, 0
        elif each == "元":
            whole, section, digit = (whole + section + digit) * 100, 0, 0
        elif each == "角":
            whole, digit = whole + digit * 10, 0
        elif each == "分":
            whole, digit = whole + digit, 0
    return -whole if text.startswith("负") else whole


@given(st.integers(-(10**13), 10**13))
def test_what_is_written_reads_as_the_amount(amount: int) -> None:
    text = rmb_words(amount)
    assert read_back(text) == amount
    assert "零零" not in text
    assert text.endswith(("整", "角", "分"))
