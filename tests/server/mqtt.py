"""A plain MQTT 5 client for tests: connects, publishes and tells the reason code, collects what it reads."""

import threading
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TIMEOUT_S = 20


class Party:
    """One connection; `reason` is the CONNACK's."""

    def __init__(self, port: int, user: str | None, password: str | None, name: str = "") -> None:
        self.received: list[MQTTMessage] = []
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
        if user is not None:
            self._client.username_pw_set(user, password)
        self._answered = threading.Event()
        self._reasons: dict[int, int] = {}
        self._changed = threading.Condition()
        self.reason = -1
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._answered.wait(TIMEOUT_S)

    def publish(
        self, topic: str, payload: bytes = b"x", *, retain: bool = False, correlation: bytes | None = None
    ) -> int:
        """Publish at QoS 1; the PUBACK's reason code."""
        properties = None
        if correlation is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        return self._reason(self._client.publish(topic, payload, 1, retain, properties).mid)

    def subscribe(self, topic: str) -> int:
        """Subscribe at QoS 1; the SUBACK's reason code."""
        mid = self._client.subscribe(topic, 1)[1]
        assert mid is not None
        return self._reason(mid)

    def wait(self, topic: str, count: int = 1) -> list[bytes]:
        """The payloads read on a topic, once there are `count`."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._of(topic)) >= count, TIMEOUT_S), topic
            return self._of(topic)

    def topics(self) -> set[str]:
        with self._changed:
            return {message.topic for message in self.received}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _of(self, topic: str) -> list[bytes]:
        return [bytes(message.payload) for message in self.received if message.topic == topic]

    def _reason(self, mid: int) -> int:
        with self._changed:
            assert self._changed.wait_for(lambda: mid in self._reasons, TIMEOUT_S)
            return self._reasons.pop(mid)

    def _on_connect(self, _c: Client, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self.reason = reason.value
        if reason.is_failure:
            self._client.disconnect()
        self._answered.set()

    def _on_publish(self, _c: Client, _u: Any, mid: int, reason: Any, _p: Any) -> None:
        self._note(mid, reason.value)

    def _on_subscribe(self, _c: Client, _u: Any, mid: int, reasons: Any, _p: Any) -> None:
        self._note(mid, reasons[0].value)

    def _note(self, mid: int, reason: int) -> None:
        with self._changed:
            self._reasons[mid] = reason
            self._changed.notify_all()

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        with self._changed:
            self.received.append(message)
            self._changed.notify_all()
