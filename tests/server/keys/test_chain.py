"""The whole chain: card, terminal, a real broker, the server as a process, and root keys in a SoftHSM token."""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec
import pytest
from typer.testing import CliRunner

from hardware.virtual.card import CardImage, Pin, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from hardware.virtual.processes import wait_until
from host_bridge.card import errors
from host_bridge.card.security_module import CentreModule, KeyRefused
from host_bridge.card.session import CardSession
from host_bridge.clock import SystemClock
from host_bridge.commands import terminal
from host_bridge.enrol import enrol, open_journal
from host_bridge.link.link import Link
from host_bridge.readers.virtual import VirtualReader
from tests.memory import in_memory
from tests.server.conftest import Mosquitto
from tests.server.keys.softhsm import new_token
from tests.server.test_run import Site

INSTITUTION = ("--institution", "H11010200001", "--name", "示范社区", "--city", "110000")
NEW_PIN = b"246802"


class Terminals:
    """A running centre with keys, and terminals on its broker."""

    def __init__(self, site: Site, folder: Path, stack: ExitStack) -> None:
        self.site, self._folder, self._stack = site, folder, stack
        self._clock = SystemClock("always")

    def state(self, terminal: str, role: Literal["counter", "agency"]) -> Path:
        """The folder of a terminal that has just been enrolled."""
        arguments = ("terminal", "add", "--terminal", terminal, *INSTITUTION, "--role", role, "--json")
        code = self.site.ssc(*arguments)["code"]
        state = self._folder / terminal
        enrol(state, self.site.ready["enrol"], code, self._clock, secret=secrets.token_bytes(32))
        return state

    def link(self, terminal: str, role: Literal["counter", "agency"]) -> Link:
        """An enrolled terminal that hears the centre."""
        state = self.state(terminal, role)
        journal = self._stack.enter_context(closing(open_journal(state, self._clock)))
        link = Link(journal, journal.record, clock=self._clock, random=Random(1), on_change=lambda: None)
        link.start()
        self._stack.callback(link.stop)
        wait_until(f"{terminal} hears the centre", lambda: link.centre.listening)
        return link

    def session(self, link: Link, image: CardImage) -> CardSession:
        """A card in this terminal's reader."""
        path = self._folder / f"{secrets.token_hex(4)}.card"
        VirtualCard.create(path, image)
        return CardSession(VirtualReader(str(path)).connect(), CentreModule(link.ask_key))


@pytest.fixture
def terminals(mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminals]:
    with ExitStack() as stack:
        directory = stack.enter_context(in_memory())
        part = new_token(directory)
        monkeypatch.setenv("SOFTHSM2_CONF", str(directory / "softhsm2.conf"))
        site = Site(mosquitto)
        stack.callback(site.close)
        keys = f'[keys]\nmodule = "{part.module}"\ntoken = "{part.token}"\npin_file = "{part.pin_file}"\n'
        site.config.write_text(site.config.read_text() + keys)
        site.ssc("key", "init", "--json")
        site.ssc("broker-files")
        site.run()
        yield Terminals(site, tmp_path, stack)


def locked(version: str) -> CardImage:
    person = load_person(DEFAULT_PERSON)
    card = msgspec.structs.replace(person.card, version=version)
    image = card_image(msgspec.structs.replace(person, card=card))
    return msgspec.structs.replace(image, pin=Pin("135790", 3, 0))


def test_a_3_00_card_is_read_and_its_pin_reset_with_the_centres_keys(terminals: Terminals) -> None:
    counter = terminals.link("counter-1", "counter")
    session = terminals.session(counter, locked("3.00"))
    assert session.read_issuer().version == "3.00"
    assert session.read_holder().name == "李建华"
    for step in (session.unblock_pin, lambda: session.reset_pin(bytearray(NEW_PIN))):
        with pytest.raises(KeyRefused) as refused:
            step()
        assert refused.value.key == "key_not_for_counter"
    assert session.pin_tries() == 0

    agency = terminals.link("agency-1", "agency")
    session = terminals.session(agency, locked("3.00"))
    with pytest.raises(KeyRefused) as refused:
        session.reset_pin(bytearray(NEW_PIN))
    assert (refused.value.key, session.pin_tries()) == ("key_not_approved", 0)
    terminals.site.ssc("key", "approve", str(refused.value.request), "--json")
    session.reset_pin(bytearray(NEW_PIN))
    session.verify_pin(bytearray(NEW_PIN))
    with pytest.raises(KeyRefused):
        session.reset_pin(bytearray(NEW_PIN))

    uses = terminals.site.ssc("key", "audit", "--json")["uses"]
    answered = [(use["terminal"], use["use"], use["key"]) for use in uses if use["refusal"] is None]
    assert answered == [
        ("counter-1", "genuine", "IRK"),
        ("counter-1", "read", "RKSSSE"),
        ("agency-1", "genuine", "IRK"),
        ("agency-1", "reset_pin", "PUK"),
        ("agency-1", "reset_pin", "STK"),
    ]
    refusals = [(use["terminal"], use["refusal"]) for use in uses if use["refusal"] is not None]
    assert refusals == [("counter-1", "K-112")] * 2 + [("agency-1", "K-113")] * 2


def test_an_agency_unblocks_a_2_00_card_by_command(terminals: Terminals, tmp_path: Path) -> None:
    card = VirtualCard.create(tmp_path / "x.card", locked("2.00"))
    config = tmp_path / "terminal.toml"
    config.write_text(
        f'[terminal]\nstate = "{terminals.state("agency-1", "agency")}"\nreader = "virtual:{card.path}"\n'
        'printer = "file:/dev/null"\nclerk = "01"\nsecurity = "centre"\n'
    )

    def unblock(status: int) -> Any:
        done = CliRunner().invoke(terminal, ["unblock-pin", "--config", str(config), "--json"])
        assert done.exit_code == status, done.output
        return json.loads(done.stdout)

    assert unblock(1)["error"]["number"] == "K-113"
    (request,) = terminals.site.ssc("key", "requests", "--json")["requests"]
    assert (request["terminal"], request["use"]) == ("agency-1", "unblock_pin")
    assert request["card"] == bytes.fromhex(card.image.atr)[-8:].hex()
    terminals.site.ssc("key", "approve", str(request["id"]), "--json")
    assert unblock(0) == {"unblocked": True, "tries": 3}
    assert VirtualCard.open(card.path).image.pin == Pin("135790", 3, 3)
    assert unblock(1)["error"]["number"] == "K-113"
    booked = terminals.site.ssc("ledger", "--json")["events"]
    assert [(each["kind"], each["mode"], each["number"]) for each in booked] == [
        ("pin", None, None),
        ("pin", "unblock", "K-113"),
        ("pin", None, None),
        ("pin", "unblock", None),
        ("pin", None, None),
        ("pin", "unblock", "K-113"),
    ]


def test_a_2_00_file_behind_pin_and_key_is_read_in_3des(terminals: Terminals) -> None:
    image = msgspec.structs.replace(locked("2.00"), pin=Pin("135790", 3, 3))
    session = terminals.session(terminals.link("counter-1", "counter"), image)
    with pytest.raises(errors.AccessRefused):
        session.read_file("DF04", "EF06")
    session.verify_pin(bytearray(b"135790"))
    assert [content.tag for content in session.read_file("DF04", "EF06")] == ["90", "92", "93"]
