"""What the chip says and what the centre says about one person (settlement.md A.7-5, 003-3.6, 003-2.68)."""

from typing import Literal

import msgspec

from host_bridge.card.session import Insurance
from protocols.events.frames import PersonAnswer

IN_SERVICE, RETIRED = "11", "12"


class Difference(msgspec.Struct, frozen=True):
    """One disagreement. `warn`: settle as the chip says; `stop`: the card does not work until updated."""

    field: Literal["psn_type", "insutype"]
    chip: str
    centre: str
    effect: Literal["warn", "stop"]
    rule: Literal["003-3.6", "003-2.68"]


def compare_chip_and_centre(chip: Insurance, centre: PersonAnswer) -> tuple[Difference, ...]:
    """Retirement and scheme, where they differ; empty when both agree.

    Other person kinds are no difference: the chip does not tell them apart.
    """
    if chip.insutype != centre.insutype:
        return (Difference("insutype", chip.insutype, centre.insutype, "stop", "003-2.68"),)
    kinds = {chip.psn_type[:2], centre.psn_type[:2]}
    if kinds == {IN_SERVICE, RETIRED}:
        return (Difference("psn_type", chip.psn_type, centre.psn_type, "warn", "003-3.6"),)
    return ()
