"""The wire tap between broker and centre: changes nothing, notes every receipt as the centre sends it.

One JSON line a receipt: `topic`, `payload`, and `booked`: whether the ledger had the marked event, committed, when its
receipt passed here. A receipt that is sent before its commit is seen by that, and stays visible in the record.
"""

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.chaos.mischief import Mishap, Sending, Way
from tests.chaos.mqtt import Publish, read_publish

_EVENT_ID = re.compile(rb'"id":"([0-9A-Za-z-]{1,32})/(\d+)/(\d+)"')
_BOOKED = "SELECT 1 FROM events WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ? AND state != 'waiting'"
_STORED = "SELECT count(*) FROM events WHERE terminal = ? AND epoch = ? AND seq = ?"
BUSY_S = 5.0


class Tap:
    """Shared by all connections of the centre.

    `counts`: `receipts` sent, `delivered` events that reached the centre, of them `duplicates` it had stored before.
    """

    def __init__(self, record: Path, ledger: Path) -> None:
        self.record, self.ledger = record, ledger
        self.counts: Counter[str] = Counter()

    def connection(self) -> "TappedConnection":
        """The rules of a new connection."""
        return TappedConnection(self)


class TappedConnection:
    """Looks into the ledger only as long as the centre is connected, so that it recovers alone after a kill."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._ledger: sqlite3.Connection | None = None

    def packet(self, way: Way, packet: bytes) -> list[Sending]:
        publish = read_publish(packet)
        if publish is not None and way == "up" and publish.topic.endswith("/receipt"):
            self._receipt(publish)
        elif publish is not None and way == "down" and publish.topic.endswith("/event"):
            self._events(publish)
        return [Sending(0.0, way, packet)]

    def mishap(self) -> Mishap | None:
        return None

    def befell(self, mishap: Mishap) -> None:
        return

    def over(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    def _receipt(self, publish: Publish) -> None:
        receipt = json.loads(publish.payload)["receipt"]
        mark = (receipt["terminal"], receipt["epoch"], receipt["seq"], receipt["hash"])
        booked = receipt["seq"] == 0 or self._ask(_BOOKED, *mark) is not None
        line = {"topic": publish.topic, "payload": publish.payload.decode(), "booked": booked}
        with self._tap.record.open("a") as record:
            record.write(json.dumps(line) + "\n")
        self._tap.counts["receipts"] += 1

    def _events(self, publish: Publish) -> None:
        for terminal, epoch, seq in _EVENT_ID.findall(publish.payload):
            stored = self._ask(_STORED, terminal.decode(), int(epoch), int(seq))
            self._tap.counts["delivered"] += 1
            self._tap.counts["duplicates"] += stored[0] if stored else 0

    def _ask(self, sql: str, *values: object) -> tuple[int] | None:
        if self._ledger is None:
            self._ledger = sqlite3.connect(f"{self._tap.ledger.absolute().as_uri()}?mode=ro", BUSY_S, uri=True)
        with closing(self._ledger.execute(sql, values)) as cursor:
            row: tuple[int] | None = cursor.fetchone()
        return row
