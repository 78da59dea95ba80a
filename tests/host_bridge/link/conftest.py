from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from host_bridge.clock import SystemClock
from host_bridge.journal.journal import Journal
from host_bridge.link.link import Link
from protocols.events.frames import Broker
from protocols.events.steps import OnStep, pass_by
from tests.host_bridge.journal.samples import Desk
from tests.host_bridge.link.broker import Centre, Mosquitto


class Site:
    """A terminal with its journal, a broker, and a centre when asked for."""

    def __init__(self, directory: Path, cleanup: ExitStack) -> None:
        self._cleanup = cleanup
        self._directory = directory
        self.broker = self.add_broker()
        self.changes = 0
        self._links = 0
        self.brokers: tuple[Broker, ...] = (Broker("127.0.0.1", self.broker.port),)

    def add_broker(self, passwords: dict[str, str] | None = None) -> Mosquitto:
        broker = Mosquitto(self._directory, passwords)
        self._cleanup.callback(broker.kill)
        return broker

    def add_desk(self) -> tuple[Desk, Journal]:
        self.desk = Desk(self._directory, brokers=self.brokers)
        self._cleanup.callback(self.desk.close)
        return self.desk, self.desk.create()

    def add_centre(self, broker: Mosquitto | None = None) -> Centre:
        port = (broker or self.broker).port
        centre = Centre(self.desk.record, self.desk.key.public_key(), self.desk.receipt_key, port)
        self._cleanup.callback(centre.close)
        assert centre.alive.wait(10)
        return centre

    def add_link(self, journal: Journal, on_step: OnStep = pass_by) -> Link:
        def on_change() -> None:
            self.changes += 1

        self._links += 1
        link = Link(
            journal,
            journal.record,
            clock=SystemClock("always"),
            random=Random(self._links),
            on_change=on_change,
            on_step=on_step,
        )
        self._cleanup.callback(link.stop)
        link.start()
        return link


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as cleanup:
        yield Site(tmp_path, cleanup)
