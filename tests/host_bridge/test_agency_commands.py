"""`ssc terminal unblock-pin` and `reset-pin` with an agency's security module."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from hardware.virtual.card import Pin, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from hardware.virtual.processes import free_port
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import Role, sam_image
from host_bridge.clock import SystemClock
from host_bridge.commands import terminal
from host_bridge.journal.journal import Journal
from host_bridge.journal.reader import JournalReader
from protocols.events.events import PinService
from protocols.events.frames import Broker
from tests.host_bridge.journal.samples import TERMINAL, answer, record_for
from tests.host_bridge.link.broker import Centre, Mosquitto

LOCKED = Pin("135790", 3, 0)


class Agency:
    """A folder with a configuration, an enrolment, a locked card and a security module."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        image = card_image(load_person(DEFAULT_PERSON))
        VirtualCard.create(folder / "x.card", msgspec.structs.replace(image, pin=LOCKED))
        self.key, self.receipt_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self.secure(f"sam:virtual:{folder}/module.sam", "agency")

    def secure(self, where: str, role: Role) -> None:
        VirtualSam.create(self._folder / "module.sam", sam_image("110102", 3, role))
        (self._folder / "terminal.toml").write_text(
            f'[terminal]\nstate = "state"\nreader = "virtual:{self._folder}/x.card"\nprinter = "file:/dev/null"\n'
            f'clerk = "07"\nsecurity = "{where}"\nsimulated = true\n[clock]\ntrusted = "always"\n'
        )

    def enrol(self, role: Literal["counter", "agency"] = "agency", port: int | None = None) -> bytes:
        """The state of a terminal with this role; nobody is at the broker's port unless one is named."""
        brokers = (Broker("127.0.0.1", port or free_port()),)
        record = record_for(self.key, self.receipt_key, brokers=brokers, role=role)
        state = self._folder / "state"
        state.mkdir()
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (state / "terminal.key").write_bytes(pem)
        journal = Journal.create(state / "journal.db", record, self.key, SystemClock("always"), secret=bytes(32))
        journal.close()
        return record

    def ssc(self, command: str, typed: str = "", status: int = 0) -> Any:
        """What it prints, as JSON."""
        arguments = [command, "--config", str(self._folder / "terminal.toml"), "--json"]
        done = CliRunner().invoke(terminal, arguments, input=typed)
        assert done.exit_code == status, done.output
        return json.loads(done.stdout or done.stderr)

    def journalled(self) -> list[tuple[str, str, str | None]]:
        """What its journal says was done: service, state, number; every line by this clerk, for one person."""
        with closing(JournalReader(self._folder / "state" / "journal.db")) as reader:
            stored = reader.after(0, 100)
        found: list[tuple[str, str, str | None]] = []
        for each in stored:
            data = each.event.data
            assert isinstance(data, PinService)
            assert (each.event.source, data.opter) == (TERMINAL, "07")
            assert each.person is not None
            secrets = (each.person.certno, each.person.card_no, "246802", "135790")
            assert not any(secret in each.data.decode() for secret in secrets)
            found.append((data.service, data.state, data.number))
        return found

    @property
    def pin(self) -> Pin | None:
        return VirtualCard.open(self._folder / "x.card").image.pin


@pytest.fixture
def agency(tmp_path: Path) -> Agency:
    """An agency's terminal whose broker is away."""
    agency = Agency(tmp_path)
    agency.enrol()
    return agency


def test_unblock(agency: Agency) -> None:
    assert agency.ssc("unblock-pin") == {"unblocked": True, "tries": 3}
    assert agency.pin == Pin("135790", 3, 3)
    assert agency.journalled() == [("unblock", "begun", None), ("unblock", "done", None)]


def test_the_journal_says_what_was_done(agency: Agency, tmp_path: Path) -> None:
    agency.ssc("unblock-pin")
    events = agency.ssc("journal")["events"]
    found = [(each["kind"], each["service"], each["state"], each["number"]) for each in events]
    assert found == [("pin", "unblock", "begun", None), ("pin", "unblock", "done", None)]
    shown = CliRunner().invoke(
        terminal, ["journal", "--config", str(tmp_path / "terminal.toml")], env={"COLUMNS": "120"}
    )
    assert "unblock done" in shown.stdout


def test_reset(agency: Agency) -> None:
    assert agency.ssc("reset-pin", "246802\n246802\n") == {"reset": True, "tries": 3}
    assert agency.pin == Pin("246802", 3, 3)
    assert agency.journalled() == [("reset", "begun", None), ("reset", "done", None)]


@pytest.mark.parametrize(
    ("typed", "number"), [("246802\n246803\n", "-34"), ("12\n12\n", "-33"), ("000000\n000000\n", "-36")]
)
def test_a_new_pin_that_cannot_be(agency: Agency, typed: str, number: str) -> None:
    """Without the centre by the rules of the card's issuer, the simulated city, whose default PIN is 000000."""
    shown = agency.ssc("reset-pin", typed, status=1)
    assert shown["error"]["number"] == number
    assert agency.pin == LOCKED
    assert agency.journalled() == []


def test_the_rules_are_those_of_the_insured_place(tmp_path: Path) -> None:
    """Beijing's default PIN is the last six of the citizen number (003-2.23)."""
    agency, broker = Agency(tmp_path), Mosquitto(tmp_path)
    record = agency.enrol(port=broker.port)
    centre = Centre(record, agency.key.public_key(), agency.receipt_key, broker.port)
    centre.answer = msgspec.structs.replace(answer(), insuplc_admdvs="110102")
    assert centre.alive.wait(10)
    try:
        assert agency.ssc("reset-pin", "290036\n290036\n", status=1)["error"]["number"] == "-36"
        assert agency.ssc("reset-pin", "000000\n000000\n") == {"reset": True, "tries": 3}
        assert centre.mark == len(agency.journalled()) == 2
    finally:
        centre.close()
        broker.kill()


@pytest.mark.parametrize("role", [None, "counter"])
@pytest.mark.parametrize("command", ["unblock-pin", "reset-pin"])
def test_who_is_not_enrolled_as_agency_is_told_how(
    tmp_path: Path, command: str, role: Literal["counter"] | None
) -> None:
    agency = Agency(tmp_path)
    if role is not None:
        agency.enrol(role)
    shown = agency.ssc(command, "246802\n246802\n", status=2)
    assert shown["error"]["number"] == "J-016"
    assert "--role agency" in shown["error"]["en"]["bill"]
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
    assert agency.journalled() == [
        ("unblock", "begun", None),
        ("unblock", "failed", "-2203"),
        ("unblock", "begun", None),
        ("unblock", "failed", "-2201"),
    ]


def test_an_address_that_is_none(agency: Agency) -> None:
    agency.secure("sam:nothing", "agency")
    assert "nothing" in agency.ssc("unblock-pin", status=2)["error"]["en"]["what"]
