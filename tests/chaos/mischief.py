"""What a bad network does to the frames between terminals and broker. Pure: decides, and sends nothing itself.

What TCP forbids (lost, doubled, reordered) is done as MQTT allows it, so that neither side sees a broken protocol:

- lost: the packet goes nowhere and its sender gets a PUBACK, as from a broker that dies with it (messaging.md 0-1);
- late: held back while later packets pass it;
- copied, and replayed from long before: a publication of its own with a packet id from `OWN_MIDS` up, which neither
  paho nor mosquitto reaches in a connection's life here; the acknowledgement of such an id ends here.
"""

from collections import Counter, defaultdict, deque
from random import Random
from typing import Literal, NamedTuple, Protocol

from tests.chaos.mqtt import Publish, acknowledged, puback, read_publish, with_mid

OWN_MIDS = 0x8000
LAST_MID = 0xFFFF
LATE_S = 0.6
REMEMBERED = 50
"""Frames and receipts of one topic that may be replayed."""
MISHAP_EVERY_S = 30.0

Way = Literal["up", "down"]
"""Up is towards the broker."""
MishapKind = Literal["cut", "torn", "stalled", "deaf"]


class Sending(NamedTuple):
    """A packet to write, after a pause that others may use to overtake it."""

    delay_s: float
    way: Way
    packet: bytes


class Mishap(NamedTuple):
    """What befalls a connection after `after_s`.

    Cut: reset. Torn: reset in the middle of a packet. Stalled: silent for `lasts_s`, then everything arrives. Deaf:
    half-open, everything is swallowed until a side gives up.
    """

    after_s: float
    kind: MishapKind
    lasts_s: float


class Rules(Protocol):
    """What happens to one connection."""

    def packet(self, way: Way, packet: bytes) -> list[Sending]:
        """What to write when this packet has arrived."""
        ...

    def mishap(self) -> Mishap | None:
        """What befalls the connection next, None where nothing does."""
        ...

    def befell(self, mishap: Mishap) -> None:
        """It has happened."""
        ...

    def over(self) -> None:
        """The connection has ended."""
        ...


class Rates(NamedTuple):
    """Probabilities for one packet."""

    lost: float
    late: float
    copied: float
    replayed: float


RATES = {
    ("up", "event"): Rates(lost=0.06, late=0.25, copied=0.15, replayed=0.05),
    ("down", "receipt"): Rates(lost=0.20, late=0.25, copied=0.10, replayed=0.05),
}
_MISHAPS: dict[MishapKind, int] = {"cut": 4, "torn": 3, "stalled": 3, "deaf": 1}
"""By weight."""
_ONE_EVENT = b'"specversion":'


class Mischief:
    """Shared by all connections; `counts` says what was done, and how many events were `sent` through. `calm` ends it.

    Counted are packets: lost, late, copied, replayed; and connections: cut, torn, stalled, deaf.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.calm = False
        self.counts: Counter[str] = Counter()
        self.past: defaultdict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def connection(self) -> Rules:
        """The rules of a new connection."""
        return Meddler(self)


class Meddler:
    """One connection's rules."""

    def __init__(self, shared: Mischief) -> None:
        self._shared = shared
        self._random = shared.random
        self._next_mid = OWN_MIDS

    def packet(self, way: Way, packet: bytes) -> list[Sending]:
        mid = acknowledged(packet)
        if mid is not None:
            return [] if mid >= OWN_MIDS else [Sending(0.0, way, packet)]
        publish = read_publish(packet)
        if publish is None or not publish.mid:
            return [Sending(0.0, way, packet)]
        name = publish.topic.rpartition("/")[2]
        if (way, name) == ("up", "event"):
            self._shared.counts["sent"] += publish.payload.count(_ONE_EVENT)
        rates = RATES.get((way, name))
        if rates is None or self._shared.calm:
            return [Sending(0.0, way, packet)]
        return self._meddle(way, packet, publish, rates)

    def mishap(self) -> Mishap | None:
        if self._shared.calm:
            return None
        kind = self._random.choices(list(_MISHAPS), list(_MISHAPS.values()))[0]
        after_s = self._random.expovariate(1 / MISHAP_EVERY_S)
        return Mishap(after_s, kind, self._random.uniform(0.5, 4.0))

    def befell(self, mishap: Mishap) -> None:
        self._shared.counts[mishap.kind] += 1

    def over(self) -> None:
        return

    def _meddle(self, way: Way, packet: bytes, publish: Publish, rates: Rates) -> list[Sending]:
        past = self._shared.past[publish.topic]
        sendings = []
        if self._happens("lost", rates.lost):
            sendings.append(Sending(0.0, "down" if way == "up" else "up", puback(publish.mid)))
        else:
            sendings.append(Sending(self._pause("late", rates.late), way, packet))
        if self._happens("copied", rates.copied):
            sendings.append(self._copy(way, packet))
        if past and self._happens("replayed", rates.replayed):
            sendings.append(self._copy(way, self._random.choice(past)))
        past.append(packet)
        return sendings

    def _copy(self, way: Way, packet: bytes) -> Sending:
        publish = read_publish(packet)
        assert publish is not None
        mid, self._next_mid = self._next_mid, self._next_mid + 1
        if self._next_mid > LAST_MID:
            self._next_mid = OWN_MIDS
        return Sending(self._random.uniform(0, LATE_S), way, with_mid(packet, publish, mid))

    def _pause(self, name: str, rate: float) -> float:
        return self._random.uniform(0, LATE_S) if self._happens(name, rate) else 0.0

    def _happens(self, name: str, rate: float) -> bool:
        happens = self._random.random() < rate
        self._shared.counts[name] += happens
        return happens
