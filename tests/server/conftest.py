"""A centre in this process without a broker, and a private mosquitto with its files."""

import os
import queue
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hardware.virtual.processes import free_port, wait_until
from protocols.events.clock import SHANGHAI
from protocols.events.frames import Broker, EnrolmentRequest, Receipt, open_receipt
from protocols.events.steps import OnStep, pass_by
from server.config import BrokerPart, Config, ServerPart
from server.inbox.inbox import Inbox
from server.inbox.message import Message
from server.run import renew_broker_files
from server.store.store import Store, millis
from server.terminals.registry import Enrolment, Role, add_terminal, enrol
from tests.needs import need
from tests.server.chains import Chain

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=SHANGHAI)
DEADLINE_S = 20


class Desk:
    """The outbound side of an inbox: what was acknowledged and sent, in order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int | str]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.acknowledged: queue.Queue[int] = queue.Queue()

    def acknowledge(self, message: Message) -> None:
        self.log.append(("ack", message.mid))
        self.acknowledged.put(message.mid)

    def publish(self, topic: str, payload: bytes) -> None:
        self.log.append(("receipt", topic))
        self.sent.append((topic, payload))


class Bench:
    """A store with an inbox on it; `take` hands messages over and returns the receipts they brought."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = NOW
        self.receipt_key = Ed25519PrivateKey.generate()
        self.store = Store.open(url)
        self.desk = Desk()
        self.failures: list[Exception] = []
        self._mid = 0
        self._inbox: Inbox | None = None

    def open(self, on_step: OnStep = pass_by) -> Inbox:
        """An inbox with a lease of its own."""
        self._inbox = Inbox(
            self.store,
            self.receipt_key,
            self.desk,
            lease=self.store.take_lease(),
            now=lambda: self.now,
            on_step=on_step,
            on_failure=self.failures.append,
        )
        self._inbox.start()
        return self._inbox

    def note(self, terminal: str, *, institution: str = "H11010200001", role: Role = "counter") -> str:
        """Add a terminal, again if need be; its one-time code."""
        with self.store.write() as connection:
            return add_terminal(
                connection,
                terminal,
                fixmedins_code=institution,
                fixmedins_name="示范社区",
                city="110000",
                role=role,
                random=os.urandom,
                now_ms=millis(self.now),
            )

    def enrol(self, terminal: str, *, institution: str = "H11010200001", role: Role = "counter") -> Chain:
        """Enrol a terminal, again if need be; its journal of the new epoch."""
        key = Ed25519PrivateKey.generate()
        facts = Enrolment(
            self.receipt_key.public_key().public_bytes_raw().hex(), (Broker("127.0.0.1", 1883),), os.urandom
        )
        code = self.note(terminal, institution=institution, role=role)
        with self.store.write() as connection:
            request = EnrolmentRequest(code, key.public_key().public_bytes_raw().hex())
            return Chain(enrol(connection, request, facts, millis(self.now)), key)

    def put(self, topic: str, payload: bytes, *, retained: bool = False) -> int:
        """Hand a message over without waiting; its packet id."""
        inbox = self._inbox or self.open()
        self._mid += 1
        inbox.put(Message(topic, payload, retained, 1, self._mid))
        return self._mid

    def take(self, topic: str, *payloads: bytes, retained: bool = False) -> list[Receipt]:
        """Hand messages over one after the other, each acknowledged before the next."""
        before = len(self.desk.sent)
        for payload in payloads:
            mid = self.put(topic, payload, retained=retained)
            assert self.desk.acknowledged.get(timeout=DEADLINE_S) == mid
        self.settle()
        return [open_receipt(self.receipt_key.public_key(), sent) for _, sent in self.desk.sent[before:]]

    def settle(self) -> None:
        """Let the receipts of what was acknowledged go out: a stopped inbox has sent them."""
        if self._inbox is not None:
            self._inbox.stop()
            self._inbox = None

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def close(self) -> None:
        self.settle()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(f"sqlite:///{tmp_path}/centre.db")
    yield bench
    bench.close()


class Mosquitto:
    """A private broker in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.config = Config(
            ServerPart(f"sqlite:///{directory}/centre.db", str(directory / "receipt.key")),
            BrokerPart(
                "127.0.0.1",
                self.port,
                "centre",
                str(directory / "centre.password"),
                str(directory / "passwords"),
                str(directory / "acl"),
                str(directory / "mosquitto.pid"),
            ),
        )
        (directory / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous false\n"
            "message_size_limit 4194304\n"
            "user root\n"
            f"acl_file {directory}/acl\n"
            f"password_file {directory}/passwords\n"
            f"pid_file {directory}/mosquitto.pid\n"
        )

    def start(self) -> None:
        store = Store.open(self.config.server.store)
        renew_broker_files(self.config, store)
        store.close()
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with (self.directory / "mosquitto.log").open("ab") as log:
            command = [program, "-c", str(self.directory / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until("mosquitto listens", self._listens)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(DEADLINE_S)
            self.process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    need(None if shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists() else "mosquitto is not installed")
    directory = tmp_path / "broker"
    directory.mkdir()
    broker = Mosquitto(directory)
    broker.start()
    yield broker
    broker.stop()
