"""What a pad is asked for on behalf of the card, in both languages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_bridge.readers.pin_requests import change_request, fixed_change_request, part_10, verify_request
from protocols.ccid.secure import PinRequest
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.pad import PadLimits

VECTORS = json.loads(Path(__file__).parents[2].joinpath("vectors/ccid/secure.json").read_text())["for_the_card"]
MAKE: dict[str, Callable[[CommandApdu, PadLimits], PinRequest]] = {
    "verify": verify_request,
    "change": change_request,
    "change six": fixed_change_request,
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_request_is_as_the_standards_lay_it_out(vector: dict[str, Any]) -> None:
    header = CommandApdu(*bytes.fromhex(vector["header"]))
    request = MAKE[vector["does"]](header, PadLimits(*vector["limits"]))
    assert request.to_bytes() == bytes.fromhex(vector["secure"])
    assert part_10(request) == bytes.fromhex(vector["part_10"])
    assert PinRequest.from_bytes(request.to_bytes()) == request
