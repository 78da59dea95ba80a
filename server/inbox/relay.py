"""The centre's receiver: one paho client, its subscriptions, acknowledgements and its word that it listens.

Clean start, session expiry 0: what matters is in the ledger, or retained and published again after every
connect (design 7). Questions are subscribed at QoS 0: at QoS 1 they would wait behind the frames not yet
acknowledged.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from sqlalchemy.exc import SQLAlchemyError

from protocols.events.clock import rfc3339
from protocols.events.frames import CentreState
from protocols.events.topics import CENTRE, CENTRE_GONE, ROOT, centre_topic
from server.inbox.message import Message

RECEIVE_MAXIMUM = 500
QUEUED = 10_000
KEEPALIVE_S = 20
BEAT_S = 5.0
GOODBYE_S = 2.0
LONGEST_WAIT_S = 5
SUBSCRIPTIONS = (("event", 1), ("presence", 1), ("query", 0), ("key", 0))
QUESTIONS = ("/query", "/key")

log = logging.getLogger(__name__)


class Question(NamedTuple):
    """A query, or a step for the key service, with the correlation data its answer must carry."""

    topic: str
    payload: bytes
    correlation: bytes | None


class Relay:
    """The connection to the broker; reconnects by itself and is a new incarnation each time.

    `deliver` and `ask` are called on the network thread and must not block; `buckets` says where terminals are.
    """

    def __init__(
        self,
        host: str,
        port: int,
        password: str,
        *,
        lease: int,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        buckets: Callable[[], Sequence[int]],
        deliver: Callable[[Message], None],
        ask: Callable[[Question], None],
    ) -> None:
        self._host = host
        self._port = port
        self._lease = lease
        self._now = now
        self._random = random
        self._buckets = buckets
        self._deliver = deliver
        self._ask = ask
        self._lock = threading.Lock()
        self._generation = 0
        self._incarnation = ""
        self._listening = threading.Event()
        self._beat_now = threading.Event()
        self._stopping = threading.Event()
        self._beats = threading.Thread(target=self._beat, name="centre-state", daemon=True)
        self._client = self._new_client(password)

    def start(self) -> None:
        """Connect, now or as soon as there is a broker."""
        self._client.connect_async(
            self._host,
            self._port,
            keepalive=KEEPALIVE_S,
            clean_start=True,
            properties=_connect_properties(),
        )
        self._client.loop_start()
        self._beats.start()

    def stop(self) -> None:
        """Say that the centre is gone, and leave."""
        self._stopping.set()
        self._beat_now.set()
        self._beats.join()
        if self._listening.is_set():
            self._say("gone")
        self._client.disable_logger()
        self._client.disconnect()
        self._client.loop_stop()

    def acknowledge(self, message: Message) -> None:
        """Free the packet id, unless the message came on an older connection."""
        with self._lock:
            if message.mid and message.generation == self._generation:
                self._client.ack(message.mid, 1)

    def publish(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None:
        """Send at QoS 1 if there is a connection; what is lost will be asked for again."""
        if not self._listening.is_set():
            return
        properties = None
        if correlation is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        self._client.publish(topic, payload, qos=1, properties=properties)

    def announce(self) -> None:
        """Say soon that the centre listens, for a bucket that is new."""
        self._beat_now.set()

    @property
    def listening(self) -> bool:
        """Whether the broker has confirmed the subscriptions of the current connection."""
        return self._listening.is_set()

    def _new_client(self, password: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=CENTRE,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.username_pw_set(CENTRE, password)
        client.reconnect_delay_set(1, LONGEST_WAIT_S)
        client.max_queued_messages = QUEUED
        client.suppress_exceptions = True
        client.enable_logger(log)
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_pre_connect(self, client: Client, _userdata: Any) -> None:
        with self._lock:
            self._generation += 1
            self._incarnation = self._random(8).hex()
        client.will_set(CENTRE_GONE, self._state("gone"), qos=1, retain=True)

    def _on_connect(
        self,
        client: Client,
        _userdata: Any,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            log.error("broker refused the centre: %s", reason)
            return
        client.subscribe([(f"{ROOT}/+/+/{name}", SubscribeOptions(qos=qos)) for name, qos in SUBSCRIPTIONS])

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: Any,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            log.error("broker refused a subscription: %s", [str(reason) for reason in reasons])
            return
        self._listening.set()
        self._beat_now.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._listening.clear()

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if message.topic.endswith(QUESTIONS):
            if message.retain:  # kept by the broker: asked before we came, and again at every start
                return
            correlation = getattr(message.properties, "CorrelationData", None)
            self._ask(Question(message.topic, bytes(message.payload), correlation))
            return
        self._deliver(Message(message.topic, bytes(message.payload), message.retain, self._generation, message.mid))

    def _beat(self) -> None:
        while not self._stopping.is_set():
            self._beat_now.wait(BEAT_S)
            self._beat_now.clear()
            if self._listening.is_set() and not self._stopping.is_set():
                self._say("listening")

    def _say(self, state: Literal["listening", "gone"]) -> None:
        payload = self._state(state)
        try:
            topics = [centre_topic(number) for number in self._buckets()]
        except SQLAlchemyError as error:
            log.error("buckets not known (%s)", type(error).__name__)
            return
        if state == "gone":
            topics.append(CENTRE_GONE)
        said = [self._client.publish(topic, payload, qos=1, retain=True) for topic in topics]
        if state == "gone":
            with suppress(ValueError, RuntimeError):
                said[-1].wait_for_publish(GOODBYE_S)

    def _state(self, state: Literal["listening", "gone"]) -> bytes:
        time = rfc3339(self._now()) if state == "listening" else None
        return msgspec.json.encode(
            CentreState(state=state, lease=self._lease, incarnation=self._incarnation, time=time)
        )


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return properties
