"""What a pad is asked for on behalf of the card, in both languages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_bridge.readers.pcsc import PcscPinPad
from host_bridge.readers.pin_requests import change_request, fixed_change_request, part_10, verify_request
from protocols.ccid.secure import PinRequest
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.pad import PadAnswer, PadLimits

VECTORS = json.loads(Path(__file__).parents[2].joinpath("vectors/ccid/secure.json").read_text())["for_the_card"]
MAKE: dict[str, Callable[[CommandApdu, PadLimits], PinRequest]] = {
    "verify": verify_request,
    "change": change_request,
    "change six": fixed_change_request,
}


class SmallPad:
    """A connection to a reader whose keys take eight digits."""

    most_digits = 8

    def __init__(self) -> None:
        self.asked: list[tuple[int, bytes]] = []

    def enter_pin(self, feature: int, structure: bytes) -> PadAnswer:
        self.asked.append((feature, structure))
        return PadAnswer(0x9000)


def test_a_foreign_pad_is_asked_for_no_more_than_it_takes() -> None:
    small: Any = SmallPad()
    pad = PcscPinPad(small)
    pad.verify(CommandApdu(0x00, 0x20, 0x00, 0x00), PadLimits(4, 16, 30))
    assert small.asked == [(0x06, bytes.fromhex("1E1E8100000804020104080000000004000000 00200000"))]
    assert pad.modify(CommandApdu(0x80, 0x5E, 0x01, 0x00), PadLimits(8, 16, 30)).sw == 0x6403, "its places are fixed"
    assert len(small.asked) == 1


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_request_is_as_the_standards_lay_it_out(vector: dict[str, Any]) -> None:
    header = CommandApdu(*bytes.fromhex(vector["header"]))
    request = MAKE[vector["does"]](header, PadLimits(*vector["limits"]))
    assert request.to_bytes() == bytes.fromhex(vector["secure"])
    assert part_10(request) == bytes.fromhex(vector["part_10"])
    assert PinRequest.from_bytes(request.to_bytes()) == request
