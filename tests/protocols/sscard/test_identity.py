"""Citizen numbers, card numbers, person kinds and masks against typed vectors."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sscard import identity
from protocols.sscard.identity import CitizenNumberError

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "identity.toml").read_text("utf-8")
)
ON = date.fromisoformat(VECTORS["on"])
MASKS = {"certno": identity.mask_certno, "card_no": identity.mask_card_no, "name": identity.mask_name}


@pytest.mark.parametrize("vector", VECTORS["citizen"], ids=lambda vector: vector["number"])
def test_citizen_numbers(vector: dict[str, str]) -> None:
    if "problem" in vector:
        with pytest.raises(CitizenNumberError) as caught:
            identity.check_citizen_number(vector["number"], ON)
        assert caught.value.problem == vector["problem"]
        assert not vector["number"] or vector["number"] not in str(caught.value)
        return
    found = identity.check_citizen_number(vector["number"], ON)
    assert found.number == vector.get("stored", vector["number"])
    assert (found.brdy.isoformat(), found.gend) == (vector["brdy"], vector["gend"])


def test_checks_come_in_their_order() -> None:
    """settlement.md D.1: characters, check, birth date, sex, province."""
    future = "990101203001010019"
    future = future[:17] + identity.citizen_check(future[:17])
    nowhere = "200101199001010019"
    nowhere = nowhere[:17] + identity.citizen_check(nowhere[:17])
    for number, gend, problem in (
        (future, "2", "birth_date"),
        (nowhere, "2", "sex"),
        (nowhere, "1", "province"),
        (nowhere, "9", "province"),
    ):
        with pytest.raises(CitizenNumberError) as caught:
            identity.check_citizen_number(number, ON, gend)
        assert caught.value.problem == problem


def test_permits_of_hong_kong_macau_and_taiwan_are_numbers_too() -> None:
    for area in ("810000", "820000", "830000", "911001"):
        digits = f"{area}19900101001"
        assert identity.check_citizen_number(digits + identity.citizen_check(digits), ON).gend == "1"


@given(st.text("0123456789", min_size=17, max_size=17))
def test_the_check_equals_the_recursion(digits: str) -> None:
    """The second form of ISO 7064 MOD 11-2 in settlement.md D.1."""
    p = 0
    for digit in digits:
        p = (p + int(digit)) * 2 % 11
    assert identity.citizen_check(digits) == "0123456789X"[(12 - p) % 11]


@given(st.one_of(st.text(max_size=20), st.text("0123456789Xx", min_size=15, max_size=18)))
def test_any_text_is_a_number_or_a_named_problem(text: str) -> None:
    try:
        found = identity.check_citizen_number(text, ON)
    except CitizenNumberError:
        return
    assert len(found.number) == 18


@pytest.mark.parametrize("vector", VECTORS["card_no"])
def test_card_numbers(vector: dict[str, str]) -> None:
    body, check = vector["body"], vector["check"]
    assert identity.card_no_check(body) == check
    assert identity.card_no_valid(body + check)
    for wrong in set("0123456789X") - {check}:
        assert not identity.card_no_valid(body + wrong)


@pytest.mark.parametrize("wrong", ["", "D", "D2143569", "D2143569XX", "12143569X", "d2143569X", "D214356９X"])
def test_malformed_card_numbers(wrong: str) -> None:
    assert not identity.card_no_valid(wrong)


@given(st.text(max_size=12))
def test_any_text_is_a_card_number_or_not(text: str) -> None:
    assert identity.card_no_valid(text) in (True, False)


@pytest.mark.parametrize("vector", VECTORS["psn_type"])
def test_person_kinds(vector: dict[str, Any]) -> None:
    asked = vector["person_class"], vector["insutype"], vector["age"]
    if "psn_type" in vector:
        assert identity.psn_type_of(*asked) == vector["psn_type"]
    else:
        with pytest.raises(KeyError):
            identity.psn_type_of(*asked)


@pytest.mark.parametrize(("psn_type", "person_class"), [("1101", "11"), ("1201", "21"), ("1401", "91"), ("1501", "91")])
def test_person_classes(psn_type: str, person_class: str) -> None:
    assert identity.person_class_of(psn_type) == person_class


@pytest.mark.parametrize(("on", "age"), [("2026-02-28", 37), ("2026-03-01", 38), ("2028-02-29", 40), ("1988-02-29", 0)])
def test_age(on: str, age: int) -> None:
    assert identity.age_on(date(1988, 2, 29), date.fromisoformat(on)) == age


@pytest.mark.parametrize("vector", VECTORS["mask"])
def test_masks(vector: dict[str, str]) -> None:
    assert MASKS[vector["kind"]](vector["plain"]) == vector["masked"]
