"""The terminal as it runs at a counter: journal, link, reader, printer, visit and clerk page, wired together."""

import signal
import threading
from collections.abc import Callable
from importlib.metadata import version
from random import SystemRandom
from typing import Any

import msgspec

from host_bridge.clock import SystemClock
from host_bridge.config import Config, ConfigError
from host_bridge.counter.counter import Counter
from host_bridge.counter.records import new_salt
from host_bridge.counter.view import CounterView
from host_bridge.enrol import open_journal
from host_bridge.link.link import Link
from host_bridge.link.presence import Described
from host_bridge.printer.driver import open_printer
from host_bridge.readers.addresses import open_reader
from host_bridge.security import open_security_module
from host_bridge.web.app import create_app
from host_bridge.web.serve import WebServer
from protocols.events.steps import OnStep, pass_by
from protocols.settlement.catalogue import load_catalogue
from protocols.settlement.profile import load_city


class Terminal:
    """All parts of a running terminal; `stop` leaves nothing behind."""

    def __init__(self, config: Config, on_step: OnStep = pass_by) -> None:
        """Errors of the parts pass through: configuration, journal, address, profile."""
        self._config = config
        clock = SystemClock(config.clock.trusted)
        self.journal = open_journal(config.terminal.state, clock, on_step)
        record = self.journal.record
        city = load_city(record.city, self.journal.now().date(), simulated=config.terminal.simulated)
        catalogue = load_catalogue()
        self._reader = open_reader(config.terminal.reader)
        self.link = Link(
            self.journal, record, clock=clock, random=SystemRandom(), on_change=self._changed, on_step=on_step
        )
        self._security = open_security_module(config.terminal.security, self.link.ask_key)
        self.counter = Counter(
            reader=self._reader,
            city=city,
            catalogue=catalogue,
            journal=self.journal,
            link=self.link,
            printer=open_printer(config.terminal.printer),
            clock=clock,
            clerk=config.terminal.clerk,
            salt=new_salt,
            on_step=on_step,
            security=self._security,
        )
        self._described = Described(
            software=version("ssc-terminal"), profile=city.versions_name, catalogue=catalogue.version
        )
        self._told: Described | None = None
        self._web = WebServer(create_app(self.counter), config.web.host, config.web.port)

    def start(self) -> str:
        """Everything runs; the address of the clerk page."""
        self._describe(self.counter.view())
        self.counter.subscribe(self._describe)
        self.link.start()
        self.counter.start()
        self._web.start()
        return self._web.url

    def stop(self) -> None:
        """Page first, journal last."""
        self._web.stop()
        self.counter.stop()
        self.link.stop()
        self._reader.close()
        if self._security is not None:
            self._security.close()
        self.journal.close()

    def _describe(self, view: CounterView) -> None:
        stage = "stopped" if view.stage == "stopped" else ""
        described = msgspec.structs.replace(self._described, reader=view.reader.state, counter=stage)
        if described != self._told:
            self._told = described
            self.link.describe(described)

    def _changed(self) -> None:
        self.counter.changed()


def run_terminal(config: Config, ready: Callable[[str], Any], on_step: OnStep = pass_by) -> None:
    """Run until SIGTERM or SIGINT; `ready` is told the address of the clerk page. `ConfigError`, or the parts' own."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        terminal = Terminal(config, on_step)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(str(error)) from error
    try:
        ready(terminal.start())
        ended.wait()
    finally:
        terminal.stop()
