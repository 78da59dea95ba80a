"""A state that a person file asks for is the one that the commands leave behind."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import card_image, gallery
from protocols.sscard import commands
from tests.hardware.virtual.key_terminal import KeyTerminal

WRONG = "0020000003998877"


def wrong_pins(terminal: KeyTerminal, count: int) -> None:
    assert [terminal.send(WRONG)[:3] for _ in range(count)] == ["63C"] * count


def two_wrong(terminal: KeyTerminal) -> None:
    wrong_pins(terminal, 2)


def three_wrong(terminal: KeyTerminal) -> None:
    wrong_pins(terminal, 3)


def reset_to_000000(terminal: KeyTerminal) -> None:
    assert terminal.authenticate("PUK") == "9000"
    assert terminal.reset_pin(bytes(3)) == "9000"


def block_application(terminal: KeyTerminal) -> None:
    assert terminal.authenticate("BK") == "9000"
    assert terminal.maced(commands.application_block(), "STK") == "9000"


def block_card(terminal: KeyTerminal) -> None:
    assert terminal.authenticate("BK") == "9000"
    assert terminal.maced(commands.card_block(), "STK") == "9000"


def date_back(terminal: KeyTerminal) -> None:
    """Expiry date, SSSE EF05 tag 06 (ssc-card.md 3.3)."""
    assert terminal.authenticate("UKSSSE") == "9000"
    assert terminal.send(commands.update_tag(bytes.fromhex("060420250630"), sfi=5)) == "9000"


WAYS: dict[str, tuple[Callable[[KeyTerminal], None], dict[str, Any]]] = {
    "one_try": (two_wrong, {"pin_tries": None}),
    "pin_locked": (three_wrong, {"pin_tries": None}),
    "default_pin": (reset_to_000000, {"pin": "135790"}),
    "application_blocked": (block_application, {"blocked": ()}),
    "card_blocked": (block_card, {"card_blocked": False}),
    "expired": (date_back, {"expiry_date": date(2035, 6, 30)}),
}
"""What is done to a card, and what its person file says otherwise before."""


@pytest.mark.parametrize("name", WAYS)
def test_a_state_of_the_gallery(name: str, tmp_path: Path) -> None:
    person, (way, before) = gallery()[name], WAYS[name]
    fresh = msgspec.structs.replace(person, card=msgspec.structs.replace(person.card, **before))
    card = VirtualCard.create(tmp_path / "x.card", card_image(fresh))
    assert card.image != card_image(person)
    way(KeyTerminal(card))
    assert VirtualCard.open(card.path).image == card_image(person)
