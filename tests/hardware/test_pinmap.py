"""The pin map refuses what cannot be wired, and what is made from it is in step."""

from pathlib import Path

import pytest

from firmware.boards.pico import pins as pico
from firmware.boards.pico_front_end import pins as front_end
from hardware.pinmap import PINMAP, PinMapError, load_pinmap
from hardware.pinmap_files import files, main

BROUGHT_OUT = {*range(23), 26, 27, 28}
"""GPIO numbers on the header of a Pico (Pico data sheet, pinout)."""

WRONG = [
    ('leds = { green = "GP22"', 'leds = { green = "GP2"', "pico: GP2 (LED green) is card I/O already"),
    ('buzzer = "GP28"', 'buzzer = "GP29"', "pico: GP29 (buzzer) is not brought out"),
    ('buzzer = "GP28"', 'buzzer = "GP25"', "pico: GP25 (buzzer) is not brought out"),
    ('buzzer = "GP28"', 'buzzer = "RUN"', "pico: RUN (buzzer) is an input only"),
    ('buzzer = "GP28"', 'buzzer = "GND"', "pico: GND (buzzer) is no general purpose pin"),
    ('rst = "GP4"', 'rst = "GP1"', "pico: GP1 (card RST) is console RX already"),
    ('console = ["GP0", "GP1"]', 'console = ["GP1", "GP0"]', "pico: GP1 and GP0 are no UART"),
    ("pio = 1", "pio = 0", "pico: PIO block 0 drives I/O and has no room for CLK"),
    ("pio = 1", "pio = 2", "pico: there is no PIO block 2"),
    ('classes = "B"', 'classes = "AB"', "pico, slot card: class A needs a front end"),
    ('classes = "B"', 'classes = "BC"', "pico, slot card: class C needs a front end"),
    ('overcurrent = { pin = "GP7", over = 0 }', "", "pico, slot card: nothing tells of overcurrent"),
    ("C = [1, 0]", "C = [0, 1]", "levels do not tell the classes apart"),
    ("C = [1, 0]", "C = [1]", "levels do not tell the classes apart"),
    ("A = [1, 1], ", "", "levels for classes B, C, not for ABC"),
    ('RUN = "GPIO17"', 'RUN = "GPIO0"', "raspberry_pi: GPIO0 (pulls RUN) is reserved"),
    ('RUN = "GPIO17"', 'RUN = "GPIO28"', "raspberry_pi: GPIO28 (pulls RUN) is not brought out"),
    ('RUN = "GPIO17"', 'GP2 = "GPIO17"', "raspberry_pi: GP2 is no input of pico"),
]


@pytest.mark.parametrize(("old", "new", "fault"), WRONG)
def test_what_cannot_be_wired_is_refused(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = PINMAP.read_text()
    assert old in text
    path = tmp_path / "pinmap.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(PinMapError) as caught:
        load_pinmap(path)
    assert any(fault in each for each in caught.value.faults), caught.value.faults


@pytest.mark.parametrize("pins", [pico, front_end], ids=["pico", "pico_front_end"])
def test_the_firmware_gets_pins_that_a_pico_has_and_each_once(pins: object) -> None:
    values = {name: getattr(pins, name) for name in dir(pins) if name.isupper()}
    used = [pin for slot in values["SLOTS"] for pin in slot]
    used += [each[0] for each in values["OVERCURRENT"] if each]
    used += [pin for select in values["CLASS_SELECT"] for pin in select]
    used += [*values["KEYPAD_ROWS"], *values["KEYPAD_COLUMNS"], *values["LEDS"], values["BUZZER"]]
    assert set(used) <= BROUGHT_OUT
    assert len(set(used)) == len(used)
    per_slot = ("CLASSES", "VCC_ON", "VCC_RISES_MS", "CARD_IN", "OVERCURRENT", "CLASS_SELECT", "CLASS_LEVELS")
    assert {len(values[name]) for name in per_slot} == {len(values["SLOTS"])}


def test_the_files_are_in_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_file_that_drifted_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files(load_pinmap()).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("BUZZER = 28", "BUZZER = 27"))
    monkeypatch.setattr("hardware.pinmap_files.ROOT", tmp_path)
    assert main(["--check"]) == 1
    assert "-BUZZER = 27\n+BUZZER = 28" in capsys.readouterr().out
