"""The whole server as a process with a real broker: commands, enrolment, frames, answers, presence, kills."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hardware.virtual.processes import free_port, wait_until
from protocols.events.frames import (
    Answer,
    CentreState,
    EnrolmentRequest,
    PersonAnswer,
    PersonQuery,
    open_receipt,
)
from protocols.events.topics import CENTRE_GONE, centre_topic
from tests.server.chains import LI, NOTHING, Chain, line
from tests.server.conftest import DEADLINE_S, Mosquitto
from tests.server.mqtt import Party
from tests.server.test_answers import PERSON

ROOT = Path(__file__).parents[2]
DOOR = "from server.commands import app; app()"
LINES = [line("01", "150.00")]


class Site:
    """A directory with a configuration, and the commands a site would use."""

    def __init__(self, mosquitto: Mosquitto) -> None:
        self.broker = mosquitto
        self.directory = mosquitto.directory
        self.config = self.directory / "centre.toml"
        self.config.write_text(
            '[server]\nstore = "sqlite:///centre.db"\nkey = "receipt.key"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {mosquitto.port}\nuser = "centre"\n'
            'password_file = "centre.password"\npasswords = "passwords"\nacl = "acl"\n'
            'pid_file = "mosquitto.pid"\n'
        )
        self.process: subprocess.Popen[str] | None = None
        self.ready: dict[str, Any] = {}
        self._parties: list[Party] = []

    def ssc(self, *arguments: str, status: int = 0) -> Any:
        """`ssc server …`; what it prints, as JSON if it is."""
        command = [sys.executable, "-c", DOOR, "server", *arguments, "--config", str(self.config)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout + done.stderr

    def run(self, *doomed: str) -> None:
        """Start the server; with a step, one that is killed there."""
        command = [sys.executable, "-c", DOOR, "server", "run", "--config", str(self.config)]
        if doomed:
            command = [sys.executable, "tests/server/dying_server.py", str(self.config), *doomed]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        assert self.process is not None
        status = self.process.wait(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def enrol(self, terminal: str) -> Chain:
        facts = ("--terminal", terminal, "--institution", "H11010200001", "--name", "示范社区")
        code = self.ssc("terminal", "add", *facts, "--city", "110000", "--json")["code"]
        key = Ed25519PrivateKey.generate()
        request = EnrolmentRequest(code, key.public_key().public_bytes_raw().hex())
        answer = httpx.post(f"{self.ready['enrol']}/enrol", content=msgspec.json.encode(request))
        assert answer.status_code == 200
        return Chain(answer.content, key)

    def connect(self, chain: Chain) -> Party:
        """The terminal's connection, as soon as the broker knows its password."""
        party = self._party(chain)
        while party.reason != 0:
            party.close()
            party = self._party(chain)
        self._parties.append(party)
        for name in ("receipt", "answer"):
            party.subscribe(chain.topic(name))
        party.subscribe(centre_topic(chain.record.bucket))
        party.subscribe(CENTRE_GONE)
        return party

    def _party(self, chain: Chain) -> Party:
        return Party(self.broker.port, chain.terminal, chain.record.mqtt_password, chain.terminal)

    def close(self) -> None:
        for party in self._parties:
            party.close()
        if self.process is not None:
            self.end(signal.SIGKILL)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def site(mosquitto: Mosquitto) -> Iterator[Site]:
    site = Site(mosquitto)
    yield site
    site.close()


def receipts(party: Party, chain: Chain, count: int = 1) -> list[tuple[int, str]]:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(chain.record.receipt_key))
    opened = [open_receipt(key, payload) for payload in party.wait(chain.topic("receipt"), count)]
    return [(receipt.seq, receipt.hash) for receipt in opened]


def centre(party: Party, topic: str) -> list[CentreState]:
    return [msgspec.json.decode(payload, type=CentreState) for payload in party.wait(topic)]


def test_one_terminal_from_code_to_ledger(site: Site, tmp_path: Path) -> None:
    person = tmp_path / "li.toml"
    person.write_text(PERSON)
    assert site.ssc("people", "import", str(person), "--json") == {"imported": 1}
    site.ssc("broker-files")
    site.run()
    assert site.ready["ready"] is True
    chain = site.enrol("110102-0088")
    party = site.connect(chain)
    bucket = centre_topic(chain.record.bucket)
    assert centre(party, bucket)[0].state == "listening"

    party.publish(chain.topic("presence"), chain.birth(), retain=True)
    assert receipts(party, chain) == [(0, chain.start)]

    query = msgspec.json.encode(PersonQuery(LI.certno, LI.card_no, "11"))
    party.publish(chain.topic("query"), query, correlation=b"q1")
    (payload,) = party.wait(chain.topic("answer"))
    found = msgspec.json.decode(payload, type=Answer)
    assert isinstance(found, PersonAnswer)
    (message,) = [each for each in party.received if each.topic == chain.topic("answer")]
    assert message.properties.CorrelationData == b"q1"  # type: ignore[union-attr]

    chain.settle(LINES, found.accumulators, found.version)
    chain.refund(chain.events[0])
    party.publish(chain.topic("event"), chain.frame())
    assert receipts(party, chain, 2)[-1] == (2, chain.hash(2))

    health = httpx.get(f"{site.ready['web']}/health/ready")
    assert health.status_code == 200
    assert site.end() == 0
    gone = centre(party, bucket)[-1]
    assert gone.state == "gone"
    wait_until("gone for all", lambda: party.wait(CENTRE_GONE))

    ledger = site.ssc("ledger", "--json")
    assert [(event["id"], event["kind"], event["medfee_fen"]) for event in ledger["events"]] == [
        ("110102-0088/1/1", "settlement", 15000),
        ("110102-0088/1/2", "refund", -15000),
    ]
    assert ledger["balance_fen"] == 0
    assert ledger["chains"] == {"events": 2, "broken": []}
    (listed,) = site.ssc("terminal", "list", "--json")["terminals"]
    assert (listed["epoch"], listed["mark"]) == (1, 2)
    assert "110102-0088/1/1" in site.ssc("ledger")
    assert "110102-0088" in site.ssc("terminal", "list")


def test_each_connection_is_a_new_incarnation_and_a_dead_one_is_said_to_be_gone(site: Site) -> None:
    site.run()
    chain = site.enrol("T1")
    party = site.connect(chain)
    bucket = centre_topic(chain.record.bucket)
    first = centre(party, bucket)[-1]
    site.end(signal.SIGKILL)
    (gone,) = centre(party, CENTRE_GONE)
    assert (gone.state, gone.lease, gone.incarnation) == ("gone", first.lease, first.incarnation)
    site.run()
    wait_until("the next centre", lambda: centre(party, bucket)[-1].incarnation != first.incarnation)
    second = centre(party, bucket)[-1]
    assert second.state == "listening"
    assert second.lease > first.lease
    party.publish(chain.topic("presence"), chain.birth(), retain=True)
    assert receipts(party, chain) == [(0, chain.start)]


def test_broker_that_forgets_everything_is_told_again(site: Site) -> None:
    site.run()
    chain = site.enrol("T1")
    site.connect(chain).close()
    site.broker.stop()
    site.broker.start()
    party = site.connect(chain)
    assert centre(party, centre_topic(chain.record.bucket))[-1].state == "listening"
    party.publish(chain.topic("presence"), chain.birth(), retain=True)
    assert receipts(party, chain)[0] == (0, chain.start)


def test_broker_may_come_after_the_server(site: Site) -> None:
    site.broker.stop()
    site.run()
    assert httpx.get(f"{site.ready['web']}/health/ready").status_code == 503
    site.broker.start()
    wait_until("broker found", lambda: httpx.get(f"{site.ready['web']}/health/ready").status_code == 200)
    assert site.end(signal.SIGINT) == 0


def test_questions_overtake_a_backlog_that_cannot_be_booked(site: Site) -> None:
    site.run()
    chain = site.enrol("T1")
    party = site.connect(chain)
    for _ in range(600):
        chain.refuse()
    blocker = sqlite3.connect(site.directory / "centre.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for seq in range(1, 601):
        party.publish(chain.topic("event"), chain.frame(seq, seq))
    party.publish(chain.topic("query"), b"{}", correlation=b"q")
    party.wait(chain.topic("answer"))
    assert chain.topic("receipt") not in party.topics()
    blocker.execute("ROLLBACK")
    blocker.close()
    wait_until("the backlog is booked", lambda: receipts(party, chain)[-1][0] == 600)


def test_questions_that_the_broker_keeps_are_not_asked_again(site: Site) -> None:
    site.run()
    chain = site.enrol("T1")
    party = site.connect(chain)
    site.end()
    for name in ("key", "query"):
        party.publish(chain.topic(name), b"{}", retain=True, correlation=b"kept")
    site.run()
    party.wait(centre_topic(chain.record.bucket), 2)
    wait_until("the centre listens", lambda: httpx.get(f"{site.ready['web']}/health/ready").status_code == 200)
    for name in ("key", "query"):
        party.publish(chain.topic(name), b"{}", correlation=b"asked")
    party.wait(chain.topic("answer"), 2)
    answers = [each for each in party.received if each.topic == chain.topic("answer")]
    assert [each.properties.CorrelationData for each in answers] == [b"asked"] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize("step", ["inbox.mark_written", "inbox.committed", "inbox.acknowledged"])
def test_killed_in_the_middle(site: Site, step: str) -> None:
    site.run(step)
    chain = site.enrol("T1")
    party = site.connect(chain)
    for _ in range(3):
        chain.settle(LINES, NOTHING, 0, mode="provisional")
    party.publish(chain.topic("event"), chain.frame())
    assert site.ended() == -signal.SIGKILL
    assert chain.topic("receipt") not in party.topics()
    site.run()
    party.wait(centre_topic(chain.record.bucket), 2)
    party.publish(chain.topic("event"), chain.frame())
    assert receipts(party, chain)[-1] == (3, chain.hash(3))
    site.end()
    ledger = site.ssc("ledger", "--json")
    assert [event["id"] for event in ledger["events"]] == [event.id for event in chain.events]
    assert ledger["balance_fen"] == 0


def test_second_server_on_the_same_ledger_ends_the_first(site: Site) -> None:
    site.run()
    chain = site.enrol("T1")
    first, site.process = site.process, None
    assert first is not None
    site.run()
    assert first.wait(DEADLINE_S) == 2
    assert first.stdout is not None
    first.stdout.close()
    party = site.connect(chain)
    wait_until("the second listens", lambda: httpx.get(f"{site.ready['web']}/health/ready").status_code == 200)
    chain.refuse()
    party.publish(chain.topic("event"), chain.frame())
    assert receipts(party, chain)[-1] == (1, chain.hash(1))


def test_errors_at_the_edge(site: Site) -> None:
    facts = ("--institution", "H11010200001", "--name", "x", "--city", "110000")
    words = site.ssc("terminal", "add", "--terminal", "centre", *facts, status=2)
    assert "C-054" in words
    found = site.ssc("terminal", "add", "--terminal", "centre", *facts, "--json", status=2)
    assert found["error"]["number"] == "C-054"
    assert "centre" in found["error"]["zh"]["what"]
    nowhere = (*facts[:-1], "650100", "--json")
    found = site.ssc("terminal", "add", "--terminal", "T-1", *nowhere, status=2)
    assert found["error"]["number"] == "C-059"
    assert "110000" in found["error"]["zh"]["what"]
    site.config.write_text("[server]\n")
    assert "C-050" in site.ssc("ledger", status=2)
    assert "C-050" in site.ssc("run", status=2)


def test_port_that_is_taken(site: Site) -> None:
    port = free_port()
    site.config.write_text(site.config.read_text() + f"[web]\nport = {port}\n[enrol]\nport = {port}\n")
    assert "C-056" in site.ssc("run", status=2)
