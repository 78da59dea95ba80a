"""CCID commands as a host sends them, answer by answer (`reader.md A.2`; CCID 1.1, chapter 6)."""

import time

import pytest

from hardware.virtual.processes import wait_until
from protocols.ccid.messages import (
    ABORT,
    DATA_BLOCK,
    DATA_RATE_AND_CLOCK,
    ESCAPE,
    ESCAPE_ANSWER,
    GET_PARAMETERS,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_CLOCK,
    ICC_INACTIVE,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    MECHANICAL,
    PARAMETERS,
    RESET_PARAMETERS,
    SECURE,
    SET_DATA_RATE_AND_CLOCK,
    SET_PARAMETERS,
    SLOT_STATUS,
    T0_APDU,
    XFR_BLOCK,
    Command,
)
from protocols.ccid.serial_frame import EMPTIED, FILLED, MESSAGE, MORE_TIME, QUIET_MS, frame
from protocols.iso7816.line import CLK, RUNNING, VCC
from tests.firmware.conftest import OpenHost
from tests.firmware.rig import ANSWER, READ, ScriptedCard, well

NAME, TELL_SLOT_CHANGES, FEATURES, SHORT_APDU = "02", "010101", "6A", "1F02"
PROMPTS = "B2A0004D4C" + "20" * 160
BLINK = "B500"
UNSUPPORTED, BAD_LENGTH, BAD_SLOT, BAD_CLOCK_COMMAND = 0x00, 0x01, 0x05, 0x07
DEACTIVATED, MUTE = 0xF3, 0xFE
OFFERS_96 = bytes.fromhex("3B509603")
"""TA1 96, TC1 03, WI not told and so 10."""
AT_START, AT_96 = "1100030A00", "9600030A00"
PPS_96, PPS_95 = "FF109679", "FF10957A"
"""reader.md A.2; FF xor 10 xor 95 = 7A."""
KHZ_4000, BITS_125000 = "A00F0000", "48E80100"


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


def fast(pps: str) -> ScriptedCard:
    """Agrees to this PPS, then answers READ RECORD."""
    return ScriptedCard({4: bytes.fromhex(pps), 9: ANSWER}, atrs=(OFFERS_96,))


def test_parameters_are_those_of_the_atr(open_host: OpenHost) -> None:
    host, _ = open_host(fast(PPS_96))
    host.ask(ICC_POWER_ON)
    for kind in (GET_PARAMETERS, RESET_PARAMETERS):
        answer = host.ask(kind)
        assert (answer.kind, answer.failed, answer.last, answer.data.hex().upper()) == (PARAMETERS, False, 0, AT_START)


def test_set_parameters_agrees_on_the_speed_with_the_card(open_host: OpenHost) -> None:
    card = fast(PPS_96)
    host, slot = open_host(card)
    host.ask(ICC_POWER_ON)
    assert host.ask(SET_PARAMETERS, AT_96).data.hex().upper() == AT_96
    assert card.taken.hex().upper() == PPS_96
    wait_until("the speed", lambda: slot.speeds[-1:] == [0x96])
    assert host.ask(RESET_PARAMETERS).data.hex().upper() == AT_96
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]
    host.ask(ICC_POWER_ON)
    assert host.ask(GET_PARAMETERS).data.hex().upper() == AT_START
    wait_until("the speed", lambda: slot.speeds[-1:] == [0x11])


def test_parameters_change_without_pps_but_for_the_speed(open_host: OpenHost) -> None:
    card = well()
    host, _ = open_host(card)
    host.ask(ICC_POWER_ON)
    assert host.ask(SET_PARAMETERS, "1100FF0500").data.hex().upper() == "1100FF0500"
    assert host.ask(GET_PARAMETERS).data.hex().upper() == "1100FF0500"
    assert card.taken == b""
    assert host.ask(SET_PARAMETERS, AT_96).error == 10, "the time for a PPS is over"
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]


def test_a_host_may_send_the_pps_itself(open_host: OpenHost) -> None:
    card = fast(PPS_96)
    host, slot = open_host(card)
    host.ask(ICC_POWER_ON)
    assert host.ask(XFR_BLOCK, PPS_96).data.hex().upper() == PPS_96
    assert host.ask(SET_PARAMETERS, AT_96).data.hex().upper() == AT_96
    assert card.taken.hex().upper() == PPS_96
    wait_until("the speed", lambda: slot.speeds[-1:] == [0x96])
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]
    assert host.ask(XFR_BLOCK, PPS_96).error == BAD_LENGTH, "only straight after the reset"


def test_a_host_may_try_again_after_a_pps_that_failed(open_host: OpenHost) -> None:
    """As pcscd does, which resets no card that it has powered: only a reset lets the card hear another PPS."""
    card = ScriptedCard({4: bytes.fromhex(PPS_95), 9: ANSWER}, atrs=(OFFERS_96,))
    host, slot = open_host(card)
    host.ask(ICC_POWER_ON)
    assert host.ask(XFR_BLOCK, PPS_96).data.hex().upper() == PPS_95
    assert (card.resets, slot.speeds[-1]) == (1, 0x11)
    card.replies = {4: bytes.fromhex(PPS_96), 9: ANSWER}
    assert host.ask(XFR_BLOCK, PPS_96).data.hex().upper() == PPS_96
    assert (card.resets, card.taken.hex().upper()) == (2, PPS_96)
    assert slot.contacts[-2:] == [VCC | CLK, RUNNING], "a warm reset"
    assert host.ask(SET_PARAMETERS, AT_96).data.hex().upper() == AT_96
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]
    assert host.ask(XFR_BLOCK, PPS_96).error == BAD_LENGTH, "that one did not fail"


def test_the_data_rate_is_a_speed_of_the_card(open_host: OpenHost) -> None:
    card = fast(PPS_95)
    host, slot = open_host(card)
    host.ask(ICC_POWER_ON)
    answer = host.ask(SET_DATA_RATE_AND_CLOCK, KHZ_4000 + BITS_125000)
    assert (answer.kind, answer.data.hex().upper()) == (DATA_RATE_AND_CLOCK, KHZ_4000 + BITS_125000)
    wait_until("the speed", lambda: slot.speeds[-1:] == [0x95])
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]


BAD_PARAMETERS = {
    "T=1": (SET_PARAMETERS, "1110000A002000", "010000", 7),
    "too short": (SET_PARAMETERS, AT_START[:8], "000000", BAD_LENGTH),
    "reserved F": (SET_PARAMETERS, "7600030A00", "000000", 10),
    "reserved D": (SET_PARAMETERS, "9A00030A00", "000000", 10),
    "inverse convention": (SET_PARAMETERS, "1102030A00", "000000", 11),
    "no waiting time": (SET_PARAMETERS, "1100030000", "000000", 13),
    "clock stop": (SET_PARAMETERS, "1100030A04", "000000", 14),
    "another clock": (SET_DATA_RATE_AND_CLOCK, "88130000" + BITS_125000, "000000", 10),
    "no data rate of the card": (SET_DATA_RATE_AND_CLOCK, KHZ_4000 + "40E20100", "000000", 14),
    "no data rate": (SET_DATA_RATE_AND_CLOCK, KHZ_4000, "000000", BAD_LENGTH),
    "clock stopped": (ICC_CLOCK, "", "010000", BAD_CLOCK_COMMAND),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_a_bad_parameter_is_named_and_changes_nothing(open_host: OpenHost, name: str) -> None:
    kind, data, special, offset = BAD_PARAMETERS[name]
    host, _ = open_host(ScriptedCard({5: ANSWER}, atrs=(OFFERS_96,)))
    host.ask(ICC_POWER_ON)
    answer = host.ask(kind, data, special=special)
    assert (answer.failed, answer.error, answer.icc, answer.data) == (True, offset, ICC_ACTIVE, b"")
    assert host.ask(GET_PARAMETERS).data.hex().upper() == AT_START
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]


ANSWERED_BY = {
    SECURE: DATA_BLOCK,
    T0_APDU: SLOT_STATUS,
    MECHANICAL: SLOT_STATUS,
    0x60: SLOT_STATUS,
    0x7F: SLOT_STATUS,
}


@pytest.mark.parametrize("kind", ANSWERED_BY)
def test_what_the_reader_cannot_is_unsupported(open_host: OpenHost, kind: int) -> None:
    host, _ = open_host(well())
    host.ask(ICC_POWER_ON)
    answer = host.ask(kind)
    assert (answer.kind, answer.failed, answer.error, answer.icc) == (ANSWERED_BY[kind], True, UNSUPPORTED, ICC_ACTIVE)
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]


EVERY = (ICC_POWER_ON, ICC_POWER_OFF, GET_SLOT_STATUS, XFR_BLOCK, GET_PARAMETERS, SET_PARAMETERS, ICC_CLOCK, ABORT)


@pytest.mark.parametrize("kind", EVERY)
def test_a_slot_that_is_not_there_says_so(open_host: OpenHost, kind: int) -> None:
    host, slot = open_host(well())
    for number in (1, 255):
        answer = host.ask(kind, slot=number)
        assert (answer.failed, answer.error, answer.icc) == (True, BAD_SLOT, ICC_ABSENT)
    assert slot.contacts == []


@pytest.mark.parametrize("kind", [XFR_BLOCK, GET_PARAMETERS, RESET_PARAMETERS, SET_PARAMETERS, ICC_CLOCK])
def test_what_needs_a_powered_card_says_whether_there_is_one(open_host: OpenHost, kind: int) -> None:
    host, slot = open_host(well())
    data = {XFR_BLOCK: READ.hex(), SET_PARAMETERS: AT_START}.get(kind, "")
    answer = host.ask(kind, data)
    assert (answer.failed, answer.error, answer.icc) == (True, DEACTIVATED, ICC_INACTIVE)
    slot.pull()
    answer = host.ask(kind, data)
    assert (answer.failed, answer.error, answer.icc) == (True, MUTE, ICC_ABSENT)


def test_the_clock_restarts_on_a_powered_card(open_host: OpenHost) -> None:
    host, _ = open_host(well())
    host.ask(ICC_POWER_ON)
    answer = host.ask(ICC_CLOCK)
    assert (answer.kind, answer.failed, answer.last) == (SLOT_STATUS, False, 0)


def test_abort_with_nothing_to_abort(open_host: OpenHost) -> None:
    host, _ = open_host(well())
    host.ask(ICC_POWER_ON)
    answer = host.ask(ABORT)
    assert (answer.kind, answer.failed, answer.icc) == (SLOT_STATUS, False, ICC_ACTIVE)
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]


@pytest.mark.parametrize("always", [b"", b"\x60" * 16], ids=["mute", "NULL storm"])
def test_abort_ends_an_exchange_in_the_middle(open_host: OpenHost, always: bytes) -> None:
    host, slot = open_host(ScriptedCard({5: b"\x60"}, always=always), "waiting=6000")
    host.ask(ICC_POWER_ON)
    host.send(XFR_BLOCK, READ.hex())
    assert [host.next()[0], host.next()[0]] == [MESSAGE, MORE_TIME]
    aborted = host.send(ABORT)
    kinds, answer = host.heard()
    assert kinds[-1] == MESSAGE
    assert (answer.kind, answer.seq, answer.failed, answer.icc) == (SLOT_STATUS, aborted.seq, False, ICC_ACTIVE)
    assert slot.contacts[-1] == 0
    slot.put(well())
    host.ask(ICC_POWER_ON)
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]


def test_an_answer_that_comes_too_late_is_not_sent(open_host: OpenHost) -> None:
    host, _ = open_host(ScriptedCard({}), "waiting=10")
    host.ask(ICC_POWER_ON)
    host.send(XFR_BLOCK, READ.hex())
    assert host.next()[0] == MESSAGE
    newer = host.send(GET_SLOT_STATUS)
    _, answer = host.heard()
    assert (answer.kind, answer.seq) == (SLOT_STATUS, newer.seq)
    assert host.ask(GET_SLOT_STATUS).kind == SLOT_STATUS


def test_a_card_that_went_mute_is_restarted_and_stays_mute_until_power_on(open_host: OpenHost) -> None:
    """To libccid a card that is no longer active has been removed (reader.md A.2)."""
    card = ScriptedCard({5: b"\x60"})
    host, slot = open_host(card, "waiting=10", "slack=400")
    host.ask(ICC_POWER_ON)
    for kind, data in ((XFR_BLOCK, READ.hex()), (XFR_BLOCK, READ.hex()), (GET_PARAMETERS, "")):
        answer = host.ask(kind, data)
        assert (answer.failed, answer.error, answer.icc) == (True, MUTE, ICC_ACTIVE)
    cold, off = [VCC, VCC | CLK, RUNNING], [VCC | CLK, VCC, 0]
    assert slot.contacts == cold + off + cold
    assert (card.resets, bytes(card.taken)) == (2, b"")
    card.replies = {5: ANSWER}
    assert not host.ask(ICC_POWER_ON).failed
    assert slot.contacts[9:] == [VCC | CLK, RUNNING], "a warm reset"
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]
    host.ask(ICC_POWER_OFF)
    assert host.ask(GET_SLOT_STATUS).icc == ICC_INACTIVE


def test_a_host_hears_of_a_card_that_asks_for_time_without_end(open_host: OpenHost) -> None:
    host, _ = open_host(ScriptedCard({5: b"\x60"}, always=b"\x60" * 16), "exchange=1000")
    host.ask(ICC_POWER_ON)
    host.send(XFR_BLOCK, READ.hex())
    kinds, answer = host.heard()
    assert MORE_TIME in kinds
    assert (answer.failed, answer.error) == (True, MUTE)


def test_half_a_frame_is_given_up_however_soon_the_host_tries_again(open_host: OpenHost) -> None:
    """What comes after a pause belongs to a new frame, and is not counted to the length that the old one told."""
    host, _ = open_host(well())
    host.write(frame(Command(XFR_BLOCK, 0, 0x80, bytes(261)).to_bytes())[:100])
    for _ in range(4):
        time.sleep(1.25 * QUIET_MS / 1000)
        last = host.send(GET_SLOT_STATUS)
    answered = [host.heard()[1].seq]
    while answered[-1] != last.seq:
        answered.append(host.heard()[1].seq)
    assert len(answered) > 1, "answered as they came, not all of them given up together"
