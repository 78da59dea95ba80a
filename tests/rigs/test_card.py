"""A card in a slot: used, reset, taken out and put back, misbehaving, on whatever rung."""

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.line_faults import Fault
from hardware.virtual.processes import wait_until
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderUnavailable
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.rigs.conftest import StartRig
from tests.rigs.rungs import CARD, FAULTS, OWN_ATR, POWER, REMOVE, Rig, Wanted

SELECT_SSSE = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
READ_VERSION = CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=6)
VERSION = ResponseApdu(bytes.fromhex("0304322E3030"), 0x9000)


def test_any_card_answers_to_reset_the_same_way_each_time(rig: Rig) -> None:
    reader = rig.open()
    connection = reader.connect()
    atr = connection.atr
    for _ in range(3):
        assert connection.reset() == atr
    connection.disconnect()
    assert reader.connect().atr == atr


@pytest.mark.needs(CARD)
def test_a_card_is_selected_read_and_reset(rig: Rig) -> None:
    atr = VirtualCard.open(rig.card).reset()
    connection = rig.open().connect()
    assert connection.atr.to_bytes() == atr
    for _ in range(3):
        assert connection.transmit(SELECT_SSSE) == ResponseApdu(b"", 0x611E)
        assert len(connection.transmit(CommandApdu(0x00, 0xC0, 0, 0, le=0x1E)).data) == 0x1E
        assert connection.transmit(CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=256)) == ResponseApdu(b"", 0x6C06)
        assert connection.transmit(READ_VERSION) == VERSION
        assert connection.reset().to_bytes() == atr


@pytest.mark.needs(REMOVE)
def test_a_card_pulled_and_put_back_is_noticed_and_works(rig: Rig) -> None:
    reader = rig.open()
    for _ in range(2):
        connection = reader.connect()
        connection.transmit(SELECT_SSSE)
        rig.remove()
        wait_until("no card", lambda: not reader.card_present())
        with pytest.raises(CardRemoved):
            connection.transmit(SELECT_SSSE)
        with pytest.raises(NoCard):
            reader.connect()
        rig.insert()
        wait_until("the card", reader.card_present)
        with pytest.raises(CardRemoved):
            connection.transmit(SELECT_SSSE)
    assert reader.connect().transmit(SELECT_SSSE).sw >> 8 in (0x61, 0x90)


@pytest.mark.needs(REMOVE)
def test_a_card_pulled_before_anybody_looked_is_removed(rig: Rig) -> None:
    connection = rig.open().connect()
    rig.remove()
    with pytest.raises(CardRemoved):
        connection.transmit(SELECT_SSSE)


@pytest.mark.needs(REMOVE)
def test_an_empty_slot_has_no_card(rig: Rig) -> None:
    reader = rig.open()
    rig.remove()
    wait_until("no card", lambda: not reader.card_present())
    with pytest.raises(NoCard):
        reader.connect()


def test_a_second_connection_ends_the_first(rig: Rig) -> None:
    reader = rig.open()
    first = reader.connect()
    second = reader.connect()
    with pytest.raises(CardRemoved):
        first.transmit(SELECT_SSSE)
    first.disconnect()
    assert second.transmit(SELECT_SSSE).sw >> 8 in (0x61, 0x90)


@pytest.mark.needs(POWER)
def test_a_reader_that_lost_its_power_comes_back_with_the_card_off(rig: Rig) -> None:
    reader = rig.open()
    connection = reader.connect()
    rig.cut_power()
    for _ in range(2):
        with pytest.raises(ReaderUnavailable):
            connection.transmit(SELECT_SSSE)
        with pytest.raises(ReaderUnavailable):
            reader.card_present()
    rig.restore_power()
    assert reader.card_present()
    with pytest.raises(ReaderUnavailable):
        connection.transmit(SELECT_SSSE)
    assert reader.connect().transmit(SELECT_SSSE).sw >> 8 in (0x61, 0x90)


@pytest.mark.needs(OWN_ATR)
@pytest.mark.parametrize("atr", ["3B1096", "3B90961000", "3B1013"], ids=["TA1 96", "specific mode at 96", "TA1 13"])
def test_a_card_is_used_at_its_own_speed(start_rig: StartRig, atr: str) -> None:
    """The virtual card hears nothing at another speed than it told or agreed on."""
    reader = start_rig(Wanted(atr=bytes.fromhex(atr))).open()
    for _ in range(2):
        connection = reader.connect()
        assert connection.atr.to_bytes().hex().upper() == atr
        assert connection.transmit(READ_VERSION) == VERSION
        connection.reset()
        assert connection.transmit(READ_VERSION) == VERSION


SLOW = Fault("command", "pause", ms=800), Fault("command", "pause", 4, ms=800)
"""Within WWT, 893 ms (`reader.md B.4`); together more than any driver waits without a word."""


@pytest.mark.needs(FAULTS)
def test_a_slow_card_has_its_time(start_rig: StartRig) -> None:
    """Time bytes keep the driver waiting, also before and within the data."""
    connection = start_rig(Wanted(faults=SLOW)).open().connect()
    assert connection.transmit(READ_VERSION) == VERSION


QUICKLY_MUTE = bytes.fromhex("3B804001")
"""WI 1: the card has a second for each character."""
PULLED, MUTE = Fault("command", "pull", 4), Fault("command", "mute", 4, times=1)


@pytest.mark.needs(FAULTS)
@pytest.mark.parametrize(("fault", "error"), [(PULLED, CardRemoved), (MUTE, CardMute)], ids=["pulled", "mute"])
def test_a_card_that_fails_within_its_answer(start_rig: StartRig, fault: Fault, error: type[Exception]) -> None:
    reader = start_rig(Wanted(QUICKLY_MUTE, (fault,))).open()
    connection = reader.connect()
    with pytest.raises(error):
        connection.transmit(READ_VERSION)
    if error is CardMute:
        assert reader.connect().transmit(READ_VERSION) == VERSION
