"""The link to the centre: journal events up, receipts down, questions and answers, presence (design 7)."""

import logging
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from random import Random
from threading import Event, Lock, Thread
from typing import Any, Generic, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from host_bridge.journal.errors import JournalError, JournalRolledBack
from host_bridge.journal.journal import Journal
from host_bridge.link.backoff import Backoff
from host_bridge.link.centre import CentreStatus, CentreWatch
from host_bridge.link.connection import Arrived, Connected, Connection, Ended, Happening, Will
from host_bridge.link.presence import Described, PresenceNews
from host_bridge.link.publisher import RESEND_MS, Publisher
from protocols.events.clock import Clock, rfc3339
from protocols.events.frames import (
    Answer,
    CentreState,
    EnrolmentRecord,
    Entry,
    Frame,
    Presence,
    Query,
    open_receipt,
)
from protocols.events.keys import KeyAnswer, KeyStep
from protocols.events.steps import OnStep, pass_by
from protocols.events.topics import CENTRE_GONE, centre_topic, topic

WATCH_MS = 1_000
"""How late the end of `listening` may be noticed by `on_change`; `centre` itself is exact."""

_LOG = logging.getLogger(__name__)
_ANSWER = msgspec.json.Decoder(Answer)
_KEY_ANSWER = msgspec.json.Decoder(KeyAnswer)
_Found = TypeVar("_Found", bound=Answer | KeyAnswer)


class _Asked(Generic[_Found]):
    def __init__(self, decoder: msgspec.json.Decoder[_Found]) -> None:
        self.over = Event()
        self.answer: _Found | None = None
        self._decoder = decoder

    def take(self, payload: bytes) -> None:
        """The answer has come; `MsgspecError` where it is none to this question."""
        self.answer = self._decoder.decode(payload)
        self.over.set()


class Link:
    """Never blocks whoever calls it, but for `ask`, which waits as long as it is told, and `stop`.

    `on_change` is called, from the link's thread, whenever `centre` or the journal's mark has changed.
    """

    def __init__(
        self,
        journal: Journal,
        record: EnrolmentRecord,
        *,
        clock: Clock,
        random: Random,
        on_change: Callable[[], None],
        on_step: OnStep = pass_by,
    ) -> None:
        self._journal = journal
        self._record = record
        self._clock = clock
        self._random = random
        self._on_change = on_change
        self._on_step = on_step
        self._receipt_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record.receipt_key))
        self._happenings: SimpleQueue[tuple[Connection, Happening] | None] = SimpleQueue()
        self._worker = Thread(target=self._work, name="link", daemon=True)
        self._stopping = False
        self._lock = Lock()
        self._watch = CentreWatch()
        self._publisher = Publisher(journal.mark.seq, random)
        self._backoff = Backoff(random, len(record.brokers))
        self._news = PresenceNews()
        self._described = Described()
        self._connection: Connection | None = None
        self._incarnation = ""
        self._connected = False
        self._connected_ms = 0
        self._connect_ms = 0
        self._journal_ms = 0
        self._trouble: str | None = None
        self._asked: dict[bytes, _Asked[Any]] = {}
        self._round_trip_ms: int | None = None
        self._told: object = None
        self.bad_receipts = 0
        """Receipts that were malformed, not signed by the centre, or had no time."""
        self.dropped_answers = 0
        """Answers that were malformed, or to no open question."""
        self.faults = 0
        """Unexpected errors that the worker survived by connecting anew."""

    @property
    def centre(self) -> CentreStatus:
        """Whether anybody answers, now."""
        with self._lock:
            listening = self._connected and self._watch.listening(self._clock.monotonic_ms())
            return CentreStatus(listening, self._round_trip_ms, self._connected, self._trouble)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._worker.start()

    def stop(self) -> None:
        """Say goodbye and end all threads."""
        self._stopping = True
        if self._worker.is_alive():
            self._happenings.put(None)
            self._worker.join()

    def wake(self) -> None:
        """The journal has a new event."""
        self._happenings.put(None)

    def describe(self, described: Described) -> None:
        """What presence says from now on."""
        self._described = described
        self._happenings.put(None)

    def ask(self, query: Query, timeout_s: float) -> Answer | None:
        """A question to the centre; None where no answer came in time, or it is away."""
        return self._ask("query", query, _ANSWER, timeout_s)

    def ask_key(self, step: KeyStep, timeout_s: float) -> KeyAnswer | None:
        """A step for the centre's key service; None as `ask`."""
        return self._ask("key", step, _KEY_ANSWER, timeout_s)

    def _ask(
        self, name: str, question: Query | KeyStep, decoder: msgspec.json.Decoder[_Found], timeout_s: float
    ) -> _Found | None:
        connection = self._connection
        if connection is None or not self.centre.listening:
            return None
        asked, correlation = _Asked(decoder), self._random.randbytes(16)
        sent_ms = self._clock.monotonic_ms()
        self._asked[correlation] = asked
        try:
            connection.ask(
                self._topic(name),
                msgspec.json.encode(question),
                answer_to=self._topic("answer"),
                correlation=correlation,
                expiry_s=max(1, round(timeout_s)),
            )
            asked.over.wait(timeout_s)
        finally:
            del self._asked[correlation]
        if asked.answer is not None:
            with self._lock:
                self._round_trip_ms = self._clock.monotonic_ms() - sent_ms
        return asked.answer

    def _work(self) -> None:
        while not self._stopping:
            try:
                item = self._happenings.get(timeout=self._wait_ms() / 1000)
            except Empty:
                item = None
            if item is not None and item[0] is self._connection:
                self._survive(partial(self._handle, item[1]))
            for part in (self._connect, self._say_presence, self._send, self._tell):
                self._survive(part)
        if self._connection is not None:
            self._connection.close()
            self._lost("link_no_broker")

    def _wait_ms(self) -> int:
        now_ms = self._clock.monotonic_ms()
        times = [now_ms + WATCH_MS]
        if self._connection is None:
            times.append(self._connect_ms)
        elif self._may_read(now_ms):
            times += [self._news.due_ms, self._publisher.next_ms() or times[0]]
        return max(0, min(times) - now_ms)

    def _survive(self, part: Callable[[], None]) -> None:
        try:
            part()
        except JournalError as error:
            # the journal tells the counter itself; questions go on, events are tried again later
            _LOG.error("%s", error)
            self._journal_ms = self._clock.monotonic_ms() + RESEND_MS
        except Exception as error:
            self.faults += 1
            _LOG.error("link: %s", type(error).__name__)
            if self._connection is not None:
                self._connection.close()
                self._lost("link_no_broker")

    def _handle(self, happening: Happening) -> None:
        match happening:
            case Connected():
                self._connected_ms = self._clock.monotonic_ms()
                with self._lock:
                    self._connected, self._trouble = True, None
                    self._watch.connected()
                self._news.forget()
                self._publisher.restart()
            case Ended():
                self._lost(happening.trouble)
            case Arrived() if happening.topic == self._topic("receipt"):
                self._receipt(happening.payload)
            case Arrived() if happening.topic == self._topic("answer"):
                self._answer(happening)
            case Arrived():
                self._heartbeat(happening)

    def _tell(self) -> None:
        told = (self.centre, self._journal.stopped, self._publisher.mark)
        if told != self._told:
            self._told = told
            self._on_change()

    def _connect(self) -> None:
        if self._connection is not None or self._clock.monotonic_ms() < self._connect_ms:
            return
        self._incarnation = self._random.randbytes(8).hex()
        death = Presence(state="death", incarnation=self._incarnation, epoch=self._record.epoch)
        connection = Connection(
            self._record.brokers[self._backoff.broker],
            user=self._record.terminal,
            password=self._record.mqtt_password,
            subscriptions=(
                self._topic("receipt"),
                self._topic("answer"),
                centre_topic(self._record.bucket),
                CENTRE_GONE,
            ),
            will=Will(self._topic("presence"), msgspec.json.encode(death)),
            notify=lambda connection, happening: self._happenings.put((connection, happening)),
        )
        self._connection = connection
        connection.start()

    def _lost(self, trouble: str) -> None:
        now_ms = self._clock.monotonic_ms()
        held_ms = now_ms - self._connected_ms if self._connected else None
        self._connect_ms = now_ms + self._backoff.ended(trouble, held_ms)
        with self._lock:
            self._connection, self._connected, self._trouble = None, False, self._backoff.trouble
        for asked in list(self._asked.values()):
            asked.over.set()

    def _send(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if not self._may_read(now_ms) or isinstance(self._journal.stopped, JournalRolledBack):
            return
        for first, last in self._publisher.due(self._journal.end, now_ms):
            events = self._journal.after(first - 1, last - first + 1)
            frame = Frame(
                terminal=self._record.terminal,
                epoch=self._record.epoch,
                entries=tuple(Entry(msgspec.Raw(event.data), event.person) for event in events),
                signature=events[-1].signature,
            )
            self._publish("event", msgspec.json.encode(frame))
            self._on_step("terminal.frame_sent")

    def _say_presence(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if not self._may_read(now_ms):
            return
        backlog = self._journal.backlog()
        described = self._described
        presence = Presence(
            state="birth",
            incarnation=self._incarnation,
            epoch=self._record.epoch,
            end=self._journal.end,
            mark=self._journal.mark.seq,
            oldest=rfc3339(backlog.oldest_time) if backlog.oldest_time else None,
            software=described.software,
            profile=described.profile,
            catalogue=described.catalogue,
            reader=described.reader,
            counter=described.counter,
        )
        if self._news.worth(presence, now_ms):
            timed = msgspec.structs.replace(presence, time=rfc3339(self._journal.now()))
            self._publish("presence", msgspec.json.encode(timed), retain=True)

    def _may_read(self, now_ms: int) -> bool:
        return self._connected and now_ms >= self._journal_ms

    def _receipt(self, payload: bytes) -> None:
        try:
            receipt = open_receipt(self._receipt_key, payload)
            self._on_step("terminal.receipt_arrived")
            missing = self._journal.apply_receipt(receipt)
        except ValueError:
            self.bad_receipts += 1
            return
        mark = min([self._journal.mark.seq, *(first - 1 for first, _ in missing)])
        self._publisher.lost(mark)
        self._publisher.receipt(mark, missing, self._clock.monotonic_ms())

    def _answer(self, arrived: Arrived) -> None:
        asked = self._asked.get(arrived.correlation)
        if asked is None:
            self.dropped_answers += 1
            return
        try:
            asked.take(arrived.payload)
        except msgspec.MsgspecError:
            self.dropped_answers += 1

    def _heartbeat(self, arrived: Arrived) -> None:
        try:
            state = msgspec.json.decode(arrived.payload, type=CentreState)
        except msgspec.MsgspecError:
            return
        with self._lock:
            if arrived.topic == CENTRE_GONE:
                self._watch.gone(state)
                return
            birth = self._watch.heard(state, retained=arrived.retained, now_ms=self._clock.monotonic_ms())
        if birth and not arrived.retained:
            self._publisher.restart()

    def _publish(self, name: str, payload: bytes, *, retain: bool = False) -> None:
        if self._connection is not None:
            self._connection.publish(self._topic(name), payload, retain=retain)

    def _topic(self, name: str) -> str:
        return topic(self._record.terminal, name)
