"""The test card's language: typed bytes, and any bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso7816 import test_card as language
from protocols.iso7816.apdu import CommandApdu
from protocols.iso7816.atr import Atr
from protocols.iso7816.test_card import DEEDS, PHASES, Arming, LanguageError, Told

STORM = Arming("command", "insert", count=24, ms=50, spared=1, characters=b"\x60")
TOLD = Told(True, 2, 258, 1, 700, 0x96, bytes.fromhex("3B009000"))


@pytest.mark.parametrize(
    ("command", "tpdu"),
    [
        (language.status_only(0x9131), "8010913100"),
        (language.give(256), "8012900000"),
        (language.give(7, 0x6281), "8012628107"),
        (language.take(b"\x01\x02"), "80149000020102"),
        (language.give_back(2), "8016000002"),
        (STORM.to_command(), "8018020007" + "0018003201" + "0160"),
        (language.calm(), "801A000000"),
        (language.tell(), "801C00002C"),
    ],
)
def test_a_command_on_the_line(command: CommandApdu, tpdu: str) -> None:
    assert command.to_tpdu().hex().upper() == tpdu


def test_what_is_told() -> None:
    raw = bytes.fromhex("01 0002 0102 0001 02BC 96 04 3B009000") + bytes(29)
    assert TOLD.to_bytes() == raw
    assert Told.from_bytes(raw) == TOLD


def test_its_atr_is_one_and_begins_its_historical_bytes_with_the_mark() -> None:
    atr = Atr.from_bytes(language.ATR)
    assert (atr.ta1, atr.tc2, atr.protocols) == (0x96, 1, (0,))
    assert atr.historical_bytes.startswith(language.MARK)


def test_the_pattern_has_every_byte_once() -> None:
    assert sorted(language.pattern(256)) == list(range(256))
    assert language.pattern(3) == bytes((13, 180, 91))


@given(
    phase=st.sampled_from(PHASES),
    deed=st.sampled_from(DEEDS),
    numbers=st.lists(st.integers(0, 255), min_size=4, max_size=4),
    ms=st.integers(0, 0xFFFF),
    characters=st.binary(max_size=40),
)
def test_a_rule_comes_back(phase: str, deed: str, numbers: list[int], ms: int, characters: bytes) -> None:
    at, count, spared, times = numbers
    rule = Arming(phase, deed, at, count, ms, spared, times, characters)
    assert Arming.from_command(rule.to_command()) == rule


@given(p1=st.integers(0, 255), p2=st.integers(0, 255), data=st.binary(max_size=60))
def test_any_bytes(p1: int, p2: int, data: bytes) -> None:
    for read in (lambda: Arming.from_command(CommandApdu(0x80, 0x18, p1, p2, data)), lambda: Told.from_bytes(data)):
        with contextlib.suppress(LanguageError):
            read()
