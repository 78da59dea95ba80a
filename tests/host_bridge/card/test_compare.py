"""Chip against centre: retirement warns (003-3.6), scheme stops (003-2.68)."""

import pytest

from host_bridge.card.compare import Difference, compare_chip_and_centre
from host_bridge.card.session import Insurance
from protocols.events.frames import PersonAnswer
from protocols.settlement.bill import Accumulators


def chip(insutype: str, psn_type: str) -> Insurance:
    return Insurance(insutype, psn_type, "110000", "11", "00000")


def centre(insutype: str, psn_type: str) -> PersonAnswer:
    return PersonAnswer(
        insutype=insutype,
        psn_type=psn_type,
        psn_insu_stas="1",
        insuplc_admdvs="110000",
        balc=None,
        card_state="active",
        default_pin=False,
        year=2026,
        version=1,
        accumulators=Accumulators(0, 0),
    )


@pytest.mark.parametrize(
    ("on_chip", "at_centre", "differences"),
    [
        (("310", "1101"), ("310", "1101"), ()),
        (("310", "1101"), ("310", "1102"), ()),
        (("390", "1401"), ("390", "1501"), ()),
        (("310", "1101"), ("310", "1201"), (Difference("psn_type", "1101", "1201", "warn", "003-3.6"),)),
        (("310", "1201"), ("310", "1101"), (Difference("psn_type", "1201", "1101", "warn", "003-3.6"),)),
        (("390", "1501"), ("310", "1101"), (Difference("insutype", "390", "310", "stop", "003-2.68"),)),
        (("310", "1101"), ("340", "1300"), (Difference("insutype", "310", "340", "stop", "003-2.68"),)),
    ],
)
def test_differences(on_chip: tuple[str, str], at_centre: tuple[str, str], differences: tuple[Difference, ...]) -> None:
    assert compare_chip_and_centre(chip(*on_chip), centre(*at_centre)) == differences
