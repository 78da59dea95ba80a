"""Fault scripts: what they make of the characters a card sends, and which files are none."""

from pathlib import Path

import pytest

from hardware.virtual.line_faults import Fault, Faults, FaultsError, Sent, load_faults

SPEED = 0x11


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    return path


def test_a_script_is_read_in_order(tmp_path: Path) -> None:
    text = """
[[fault]]
phase = "command"
does = "insert"
bytes = "60"
count = 0

[[fault]]
phase = "pps"
does = "replace"
at = 2
bytes = "95"
speed = 0x11
"""
    assert load_faults(script(tmp_path, text)) == (
        Fault("command", "insert", characters="60", count=0),
        Fault("pps", "replace", 2, "95", speed=0x11),
    )
    assert load_faults(script(tmp_path, "")) == ()


@pytest.mark.parametrize(
    "text",
    [
        "no TOML",
        '[[fault]]\nphase = "command"',
        '[[fault]]\nphase = "atr"\ndoes = "explode"',
        '[[fault]]\nphase = "session"\ndoes = "mute"',
        '[[fault]]\nphase = "atr"\ndoes = "insert"\nbytes = "6"',
        '[[fault]]\nphase = "atr"\ndoes = "mute"\nclasses = "AD"',
        '[[fault]]\nphase = "atr"\ndoes = "extend"',
        '[[fault]]\nphase = "command"\ndoes = "extend"\ncount = 256',
        '[[fault]]\nphase = "atr"\ndoes = "mute"\nwhen = 1',
        '[[faults]]\nphase = "atr"\ndoes = "mute"',
    ],
)
def test_what_is_no_script_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(FaultsError, match=r"faults\.toml"):
        load_faults(script(tmp_path, text))
    with pytest.raises(FaultsError, match="missing"):
        load_faults(tmp_path / "missing")


def test_rules_hold_in_their_phases_and_at_their_speed_alone() -> None:
    faults = Faults([Fault("command", "replace", 1, "AA", spared=1, times=2, speed=0x96)])
    heard = []
    for speed in (0x96, 0x96, 0x11, 0x96, 0x96):
        faults.begin("command", speed)
        heard.append(b"".join(sent.characters for sent in faults.apply(b"\x01\x02", speed)))
    assert heard == [b"\x01\x02", b"\x01\xaa", b"\x01\x02", b"\x01\x02", b"\x01\x02"]


def test_a_muted_card_speaks_after_the_next_reset() -> None:
    faults = Faults([Fault("command", "mute", 1)])
    faults.begin("command", SPEED)
    assert list(faults.apply(b"\x01\x02", SPEED)) == [Sent(b"\x01", SPEED)]
    faults.begin("command", SPEED)
    assert list(faults.apply(b"\x01", SPEED)) == []
    faults.begin("atr", SPEED)
    assert list(faults.apply(b"\x3b", SPEED)) == [Sent(b"\x3b", SPEED)]
