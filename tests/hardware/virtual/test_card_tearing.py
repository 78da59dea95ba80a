"""A power cut in the middle of any write leaves the old card or the new one, and gives no try back."""

from pathlib import Path

import pytest

from hardware.virtual.card import Torn, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from tests.hardware.virtual.key_terminal import PIN, KeyTerminal, image_of
from tests.hardware.virtual.tearing import WRITES, Bench

EVERY = 61
"""Bytes between cuts here; `make fuzz` cuts at each."""


@pytest.mark.parametrize("version", ["1.00", "2.00", "3.00"])
@pytest.mark.parametrize("name", WRITES)
def test_the_power_goes_in_any_write(tmp_path: Path, name: str, version: str) -> None:
    assert Bench(tmp_path, version, name).cut_all(EVERY) > 30


def test_the_power_goes_once_and_no_file_is_left_that_could_be_a_card(tmp_path: Path) -> None:
    terminal = KeyTerminal(VirtualCard.create(tmp_path / "x.card", image_of("2.00")))
    terminal.card.tear_after(1000)
    with pytest.raises(Torn, match=r"x\.card"):
        terminal.send(PIN)
    assert [path for path in tmp_path.glob("*.card") if not path.name.startswith(".")] == [tmp_path / "x.card"]
    terminal.card.reset()
    assert terminal.send(PIN) == "9000"


def test_what_reads_is_not_torn(tmp_path: Path) -> None:
    card = make_card(load_person(DEFAULT_PERSON), tmp_path / "x.card")
    card.tear_after(0)
    terminal = KeyTerminal(card)
    for apdu in ("00B2012C12", "00200000", "0084000008", "0088000010" + "00" * 16):
        assert terminal.send(apdu)[-4:] != "6A81"
    with pytest.raises(Torn):
        terminal.send(PIN)
