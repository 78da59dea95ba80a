"""Topics between terminals and the centre: one table for both sides, the broker's rights and the AsyncAPI document."""

import hashlib
import re
from typing import Literal

import msgspec

ROOT = "ssc/1"
BUCKETS = 64
CENTRE = "centre"
"""Reserved: no terminal has this id."""
_BUCKET_NAMES = {str(number) for number in range(BUCKETS)}
TERMINAL_ID = re.compile(r"[0-9A-Za-z-]{1,32}")

Direction = Literal["up", "down"]


class Topic(msgspec.Struct, frozen=True):
    """One topic below `ssc/1/<bucket>/<terminal>/`, seen from the terminal."""

    name: str
    direction: Direction
    retained: bool
    what: str


TOPICS = (
    Topic("event", "up", False, "a frame of one or more journal events, in order"),
    Topic("receipt", "down", False, "mark (epoch, seq, hash), refused and missing ones, the centre's time; signed"),
    Topic("presence", "up", True, "birth and death with the same incarnation number"),
    Topic("query", "up", False, "read-only questions; correlation data"),
    Topic("key", "up", False, "HSM steps, by role"),
    Topic("answer", "down", False, "answers to query and key"),
    Topic("desired", "down", True, "versions the terminal should hold"),
)


def is_terminal_id(terminal: str) -> bool:
    """Whether a name may be a terminal id (design 3.3)."""
    return TERMINAL_ID.fullmatch(terminal) is not None and terminal != CENTRE


def bucket(terminal: str) -> int:
    """First byte of SHA-256(terminal) mod 64 (design 3.2)."""
    return hashlib.sha256(terminal.encode("ascii")).digest()[0] % BUCKETS


def topic(terminal: str, name: str) -> str:
    """The full topic of a terminal, `ssc/1/<bucket>/<terminal>/<name>`."""
    return f"{ROOT}/{bucket(terminal)}/{terminal}/{name}"


def centre_topic(bucket_number: int) -> str:
    """Where the holder of a bucket says that it listens (retained)."""
    return f"{ROOT}/{bucket_number}/{CENTRE}"


CENTRE_GONE = f"{ROOT}/{CENTRE}"
"""Last will of a centre's worker. One connection has one will and a worker holds many buckets, so it is shared."""


def terminal_of(full_topic: str) -> tuple[int, str, str]:
    """(bucket, terminal, name) of a full topic; `ValueError` where it is none of ours."""
    parts = full_topic.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != ROOT or not is_terminal_id(parts[3]):
        raise ValueError("not a terminal's topic")
    if parts[2] not in _BUCKET_NAMES:
        raise ValueError("not a bucket")
    if parts[4] not in {each.name for each in TOPICS}:
        raise ValueError("not a topic name")
    return int(parts[2]), parts[3], parts[4]
