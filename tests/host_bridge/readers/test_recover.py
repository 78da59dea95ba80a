"""The reader is started anew by two wires, and they are let go of whatever happens."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from host_bridge.commands import reader
from host_bridge.readers.recover import BOOTSEL_LOW_S, RUN_LOW_S, GpioAway, GpioMissing, enter_bootloader, restart
from tests.needs import need

RUN_PIN, BOOTSEL_PIN = "GPIO17", "GPIO27"
"""Header pins 11 and 13 (docs/pins.md)."""


@pytest.fixture
def pins() -> Iterator[Any]:
    """gpiozero's own simulated header."""
    try:
        from gpiozero.pins.mock import MockFactory
    except ImportError:
        need("no gpiozero: the extra gpio")
    factory = MockFactory()
    yield factory
    factory.reset()


class Watch:
    """Waits for nothing and notes what the transistors do meanwhile: (seconds, RUN is low, BOOTSEL is low)."""

    def __init__(self, pins: Any) -> None:
        self.pins = pins
        self.seen: list[tuple[float, bool, bool]] = []

    def __call__(self, seconds: float) -> None:
        run, bootsel = (bool(self.pins.pin(name).state) for name in (RUN_PIN, BOOTSEL_PIN))
        self.seen.append((seconds, run, bootsel))


def released(pins: Any) -> bool:
    """Neither transistor is driven: the pins are inputs again."""
    return all(pins.pin(name).function == "input" for name in (RUN_PIN, BOOTSEL_PIN))


def test_a_restart_pulls_run_only(pins: Any) -> None:
    watch = Watch(pins)
    restart(pins, watch)
    assert watch.seen == [(RUN_LOW_S, True, False)]
    assert released(pins)


def test_the_bootloader_is_entered_with_bootsel_held_until_after_run_rose(pins: Any) -> None:
    watch = Watch(pins)
    enter_bootloader(pins, watch)
    assert watch.seen == [(RUN_LOW_S, True, True), (BOOTSEL_LOW_S, False, True)]
    assert released(pins)


@pytest.mark.parametrize("recover", [restart, enter_bootloader])
def test_lines_are_let_go_of_when_it_is_interrupted(pins: Any, recover: Any) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recover(pins, interrupted)
    assert released(pins)


def test_a_pin_in_use_is_told(pins: Any) -> None:
    from gpiozero import OutputDevice

    with OutputDevice(RUN_PIN, pin_factory=pins), pytest.raises(GpioAway):
        restart(pins, Watch(pins))


def test_what_gpiozero_leaves_is_not_left_in_the_users_folder(
    pins: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import gpiozero

    def leaves_a_file(*_: object, **__: object) -> None:
        Path(".lgd-nfy0").touch()
        raise gpiozero.BadPinFactory

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpiozero, "OutputDevice", leaves_a_file)
    with pytest.raises(GpioAway):
        restart(pins, Watch(pins))
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_gpiozero_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(GpioMissing):
        restart()
    ended = CliRunner().invoke(reader, ["recover"])
    assert ended.exit_code == 1
    assert ended.stderr.startswith("R-060 ")
    ended = CliRunner().invoke(reader, ["recover", "--json"])
    assert (ended.exit_code, json.loads(ended.stdout)["error"]["number"]) == (1, "R-060")


@pytest.mark.parametrize(("options", "bootloader"), [([], False), (["--bootloader"], True)])
def test_the_command(pins: Any, monkeypatch: pytest.MonkeyPatch, options: list[str], bootloader: bool) -> None:
    from gpiozero import Device

    monkeypatch.setattr(Device, "pin_factory", pins)
    ended = CliRunner().invoke(reader, ["recover", "--json", *options])
    assert ended.exit_code == 0, ended.output
    assert f'"bootloader": {str(bootloader).lower()}' in ended.stdout
    states = [bool(state) for _, state in pins.pin(BOOTSEL_PIN).states]
    assert any(states) == bootloader
    assert any(bool(state) for _, state in pins.pin(RUN_PIN).states)
