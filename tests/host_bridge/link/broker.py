"""A real mosquitto and a small centre for the link's tests."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock
from typing import Any, Literal

import msgspec
import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from hardware.virtual.processes import free_port, wait_until
from host_bridge.journal.chain import record_hash
from protocols.events.events import decode_event, event_hash, event_key
from protocols.events.frames import (
    Answer,
    CentreState,
    Frame,
    Presence,
    Receipt,
    Unknown,
    event_signature_holds,
    sign_receipt,
)
from protocols.events.topics import CENTRE_GONE, bucket, centre_topic, topic
from tests.host_bridge.journal.samples import TERMINAL
from tests.needs import need

DEADLINE_S = 20.0


def wait_for(what: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
    """Wait until it holds; fails at the deadline."""
    wait_until("what the test expects", what, seconds)


class Mosquitto:
    """One broker on its own port; `passwords` None lets everybody in."""

    def __init__(self, directory: Path, passwords: dict[str, str] | None = None) -> None:
        self.port = free_port()
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        need(None if program else "mosquitto is not installed")
        self._program = program or ""
        self._config = directory / f"mosquitto-{self.port}.conf"
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "log_type none"]
        if os.geteuid() == 0:
            lines.append("user root")
        if passwords is None:
            lines.append("allow_anonymous true")
        else:
            file = directory / f"passwords-{self.port}"
            file.touch(mode=0o600)
            for user, password in passwords.items():
                subprocess.run(["mosquitto_passwd", "-b", file, user, password], check=True, capture_output=True)
            lines += ["allow_anonymous false", f"password_file {file}"]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        wait_for(self._listens)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Centre:
    """Books events in order in memory and answers as the real one would; `quiet` centres send no receipts."""

    def __init__(self, record: bytes, key: Ed25519PublicKey, receipt_key: Ed25519PrivateKey, port: int) -> None:
        self.key, self.receipt_key = key, receipt_key
        self.hashes = [record_hash(record)]
        self.epoch = 1
        self.quiet = False
        self.answer: Answer | None = Unknown("C-010")
        self.frames: list[Frame] = []
        self.presences: list[Presence] = []
        self.queries: list[bytes] = []
        self.alive = Event()
        self._lock = Lock()
        self._beats = 0
        self.incarnation = "centre-1"
        self.lease = 1
        self.client = self._client()
        self.client.connect_async("127.0.0.1", port, 10)
        self.client.loop_start()

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="centre", protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set("centre", "centre")
        client.will_set(CENTRE_GONE, self.state("gone"), qos=1)
        client.on_connect = lambda *_: self._subscribe(client)
        client.on_message = lambda _client, _userdata, message: self._take(message)
        client.reconnect_delay_set(1, 1)
        return client

    def state(self, state: Literal["listening", "gone"]) -> bytes:
        self._beats += 1
        beat = CentreState(state=state, lease=self.lease, incarnation=self.incarnation, time=str(self._beats))
        return msgspec.json.encode(beat)

    def _subscribe(self, client: mqtt.Client) -> None:
        names = ("event", "presence", "query")
        client.subscribe([(topic(TERMINAL, name), SubscribeOptions(qos=1)) for name in names])
        self.beat()
        self.alive.set()

    def beat(self) -> None:
        self.client_publish(centre_topic(bucket(TERMINAL)), self.state("listening"), retain=True)

    def client_publish(self, to: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(to, payload, qos=1, retain=retain)

    def _take(self, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        with self._lock:
            if message.topic == topic(TERMINAL, "event"):
                self.frames.append(msgspec.json.decode(payload, type=Frame))
                if not self.quiet:
                    self._book(self.frames[-1])
                    self.receipt()
            elif message.topic == topic(TERMINAL, "presence"):
                self.presences.append(msgspec.json.decode(payload, type=Presence))
                if self.presences[-1].state == "birth" and not self.quiet:
                    self.receipt()
            else:
                self.queries.append(payload)
                self._answer(message.properties)

    def _book(self, frame: Frame) -> None:
        last = event_hash(frame.entries[-1].event)
        assert event_signature_holds(self.key, last, frame.signature)
        for entry in frame.entries:
            event = decode_event(entry.event)
            terminal, epoch, seq = event_key(event.id)
            assert (terminal, epoch) == (TERMINAL, self.epoch)
            if seq == len(self.hashes):
                assert event.prev == self.hashes[-1]
                self.hashes.append(event_hash(entry.event))
            elif seq < len(self.hashes):
                assert self.hashes[seq] == event_hash(entry.event)

    @property
    def mark(self) -> int:
        return len(self.hashes) - 1

    def receipt(self, **changes: object) -> None:
        receipt = Receipt(
            terminal=TERMINAL,
            epoch=self.epoch,
            seq=self.mark,
            hash=self.hashes[-1],
            time="2026-11-21T12:00:00.000+08:00",
        )
        receipt = msgspec.structs.replace(receipt, **changes)
        self.client_publish(topic(TERMINAL, "receipt"), sign_receipt(self.receipt_key, receipt))

    def _answer(self, asked: Any) -> None:
        if self.answer is None:
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = asked.CorrelationData
        self.client.publish(asked.ResponseTopic, msgspec.json.encode(self.answer), properties=properties)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
