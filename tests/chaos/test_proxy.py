"""The proxies before a real broker: what they do is seen as lost, doubled or late, and nobody's protocol breaks."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hardware.virtual.processes import free_port
from tests.chaos.mischief import RATES, Mischief, Mishap, MishapKind, Rates, Sending, Way
from tests.chaos.proxy import Proxy
from tests.chaos.tap import Tap
from tests.host_bridge.link.broker import Mosquitto, wait_for
from tests.server.mqtt import Party

EVENT = "ssc/1/7/110102-0012/event"
RECEIPT = "ssc/1/7/110102-0012/receipt"
SURE, NEVER = Rates(1.0, 0.0, 0.0, 0.0), Rates(0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


class Terminal(Party):
    """Also publishes without waiting, and counts how often it was cut off."""

    def __init__(self, port: int) -> None:
        super().__init__(port, None, None, "terminal")
        self.disconnects = 0
        self._client.on_disconnect = self._on_disconnect

    def publish_soon(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, 1)

    def _on_disconnect(self, *_: Any) -> None:
        self.disconnects += 1


class Site:
    """A terminal behind a mischief proxy and somebody who listens at the broker."""

    def __init__(self, broker: Mosquitto, mischief: Mischief) -> None:
        self.mischief = mischief
        self.proxy = Proxy(free_port(), broker.port, mischief.connection)
        self.proxy.start()
        self.listener = Party(broker.port, None, None, "listener")
        self.listener.subscribe("ssc/#")
        self.terminal = Terminal(self.proxy.port)
        self.terminal.subscribe(RECEIPT)

    def stop(self) -> None:
        self.terminal.close()
        self.listener.close()
        self.proxy.stop()
        assert self.proxy.faults == []


@pytest.fixture
def site(broker: Mosquitto) -> Iterator[Site]:
    site = Site(broker, Mischief(Random(1)))
    yield site
    site.stop()


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[Way, str], Rates]:
    """What happens to packets, none of it to begin with."""
    quiet = dict.fromkeys(RATES, NEVER)
    monkeypatch.setattr("tests.chaos.mischief.RATES", quiet)
    return quiet  # type: ignore[return-value]


def test_a_calm_proxy_is_not_there(site: Site, rates: dict[tuple[Way, str], Rates]) -> None:
    assert site.terminal.publish(EVENT, b"1") == 0
    assert site.listener.publish(RECEIPT, b"2") == 0
    assert site.listener.wait(EVENT) == [b"1"]
    assert site.terminal.wait(RECEIPT) == [b"2"]


def test_a_lost_event_was_acknowledged(site: Site, rates: dict[tuple[Way, str], Rates]) -> None:
    rates["up", "event"] = SURE
    assert site.terminal.publish(EVENT, b"lost") == 0
    rates["up", "event"] = NEVER
    assert site.terminal.publish(EVENT, b"kept") == 0
    assert site.listener.wait(EVENT) == [b"kept"]


def test_a_lost_receipt_leaves_the_line_open(site: Site, rates: dict[tuple[Way, str], Rates]) -> None:
    rates["down", "receipt"] = SURE
    assert site.listener.publish(RECEIPT, b"lost") == 0
    wait_for(lambda: site.mischief.counts["lost"] == 1)
    rates["down", "receipt"] = NEVER
    site.listener.publish(RECEIPT, b"kept")
    assert site.terminal.wait(RECEIPT) == [b"kept"]


def test_copies_arrive_and_their_acknowledgements_end_at_the_proxy(
    site: Site, rates: dict[tuple[Way, str], Rates]
) -> None:
    rates["up", "event"] = rates["down", "receipt"] = Rates(0.0, 0.0, 1.0, 0.0)
    for number in range(3):
        assert site.terminal.publish(EVENT, b"%d" % number) == 0
        site.listener.publish(RECEIPT, b"%d" % number)
    assert sorted(site.listener.wait(EVENT, 6)) == [b"0", b"0", b"1", b"1", b"2", b"2"]
    assert sorted(site.terminal.wait(RECEIPT, 6)) == [b"0", b"0", b"1", b"1", b"2", b"2"]


def test_an_old_frame_comes_again_on_a_new_connection(site: Site, rates: dict[tuple[Way, str], Rates]) -> None:
    site.terminal.publish(EVENT, b"old")
    site.terminal.close()
    rates["up", "event"] = Rates(0.0, 0.0, 0.0, 1.0)
    site.terminal = Terminal(site.proxy.port)
    site.terminal.publish(EVENT, b"new")
    assert sorted(site.listener.wait(EVENT, 3)) == [b"new", b"old", b"old"]


def test_late_packets_are_overtaken(site: Site, rates: dict[tuple[Way, str], Rates]) -> None:
    rates["up", "event"] = Rates(0.0, 0.5, 0.0, 0.0)
    payloads = [b"%02d" % number for number in range(40)]
    for payload in payloads:
        site.terminal.publish_soon(EVENT, payload)
    arrived = site.listener.wait(EVENT, len(payloads))
    assert sorted(arrived) == payloads
    assert arrived != payloads


class Once:
    """Rules that let one mishap befall a connection."""

    def __init__(self, mishap: Mishap) -> None:
        self.mishaps, self.happened = [mishap], 0

    def packet(self, way: Way, packet: bytes) -> list[Sending]:
        return [Sending(0.0, way, packet)]

    def mishap(self) -> Mishap | None:
        return self.mishaps.pop() if self.mishaps else None

    def befell(self, mishap: Mishap) -> None:
        self.happened += 1

    def over(self) -> None:
        return


@pytest.mark.parametrize("kind", ["cut", "torn"])
def test_a_connection_ends(broker: Mosquitto, kind: MishapKind) -> None:
    rules = Once(Mishap(0.3, kind, 0.0))
    proxy = Proxy(free_port(), broker.port, lambda: rules)
    proxy.start()
    terminal = Terminal(proxy.port)
    wait_for(lambda: rules.happened == 1)
    terminal.publish_soon(EVENT, b"x" * 1000)
    wait_for(lambda: terminal.disconnects > 0)
    terminal.close()
    proxy.stop()
    assert proxy.faults == []


def test_a_stalled_connection_goes_on(broker: Mosquitto) -> None:
    rules = Once(Mishap(0.0, "stalled", 0.5))
    proxy = Proxy(free_port(), broker.port, lambda: rules)
    proxy.start()
    begun = time.monotonic()
    terminal = Terminal(proxy.port)
    terminal.publish(EVENT)
    assert time.monotonic() - begun > 0.4
    assert terminal.disconnects == 0
    terminal.close()
    proxy.stop()


def receipt(seq: int, digest: str) -> bytes:
    body = {"version": 1, "terminal": "110102-0012", "epoch": 1, "seq": seq, "hash": digest, "time": "…"}
    return json.dumps({"receipt": body, "signature": "00"}, ensure_ascii=False).encode()


def test_the_tap_says_whether_a_receipt_was_early(broker: Mosquitto, tmp_path: Path) -> None:
    ledger = tmp_path / "centre.db"
    with sqlite3.connect(ledger) as centre:
        centre.execute("PRAGMA journal_mode=WAL")
        centre.execute("CREATE TABLE events(terminal, epoch, seq, hash, state)")
        centre.execute("INSERT INTO events VALUES ('110102-0012', 1, 1, 'aa', 'booked')")
        centre.execute("INSERT INTO events VALUES ('110102-0012', 1, 3, 'cc', 'waiting')")
    tap = Tap(tmp_path / "receipts.jsonl", ledger)
    proxy = Proxy(free_port(), broker.port, tap.connection)
    proxy.start()
    party = Party(proxy.port, None, None, "centre")
    for seq, digest in ((0, "record"), (1, "aa"), (1, "bb"), (2, "bb"), (3, "cc")):
        party.publish(RECEIPT, receipt(seq, digest))
    with sqlite3.connect(ledger) as centre:
        centre.execute("INSERT INTO events VALUES ('110102-0012', 1, 2, 'bb', 'booked')")
    party.publish(RECEIPT, receipt(2, "bb"))
    party.subscribe(EVENT)
    party.publish(EVENT, b'[{"id":"110102-0012/1/2"},{"id":"110102-0012/1/4"}]')
    party.wait(EVENT)
    party.close()
    proxy.stop()
    assert proxy.faults == []
    tapped = [json.loads(line) for line in tap.record.read_text().splitlines()]
    assert [line["booked"] for line in tapped] == [True, True, False, False, False, True]
    assert json.loads(tapped[1]["payload"])["receipt"]["hash"] == "aa"
    assert tap.counts == {"receipts": 6, "delivered": 2, "duplicates": 1}
