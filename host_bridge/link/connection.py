"""One MQTT connection from CONNECT to its end; a lost one is thrown away with all that paho still holds."""

from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from protocols.events.frames import Broker

KEEPALIVE_S = 15
CONNECT_S = 5
GOODBYE_S = 1.0

_TAKEN_OVER = 0x8E
_REFUSED = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})
"""CONNACK: protocol version, client id, user or password, not authorised, banned, bad method."""


class Connected(msgspec.Struct, frozen=True):
    """The broker accepted us and has our subscriptions."""


class Arrived(msgspec.Struct, frozen=True):
    topic: str
    payload: bytes
    retained: bool
    correlation: bytes


class Ended(msgspec.Struct, frozen=True):
    """The connection is over; `trouble` is a catalogue key."""

    trouble: str


Happening = Connected | Arrived | Ended


class Will(msgspec.Struct, frozen=True):
    """A retained message that the broker publishes when we vanish, and we do when we leave."""

    topic: str
    payload: bytes


class _Client(mqtt.Client):
    """paho's client, whose thread never ends unnoticed."""

    def __init__(self, on_end: Callable[[], None], version: CallbackAPIVersion, **options: Any) -> None:
        super().__init__(version, **options)
        self._on_end = on_end

    def loop_forever(
        self,
        timeout: float = 1.0,
        retry_first_connection: bool = False,  # noqa: ARG002
    ) -> MQTTErrorCode:
        try:
            return super().loop_forever(timeout, retry_first_connection=False)
        except (OSError, ValueError):
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        finally:
            self._on_end()


class Connection:
    """Runs paho's loop in a thread of its own; `notify` is called from there and must not block or raise.

    `Ended` is always the last happening, whatever ends the thread.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        user: str,
        password: str,
        subscriptions: tuple[str, ...],
        will: Will,
        notify: Callable[["Connection", Happening], None],
    ) -> None:
        self.broker = broker
        self._subscriptions = subscriptions
        self._will = will
        self._notify = notify
        self._trouble = "link_no_broker"
        self._closing = False
        self._over = Event()
        self._client = self._make_client(user, password)

    def start(self) -> None:
        """Connect, in the background."""
        try:
            self._client.connect_async(self.broker.host, self.broker.port, KEEPALIVE_S, clean_start=True)
        except ValueError:
            self._end()
            return
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Hand a message to the broker's socket. Success means nothing, so there is none to return."""
        self._client.publish(topic, payload, qos=qos, retain=retain)

    def ask(self, topic: str, payload: bytes, *, answer_to: str, correlation: bytes, expiry_s: int) -> None:
        """Publish a question that is worthless after `expiry_s`."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = answer_to
        properties.CorrelationData = correlation
        properties.MessageExpiryInterval = expiry_s
        self._client.publish(topic, payload, qos=0, properties=properties)

    def close(self) -> None:
        """Leave in order, the will published; waits for the thread, but not for ever."""
        self._closing = True
        if self._client.is_connected():
            goodbye = self._client.publish(self._will.topic, self._will.payload, qos=1, retain=True)
            with suppress(RuntimeError, ValueError):
                goodbye.wait_for_publish(GOODBYE_S)
        self._client.disconnect()
        self._over.wait(CONNECT_S + GOODBYE_S)

    def _make_client(self, user: str, password: str) -> mqtt.Client:
        client = _Client(
            self._end,
            CallbackAPIVersion.VERSION2,
            client_id=user,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.username_pw_set(user, password)
        client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        client.connect_timeout = CONNECT_S
        if self.broker.tls:
            client.tls_set()
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _end(self) -> None:
        self._over.set()
        self._notify(self, Ended(self._trouble))

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._trouble = "link_refused" if reason.value in _REFUSED else "link_no_broker"
            return
        if self._closing:
            client.disconnect()
            return
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._subscriptions])
        self._notify(self, Connected())

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", b"")
        self._notify(self, Arrived(message.topic, bytes(message.payload), message.retain, correlation))

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server and reason.value == _TAKEN_OVER:
            self._trouble = "link_taken_over"
