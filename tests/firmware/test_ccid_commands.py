"""CCID commands as a host sends them, answer by answer (`reader.md A.2`; CCID 1.1, chapter 6)."""

import pytest

from protocols.ccid.messages import ESCAPE, ESCAPE_ANSWER, GET_SLOT_STATUS, ICC_ABSENT, ICC_INACTIVE
from protocols.ccid.serial_frame import EMPTIED, FILLED, MESSAGE
from tests.firmware.conftest import OpenHost
from tests.firmware.rig import well

NAME, TELL_SLOT_CHANGES, FEATURES, SHORT_APDU = "02", "010101", "6A", "1F02"
PROMPTS = "B2A0004D4C" + "20" * 160
BLINK = "B500"


@pytest.mark.parametrize("data", [NAME, TELL_SLOT_CHANGES, PROMPTS], ids=["name", "slot changes", "prompts"])
def test_an_escape_that_a_driver_needs_succeeds(open_host: OpenHost, data: str) -> None:
    host, _ = open_host(well())
    answer = host.ask(ESCAPE, data)
    assert (answer.kind, answer.failed) == (ESCAPE_ANSWER, False)
    assert (1 <= len(answer.data) <= 49) if data == NAME else answer.data == b""


@pytest.mark.parametrize("data", ["", FEATURES, SHORT_APDU, BLINK, "0101", "01010101", "0202"])
def test_any_other_escape_is_refused_without_harm(open_host: OpenHost, data: str) -> None:
    host, _ = open_host(well())
    answer = host.ask(ESCAPE, data)
    assert (answer.kind, answer.failed, answer.error, answer.data) == (ESCAPE_ANSWER, True, 0, b"")
    assert host.ask(ESCAPE, NAME).data


def test_slot_changes_are_told_between_echo_and_answer_to_who_asks(open_host: OpenHost) -> None:
    card = well()
    host, slot = open_host(card)
    slot.pull()
    host.send(GET_SLOT_STATUS)
    assert host.heard()[0] == [MESSAGE]
    host.ask(ESCAPE, TELL_SLOT_CHANGES)
    slot.put(card)
    host.send(GET_SLOT_STATUS)
    kinds, answer = host.heard()
    assert (kinds, answer.icc) == ([MESSAGE, FILLED], ICC_INACTIVE)
    host.send(GET_SLOT_STATUS)
    assert host.heard()[0] == [MESSAGE]
    slot.pull()
    host.send(GET_SLOT_STATUS)
    kinds, answer = host.heard()
    assert (kinds, answer.icc) == ([MESSAGE, EMPTIED], ICC_ABSENT)
