"""The firmware and our driver in front of a virtual card that misbehaves by script (`reader.md B`, `D`, `F`)."""

from contextlib import closing

import pytest

from host_bridge.readers.reader import CardMute, CardRemoved
from host_bridge.readers.serial import SerialReader
from protocols.ccid.messages import (
    GET_PARAMETERS,
    ICC_ACTIVE,
    ICC_INACTIVE,
    ICC_POWER_ON,
    SET_PARAMETERS,
    XFR_BLOCK,
)
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.firmware.conftest import Misbehave
from tests.firmware.rig import Host

SELECT_SSSE = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
READ_VERSION = CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=6)
SELECTED, VERSION = ResponseApdu(b"", 0x611E), ResponseApdu(bytes.fromhex("0304322E3030"), 0x9000)
QUICK = ("waiting=30", "slack=400", "atr_start=50", "atr_gap=300", "atr_total=3000", "exchange=2500")

HARDWARE = 0xFB
"""bError."""
OFFERS_96, OFFERS_13, AT_ONCE_96 = (bytes.fromhex(atr) for atr in ("3B1096", "3B1013", "3B90961000"))
"""TA1 96; TA1 13; TA1 96 and TA2 00, which is specific mode at T=0."""


def fault(**rule: object) -> str:
    """One table of a script."""
    lines = (f"{name} = {value!r}" for name, value in rule.items())
    return "\n".join(["[[fault]]", *lines, ""])


HARMLESS = {
    "none": "",
    "every byte acknowledged alone": fault(phase="command", does="single"),
    "ten NULLs before every procedure byte": fault(phase="command", does="insert", bytes="60", count=10),
    "NULL before the status word": fault(phase="command", does="insert", at=7, bytes="60", spared=1),
    "a long pause within the data": fault(phase="command", does="pause", at=3, ms=250),
    "gaps in the ATR": "".join(fault(phase="atr", does="pause", at=at, ms=150) for at in (1, 5, 16)),
    "mute after the first reset": fault(phase="atr", does="mute", times=1),
    "wrong T0 after the first reset": fault(phase="atr", does="replace", at=1, bytes="FF", times=1),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_card_may_do_so(misbehave: Misbehave, name: str) -> None:
    with closing(SerialReader(misbehave(HARMLESS[name], *QUICK).path, silence_s=3.0)) as reader:
        connection = reader.connect()
        assert connection.transmit(SELECT_SSSE) == SELECTED
        assert connection.transmit(READ_VERSION) == VERSION


NO_ATR = {
    "mute": (fault(phase="atr", does="mute"), "does not answer"),
    "cut off": (fault(phase="atr", does="mute", at=9), "does not answer"),
    "a gap that is too long": (fault(phase="atr", does="pause", at=9, ms=900), "does not answer"),
    "too long in all": ("".join(fault(phase="atr", does="pause", at=at, ms=250) for at in range(17)), "not answer"),
    "starts too late": (fault(phase="atr", does="pause", ms=700), "does not answer"),
    "a damaged character": (fault(phase="atr", does="damage", at=3), "unreadable"),
    "inverse convention": (fault(phase="atr", does="replace", bytes="03"), "first character"),
    "babbles": (fault(phase="atr", does="insert", at=1, bytes="FF", count=0), "too long"),
}


@pytest.mark.parametrize("name", NO_ATR)
def test_no_sensible_atr_is_a_mute_card(misbehave: Misbehave, name: str) -> None:
    script, says = NO_ATR[name]
    with closing(SerialReader(misbehave(script, *QUICK).path, silence_s=3.0)) as reader:
        with pytest.raises(CardMute, match=says):
            reader.connect()
        assert reader.card_present()


ONCE = {
    "mute before the procedure byte": (fault(phase="command", does="mute", spared=1, times=1), "does not answer"),
    "mute within the data": (fault(phase="command", does="mute", at=4, spared=1, times=1), "does not answer"),
    "too long a pause": (fault(phase="command", does="pause", at=4, ms=1500, spared=1, times=1), "does not answer"),
    "a damaged character": (fault(phase="command", does="damage", at=4, spared=1, times=1), "unreadable"),
    "no procedure byte": (fault(phase="command", does="replace", bytes="12", spared=1, times=1), "procedure byte"),
    "NULL storm": (fault(phase="command", does="insert", bytes="60", count=0, spared=1, times=1), "does not answer"),
    "babble": (fault(phase="command", does="insert", bytes="55", count=0, spared=1, times=1), "procedure byte"),
}


@pytest.mark.parametrize("name", ONCE)
def test_a_failed_command_ends_the_connection_and_the_next_one_works(misbehave: Misbehave, name: str) -> None:
    script, says = ONCE[name]
    with closing(SerialReader(misbehave(script, *QUICK).path, silence_s=3.0)) as reader:
        connection = reader.connect()
        assert connection.transmit(SELECT_SSSE) == SELECTED
        with pytest.raises(CardMute, match=says):
            connection.transmit(READ_VERSION)
        connection = reader.connect()
        assert connection.transmit(SELECT_SSSE) == SELECTED
        assert connection.transmit(READ_VERSION) == VERSION


TOO_MUCH = {
    "in the answer to reset": {"phase": "atr", "at": 3, "times": 1},
    "before the procedure byte": {"phase": "command", "spared": 1, "times": 1},
    "within the data": {"phase": "command", "at": 4, "spared": 1, "times": 1},
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_card_that_draws_too_much_is_dark_until_the_next_power_on(misbehave: Misbehave, name: str) -> None:
    in_reset = "reset" in name
    with closing(Host(misbehave(fault(does="overcurrent", **TOO_MUCH[name]), *QUICK).path)) as host:
        answer = host.ask(ICC_POWER_ON)
        if in_reset:
            assert (answer.failed, answer.error, answer.icc) == (True, HARDWARE, ICC_INACTIVE)
        else:
            host.ask(XFR_BLOCK, SELECT_SSSE.to_tpdu().hex())
            for _ in range(2):
                answer = host.ask(XFR_BLOCK, READ_VERSION.to_tpdu().hex())
                assert (answer.failed, answer.error, answer.icc) == (True, HARDWARE, ICC_ACTIVE)
        assert not host.ask(ICC_POWER_ON).failed
        assert host.ask(XFR_BLOCK, READ_VERSION.to_tpdu().hex()).data == VERSION.to_bytes()


def test_our_driver_says_that_a_card_draws_too_much(misbehave: Misbehave) -> None:
    script = fault(phase="atr", does="overcurrent")
    with closing(SerialReader(misbehave(script, *QUICK).path, silence_s=3.0)) as reader:
        with pytest.raises(CardMute, match="too much current"):
            reader.connect()
        assert reader.card_present()


@pytest.mark.parametrize("at", [0, 4, 8])
def test_a_card_pulled_within_its_answer_is_removed(misbehave: Misbehave, at: int) -> None:
    script = fault(phase="command", does="pull", at=at, spared=1)
    with closing(SerialReader(misbehave(script, *QUICK).path, silence_s=3.0)) as reader:
        connection = reader.connect()
        assert connection.transmit(SELECT_SSSE) == SELECTED
        with pytest.raises(CardRemoved):
            connection.transmit(READ_VERSION)
        assert not reader.card_present()


ALTERED_ONCE = "".join(
    fault(phase="pps", does="replace", at=at, bytes=character, times=1) for at, character in ((2, "95"), (3, "7A"))
)
SPEEDS = {
    "agreed": ("", OFFERS_96, "96", "96"),
    "agreed, 372/4": ("", OFFERS_13, "13", "13"),
    "lower than offered": ("", OFFERS_96, "94", "94"),
    "not offered": ("", OFFERS_13, "96", "11"),
    "mute, then the next lower": (fault(phase="pps", does="mute", times=1), OFFERS_96, "96", "95"),
    "altered, then the next lower": (ALTERED_ONCE, OFFERS_96, "96", "95"),
    "wrong PCK, then the next lower": (
        fault(phase="pps", does="replace", at=3, bytes="00", times=1),
        OFFERS_96,
        "96",
        "95",
    ),
    "damaged, then the next lower": (fault(phase="pps", does="damage", at=2, times=1), OFFERS_96, "96", "95"),
    "always mute": (fault(phase="pps", does="mute"), OFFERS_96, "96", "11"),
    "always damaged": (fault(phase="pps", does="damage"), OFFERS_96, "96", "11"),
    "specific mode": ("", AT_ONCE_96, "96", "96"),
    "specific mode leaves no choice": ("", AT_ONCE_96, "11", "96"),
}


@pytest.mark.parametrize("name", SPEEDS)
def test_reader_and_card_speak_at_the_same_speed_whatever_came_of_the_pps(misbehave: Misbehave, name: str) -> None:
    """Fi and Di asked for by SetParameters, and those that hold then; a card at another one hears nothing."""
    script, atr, wanted, holds = SPEEDS[name]
    with closing(Host(misbehave(script, *QUICK, atr=atr).path)) as host:
        host.ask(ICC_POWER_ON)
        answer = host.ask(SET_PARAMETERS, f"{wanted}00000A00")
        assert (answer.failed, answer.error) == ((False, 0) if wanted == holds else (True, 10))
        assert host.ask(GET_PARAMETERS).data.hex() == f"{holds}00000a00"
        assert host.ask(XFR_BLOCK, READ_VERSION.to_tpdu().hex()).data == VERSION.to_bytes()
        assert host.ask(ICC_POWER_ON).data == atr
        assert host.ask(XFR_BLOCK, READ_VERSION.to_tpdu().hex()).data == VERSION.to_bytes()


SLOW_ONLY, FAST_ONLY = (
    "".join(fault(phase="command", does="damage", speed=speed) for speed in speeds) for speeds in ((0x96,), (0x11,))
)


def test_our_driver_takes_the_speed_that_the_card_offers(misbehave: Misbehave) -> None:
    """A card that cannot be read at 372/1."""
    with closing(SerialReader(misbehave(FAST_ONLY, *QUICK, atr=OFFERS_96).path, silence_s=3.0)) as reader:
        connection = reader.connect()
        assert connection.transmit(READ_VERSION) == VERSION
        connection.reset()
        assert connection.transmit(READ_VERSION) == VERSION


def test_a_speed_that_did_not_work_is_not_used_again(misbehave: Misbehave) -> None:
    """A card that agrees to a speed it cannot hold."""
    with closing(SerialReader(misbehave(SLOW_ONLY, *QUICK, atr=OFFERS_96).path, silence_s=3.0)) as reader:
        with pytest.raises(CardMute, match="unreadable"):
            reader.connect().transmit(READ_VERSION)
        for _ in range(2):
            assert reader.connect().transmit(READ_VERSION) == VERSION
