"""`ssc terminal unblock-pin` and `reset-pin` with an agency's security module."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from hardware.virtual.card import Pin, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import Role, sam_image
from host_bridge.commands import terminal

LOCKED = Pin("135790", 3, 0)


class Agency:
    """A folder with a configuration, a locked card and a security module."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        image = card_image(load_person(DEFAULT_PERSON))
        VirtualCard.create(folder / "x.card", msgspec.structs.replace(image, pin=LOCKED))
        self.secure(f"sam:virtual:{folder}/module.sam", "agency")

    def secure(self, where: str, role: Role) -> None:
        VirtualSam.create(self._folder / "module.sam", sam_image("110102", 3, role))
        (self._folder / "terminal.toml").write_text(
            f'[terminal]\nstate = "state"\nreader = "virtual:{self._folder}/x.card"\nprinter = "file:/dev/null"\n'
            f'clerk = "01"\nsecurity = "{where}"\n'
        )

    def ssc(self, command: str, typed: str = "", status: int = 0) -> Any:
        """What it prints, as JSON."""
        arguments = [command, "--config", str(self._folder / "terminal.toml"), "--json"]
        done = CliRunner().invoke(terminal, arguments, input=typed)
        assert done.exit_code == status, done.output
        return json.loads(done.stdout)

    @property
    def pin(self) -> Pin | None:
        return VirtualCard.open(self._folder / "x.card").image.pin


@pytest.fixture
def agency(tmp_path: Path) -> Agency:
    return Agency(tmp_path)


def test_unblock(agency: Agency) -> None:
    assert agency.ssc("unblock-pin") == {"unblocked": True, "tries": 3}
    assert agency.pin == Pin("135790", 3, 3)


def test_reset(agency: Agency) -> None:
    assert agency.ssc("reset-pin", "246802\n246802\n") == {"reset": True, "tries": 3}
    assert agency.pin == Pin("246802", 3, 3)


@pytest.mark.parametrize(("typed", "number"), [("246802\n246803\n", "-34"), ("12\n12\n", "-33")])
def test_a_new_pin_that_cannot_be(agency: Agency, typed: str, number: str) -> None:
    shown = agency.ssc("reset-pin", typed, status=1)
    assert shown["error"]["number"] == number
    assert agency.pin == LOCKED


@pytest.mark.parametrize("typed", ["", "246802\n"])
def test_input_that_ends_before_the_new_pin(agency: Agency, typed: str) -> None:
    shown = agency.ssc("reset-pin", typed, status=2)
    assert shown["error"]["number"] == "-39"
    assert agency.pin == LOCKED


def test_a_counters_module_and_none(agency: Agency, tmp_path: Path) -> None:
    agency.secure(f"sam:virtual:{tmp_path}/module.sam", "counter")
    assert agency.ssc("unblock-pin", status=1)["error"]["number"] == "-2203"
    agency.secure("", "agency")
    assert agency.ssc("unblock-pin", status=1)["error"]["number"] == "-2201"
    assert agency.pin == LOCKED


def test_an_address_that_is_none(agency: Agency) -> None:
    agency.secure("sam:nothing", "agency")
    assert "nothing" in agency.ssc("unblock-pin", status=2)["error"]["en"]["what"]
