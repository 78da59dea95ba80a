"""The centre as one process: store, receiver, inbox, answers, enrolment and pages."""

import logging
import os
import signal
import threading
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.events.steps import OnStep, pass_by
from server.answers.answers import Answers
from server.clock import SystemClock
from server.config import Config
from server.errors import CentreError, ConfigWrong, LeaseLost
from server.hosting import Host
from server.inbox.inbox import Inbox
from server.inbox.message import Message
from server.inbox.relay import Question, Relay
from server.keys.roots import Roots
from server.keys.service import KeyService
from server.store.store import Store, check_lease
from server.terminals.broker_files import centre_password, replace_file, write_broker_files
from server.terminals.enrol import EnrolmentDesk
from server.terminals.registry import Enrolment, buckets, passwords
from server.web.app import create_app

_LOG = logging.getLogger(__name__)


class Ready(msgspec.Struct, frozen=True):
    """The line printed once both listeners take connections."""

    ready: bool
    web: str
    enrol: str


def receipt_key(path: Path) -> Ed25519PrivateKey:
    """The centre's receipt key; made, readable by its owner only, when missing."""
    if not path.exists():
        replace_file(path, Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except ValueError as error:
        raise ConfigWrong("config_unreadable", path=str(path), field="receipt key") from error


def open_store(config: Config) -> Store:
    """The configured store at its newest revision."""
    return Store.open(config.server.store)


def renew_broker_files(config: Config, store: Store) -> None:
    """Rights and passwords as enrolled now; a running broker is told."""
    with store.read() as connection:
        known = passwords(connection)
    write_broker_files(config.broker, known)


def roots(config: Config) -> Roots | None:
    """The configured home of the root keys, not yet opened."""
    if config.keys is None:
        return None
    try:
        from server.keys.token import Token  # noqa: PLC0415 - an extra of its own
    except ImportError as error:
        raise CentreError("key_token_unusable", reason=str(error)) from error
    return Token(config.keys)


class Centre:
    """Every part of the server, wired; `finished` is set when it has to end, by itself after a `failure`."""

    def __init__(self, config: Config, on_step: OnStep) -> None:
        self.finished = threading.Event()
        self.failure: Exception | None = None
        self._files = threading.Lock()
        clock = SystemClock()
        self._config = config
        self._store = open_store(config)
        self._key = receipt_key(Path(config.server.key))
        desk = EnrolmentDesk(
            self._store,
            Enrolment(self._key.public_key().public_bytes_raw().hex(), config.brokers(), os.urandom),
            now=clock.wall,
            enrolled=self._enrolled,
        )
        self._enrol = Host(desk.app(), config.enrol, "enrol")
        self._pages = create_app(self._store, clock, connected=lambda: self._relay.listening)
        self._web = Host(self._pages, config.web, "web", on_stop=self._end_streams)
        # Both ports are ours now: only then may another centre be ended.
        self._lease = self._store.take_lease()
        self._relay = Relay(
            config.broker.host,
            config.broker.port,
            centre_password(config.broker),
            lease=self._lease,
            now=clock.wall,
            random=os.urandom,
            buckets=self._buckets,
            deliver=self._deliver,
            ask=self._ask,
        )
        self._inbox = Inbox(
            self._store,
            self._key,
            self._relay,
            lease=self._lease,
            now=clock.wall,
            on_step=on_step,
            on_failure=self._fail,
        )
        self._answers = Answers(self._store, self._relay.publish, now=clock.wall)
        self._keys = KeyService(self._store, roots(config), self._relay.publish, now=clock.wall)

    def start(self) -> Ready:
        """Start every part; the broker may come later."""
        renew_broker_files(self._config, self._store)
        self._inbox.start()
        self._answers.start()
        self._keys.start()
        self._relay.start()
        self._enrol.start()
        self._web.start()
        return Ready(ready=True, web=self._web.url, enrol=self._enrol.url)

    def stop(self) -> None:
        """Take no more, say goodbye, close."""
        self._enrol.stop()
        self._web.stop()
        self._inbox.stop()
        self._answers.stop()
        self._keys.stop()
        self._relay.stop()
        self._store.close()

    def _buckets(self) -> tuple[int, ...]:
        """Where this centre may say that it listens: nowhere once another took over, which ends it."""
        with self._store.read() as connection:
            try:
                check_lease(connection, self._lease)
            except LeaseLost as lost:
                self._fail(lost)
                return ()
            return buckets(connection)

    def _deliver(self, message: Message) -> None:
        self._inbox.put(message)

    def _ask(self, question: Question) -> None:
        (self._keys if question.topic.endswith("/key") else self._answers).ask(question)

    def _enrolled(self) -> None:
        try:
            with self._files:
                renew_broker_files(self._config, self._store)
        except OSError as error:
            _LOG.error(
                "broker files not written (%s): new terminals cannot connect before the next start", error.strerror
            )
        self._relay.announce()

    def _end_streams(self) -> None:
        self._pages.state.live.close()

    def _fail(self, failure: Exception) -> None:
        self.failure = failure
        self.finished.set()


def run_server(config: Config, on_step: OnStep = pass_by) -> None:
    """Run until SIGTERM or SIGINT; prints one JSON line when everything listens. `LeaseLost` at takeover."""
    centre = Centre(config, on_step)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: centre.finished.set())
    ready = centre.start()
    print(msgspec.json.encode(ready).decode(), flush=True)
    centre.finished.wait()
    centre.stop()
    if centre.failure is not None:
        raise centre.failure
