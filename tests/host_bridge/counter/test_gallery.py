"""Every card of the gallery at a counter: the state it comes to, and the numbers that are shown."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from hardware.virtual.people import gallery
from tests.host_bridge.counter.till import Till

VISITS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "gallery.toml").read_text("utf-8")
)["visit"]


def said(till: Till) -> list[str]:
    """Stage, number of the refusal, numbers of the notices."""
    view = till.view
    notices = [] if view.person is None else [each.number for each in view.person.notices]
    return [view.stage, "" if view.refusal is None else view.refusal.number, *notices]


def tries(till: Till) -> int | None:
    told = till.view.refusal or till.view.pin
    return None if told is None else told.tries


@pytest.mark.parametrize("row", VISITS, ids=lambda row: row["person"])
def test_a_card_of_the_gallery(row: dict[str, Any], request: pytest.FixtureRequest) -> None:
    counter: Till = request.getfixturevalue({"clinic": "till", "pharmacy": "pharmacy"}[row["counter"]])
    person = counter.person(row["person"])
    assert (said(counter), tries(counter)) == (row["inserted"], row.get("tries"))
    if "entered" in row:
        assert person.card.pin is not None
        counter.pin(person.card.pin)
        assert said(counter) == row["entered"]


def test_one_more_wrong_pin_locks(pharmacy: Till) -> None:
    pharmacy.person("one_try")
    pharmacy.pin("998877")
    assert (said(pharmacy), tries(pharmacy)) == (["refused", "-52"], 0)


def test_the_table_has_everybody_and_the_gallery_tells_their_numbers() -> None:
    assert [row["person"] for row in VISITS] == sorted(gallery())
    for row in VISITS:
        numbers = {number for step in ("inserted", "entered") for number in row.get(step, ["", ""])[1:] if number}
        about = gallery()[row["person"]].about
        assert {number for number in numbers if number not in about} <= {"S-114"}, row["person"]
