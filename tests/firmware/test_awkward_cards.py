"""Cards that misbehave, character by character, in front of the firmware (`reader.md B`, `F`)."""

from typing import NamedTuple

import pytest

from host_bridge.readers.reader import CardMute, CardRemoved, NoCard
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.line import CLK, RST, VCC
from tests.firmware.conftest import OpenSlot
from tests.firmware.rig import ANSWER, ATR, READ, ScriptedCard, well

QUICK = ("waiting=20", "slack=300", "atr_gap=200", "exchange=900")
COMMAND = CommandApdu.from_bytes(READ)
RESPONSE = ResponseApdu.from_bytes(ANSWER[1:])


class Bad(NamedTuple):
    """A card, and what the host hears of it."""

    card: ScriptedCard
    says: str


def at_reset() -> dict[str, Bad]:
    return {
        "mute": Bad(ScriptedCard({}, atrs=(b"",)), "does not answer"),
        "cut off in the ATR": Bad(ScriptedCard({}, atrs=(ATR[:9],)), "does not answer"),
        "inverse convention": Bad(ScriptedCard({}, atrs=(bytes.fromhex("0300"),)), "first character"),
        "noise for TS": Bad(ScriptedCard({}, atrs=(b"\x00\x00\x00",)), "first character"),
        "wrong TCK": Bad(ScriptedCard({}, atrs=(bytes.fromhex("3B80801F01FF"),)), "check character"),
        "offers T=1 only": Bad(ScriptedCard({5: ANSWER}, atrs=(bytes.fromhex("3B800181"),)), "T=0"),
        "T=1 first and no answer to PPS": Bad(ScriptedCard({5: ANSWER}, atrs=(bytes.fromhex("3B80810001"),)), "T=0"),
        "T=1 at once": Bad(ScriptedCard({5: ANSWER}, atrs=(bytes.fromhex("3B9011110191"),)), "T=0"),
        "ATR without end": Bad(ScriptedCard({}, atrs=(b"\x3b" + b"\xff" * 40,), always=b"\xff" * 40), "too long"),
    }


def in_exchange() -> dict[str, Bad]:
    return {
        "mute": Bad(ScriptedCard({}), "does not answer"),
        "mute after the procedure byte": Bad(ScriptedCard({5: ANSWER[:1]}), "does not answer"),
        "mute within the data": Bad(ScriptedCard({5: ANSWER[:3]}), "does not answer"),
        "mute within the status word": Bad(ScriptedCard({5: ANSWER[:-1]}), "does not answer"),
        "no procedure byte": Bad(ScriptedCard({5: b"\x12"}), "procedure byte"),
        "asks for more than P3": Bad(ScriptedCard({5: ANSWER[:7] + b"\xb2"}), "procedure byte"),
        "NULL storm": Bad(ScriptedCard({5: b"\x60"}, always=b"\x60" * 16), "does not answer"),
        "babbles from the reset on": Bad(ScriptedCard({}, always=b"\x55" * 64), "procedure byte"),
        "implicit speed": Bad(ScriptedCard({5: ANSWER}, atrs=(bytes.fromhex("3B90961010"),)), "T=0"),
        "reserved speed": Bad(ScriptedCard({5: ANSWER}, atrs=(bytes.fromhex("3B907F1000"),)), "T=0"),
    }


@pytest.mark.parametrize("name", at_reset())
def test_a_bad_answer_to_reset_is_a_mute_card_and_the_next_card_works(open_slot: OpenSlot, name: str) -> None:
    bad = at_reset()[name]
    reader, slot = open_slot(bad.card, "atr_start=10", *QUICK)
    with pytest.raises(CardMute, match=bad.says):
        reader.connect()
    assert reader.card_present()
    slot.put(well())
    assert reader.connect().transmit(COMMAND) == RESPONSE


@pytest.mark.parametrize("name", in_exchange())
def test_a_bad_exchange_ends_the_connection_and_the_next_card_works(open_slot: OpenSlot, name: str) -> None:
    bad = in_exchange()[name]
    reader, slot = open_slot(bad.card, "atr_start=2000", *QUICK)
    connection = reader.connect()
    for _ in range(2):
        with pytest.raises(CardMute, match=bad.says):
            connection.transmit(COMMAND)
    assert reader.card_present()
    slot.put(well())
    assert reader.connect().transmit(COMMAND) == RESPONSE


@pytest.mark.parametrize("after", [1, 5, 6])
def test_a_card_pulled_in_the_exchange_is_removed(open_slot: OpenSlot, after: int) -> None:
    card = ScriptedCard({5: b"\xa4"}, pulled_after=after)
    reader, slot = open_slot(card)
    connection = reader.connect()
    with pytest.raises(CardRemoved):
        connection.transmit(CommandApdu.from_bytes(bytes.fromhex("00A4020002EF05")))
    with pytest.raises(CardRemoved):
        connection.reset()
    assert not reader.card_present()
    with pytest.raises(NoCard):
        reader.connect()
    slot.put(well())
    assert reader.connect().transmit(COMMAND) == RESPONSE


def test_a_card_swapped_between_commands_is_removed(open_slot: OpenSlot) -> None:
    reader, slot = open_slot(well())
    connection = reader.connect()
    slot.put(well())
    with pytest.raises(CardRemoved):
        connection.transmit(COMMAND)
    assert reader.connect().transmit(COMMAND) == RESPONSE


def test_a_card_may_ask_for_time_and_take_byte_by_byte(open_slot: OpenSlot) -> None:
    card = ScriptedCard({5: b"\x60\x60\x5b", 6: b"\x60\x5b", 7: b"\x60\x60\x90\x00"})
    reader, _ = open_slot(card)
    response = reader.connect().transmit(CommandApdu.from_bytes(bytes.fromhex("00A4020002EF05")))
    assert response == ResponseApdu(b"", 0x9000)
    assert card.taken == bytes.fromhex("00A4020002EF05")


def test_a_bad_cold_atr_gets_one_warm_reset(open_slot: OpenSlot) -> None:
    card = ScriptedCard({5: ANSWER}, atrs=(bytes.fromhex("3B80801F01FF"), ATR))
    reader, _ = open_slot(card)
    connection = reader.connect()
    assert connection.atr.to_bytes() == ATR
    assert card.resets == 2
    assert connection.transmit(COMMAND) == RESPONSE


def test_contacts_go_on_and_off_in_order(open_slot: OpenSlot) -> None:
    reader, slot = open_slot(well())
    reader.connect().disconnect()
    assert slot.contacts == [VCC, VCC | CLK, VCC | CLK | RST, VCC | CLK, VCC, 0]


def test_a_mute_card_is_powered_off_and_on_once(open_slot: OpenSlot) -> None:
    card = ScriptedCard({5: ANSWER}, atrs=(b"", ATR))
    reader, slot = open_slot(card, "atr_start=10", "slack=400")
    connection = reader.connect()
    assert slot.contacts == [VCC, VCC | CLK, VCC | CLK | RST, VCC | CLK, VCC, 0, VCC, VCC | CLK, VCC | CLK | RST]
    assert connection.transmit(COMMAND) == RESPONSE


def test_reset_is_warm(open_slot: OpenSlot) -> None:
    card = well()
    reader, _ = open_slot(card)
    connection = reader.connect()
    assert connection.transmit(COMMAND) == RESPONSE
    assert connection.reset().to_bytes() == ATR
    assert card.resets == 2
    assert connection.transmit(COMMAND) == RESPONSE


def test_what_t0_cannot_carry_is_refused_before_the_card(open_slot: OpenSlot) -> None:
    card = well()
    reader, _ = open_slot(card)
    connection = reader.connect()
    with pytest.raises(CardMute):
        connection.transmit(CommandApdu(0xFF, 0xA4, 0, 0))
    assert card.taken == b""
