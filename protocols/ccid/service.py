"""What our firmware tells about itself and does for a technician, besides CCID.

A request is the data of an Escape: `ESCAPE_SERVICE`, a function, its arguments. The answer is the data of the
Escape's answer; a refusal is its bError, one of CCID's or of those below, which lie in the range that CCID 1.1
(table 6.2-2) leaves to makers. Every function may be asked again: the second time changes nothing more.
Numbers are little endian; a text is a byte with its length, then ASCII.
"""

import hashlib
import struct

from protocols.ccid.messages import ESCAPE_SERVICE, MAX_DATA
from protocols.iso7816.frozen import Frozen

PROTOCOL_VERSION = 1

# Functions
HELLO = 0x01  # -> Hello
FILE = 0x02  # index, 2 bytes -> FileFact of the files that run, sorted by path; nothing past the last
COUNTERS = 0x03  # CCID slot -> Counters
EVENTS = 0x04  # first number wanted, 4 bytes -> as many Events as fit, oldest first
RESTART = 0x05  # starts as in Hello, 4 bytes; another number is of a restart that has happened
TRACE_START = 0x20  # seconds, 2 bytes
TRACE_STOP = 0x21
TRACE_READ = 0x22  # first number wanted, 4 bytes -> number of the first, 4 bytes, and entries (`protocols.ccid.trace`)

# 0x30 and 0x31 are the PIN pad's (`protocols.ccid.secure`)

# Functions of an update, in this order
UPDATE_BEGIN = 0x10  # size and SHA-256 of the manifest, 2 and 32 bytes -> length held
UPDATE_WRITE = 0x11  # which, 2 bytes; offset, 4 bytes; data -> length held; nothing is written at any other offset
UPDATE_CHECK = 0x12  # which, 2 bytes: this file is whole
UPDATE_FINISH = 0x13  # all are: try them at the next start
UPDATE_CONFIRM = 0x14  # digest of the running files, 32 bytes: keep them
MANIFEST_FILE = "manifest.json"  # in a release and in a file slot
MANIFEST = 0  # which of the files; the n-th in the manifest is n
LENGTH_SIZE = 4
MAX_WRITE = MAX_DATA - len(ESCAPE_SERVICE) - 7
MAX_MANIFEST = 16384

# bError of refusals
ERROR_NOT_UPDATABLE = 0x81  # the firmware runs from no file slot
ERROR_ON_TRIAL = 0x82  # the running files are not confirmed: the others are still needed
ERROR_BAD_MANIFEST = 0x83
ERROR_WRONG_BOARD = 0x84
ERROR_BELOW_FLOOR = 0x85
ERROR_BAD_FILE = 0x86  # not what the manifest says; it is removed
ERROR_INCOMPLETE = 0x87  # something is missing or was not checked
ERROR_NO_ROOM = 0x88  # the file system refuses, or memory is used up

# Where the running files lie
NO_FILE_SLOT = "-"
FILE_SLOTS = ("a", "b")

# What they are, below that: all modules in these folders, and these
FIRMWARE_FOLDERS = ("firmware", "protocols/ccid", "protocols/iso7816")
FIRMWARE_MODULES = ("protocols/__init__",)

# Kinds of events
STARTED, CARD_IN, CARD_OUT, COMMAND_REFUSED = range(4)

DIGITS = "0123456789"

_HELLO = "<BBBBIQ32s"
_FILE = "<I32s"
_COUNTERS = "<IIIIIIIB"
_EVENT = "<IQBBBB"
EVENT_SIZE = 16
MAX_ERRORS = 48  # kinds of them that one answer holds


class ServiceError(ValueError):
    """These bytes are no answer of the reader's service."""


def request(function: int, arguments: bytes = b"") -> bytes:
    """Data of the Escape."""
    return ESCAPE_SERVICE + bytes([function]) + arguments


def _text_to_bytes(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _texts_from_bytes(data: bytes, count: int) -> "list[str]":
    """Exactly this many; `ServiceError`."""
    found = []
    for _ in range(count):
        if not data or len(data) < 1 + data[0]:
            raise ServiceError("a text is cut off")
        text, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        if any(not 0x20 <= byte <= 0x7E for byte in text):
            raise ServiceError("a text is not ASCII")
        found.append(text.decode())
    if data:
        raise ServiceError("bytes behind the last text")
    return found


def _head(layout: str, data: bytes) -> "tuple[tuple[int, ...], bytes]":
    """The fields of a layout, and what follows them; `ServiceError`."""
    size = struct.calcsize(layout)
    if len(data) < size:
        raise ServiceError("shorter than its fields")
    return struct.unpack(layout, data[:size]), data[size:]


class Hello(Frozen):
    """Who answers.

    `slots` are for cards. `file_slot` is the slot of files that runs, `a`, `b` or `-`; with `on_trial` it is not
    confirmed and `starts_left` more starts are granted to it. `starts` counts all starts, `reason` is why of the last
    one, `now_ms` how long ago it was. `digest` is over all running files, `floor` the lowest version that may follow.
    """

    FIELDS = (
        "protocol",
        "slots",
        "on_trial",
        "starts_left",
        "starts",
        "now_ms",
        "digest",
        "version",
        "board",
        "file_slot",
        "reason",
        "floor",
    )
    protocol: int
    slots: int
    on_trial: bool
    starts_left: int
    starts: int
    now_ms: int
    digest: bytes
    version: str
    board: str
    file_slot: str
    reason: str
    floor: str

    def __init__(self, *values: object) -> None:
        """All `FIELDS` in order."""
        self._freeze(*values)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Hello":
        """`ServiceError`."""
        (protocol, slots, on_trial, starts_left, starts, now_ms, digest), rest = _head(_HELLO, data)
        version, board, file_slot, reason, floor = _texts_from_bytes(rest, 5)
        if on_trial > 1 or file_slot not in FILE_SLOTS + (NO_FILE_SLOT,):
            raise ServiceError("no such state")
        return cls(
            protocol,
            slots,
            bool(on_trial),
            starts_left,
            starts,
            now_ms,
            digest,
            version,
            board,
            file_slot,
            reason,
            floor,
        )

    def to_bytes(self) -> bytes:
        head = struct.pack(
            _HELLO,
            self.protocol,
            self.slots,
            int(self.on_trial),
            self.starts_left,
            self.starts,
            self.now_ms,
            self.digest,
        )
        return head + b"".join(
            [_text_to_bytes(text) for text in (self.version, self.board, self.file_slot, self.reason, self.floor)]
        )


class FileFact(Frozen):
    """One file: its path below the folder of its slot, with slashes, and what it holds."""

    FIELDS = ("path", "size", "sha256")
    path: str
    size: int
    sha256: bytes

    def __init__(self, path: str, size: int, sha256: bytes) -> None:
        self._freeze(path, size, sha256)

    @classmethod
    def from_bytes(cls, data: bytes) -> "FileFact":
        """`ServiceError`."""
        (size, sha256), rest = _head(_FILE, data)
        return cls(_texts_from_bytes(rest, 1)[0], size, sha256)  # type: ignore[arg-type]

    def to_bytes(self) -> bytes:
        return struct.pack(_FILE, self.size, self.sha256) + _text_to_bytes(self.path)

    def line(self) -> bytes:
        """As `sha256sum` writes it, with the size before it."""
        return ("%d %s  %s\n" % (self.size, self.sha256.hex(), self.path)).encode()


def version_of(text: str) -> "tuple[int, int, int]":
    """`MAJOR.MINOR.PATCH` as numbers that compare; `ServiceError`."""
    parts = text.split(".")
    if len(parts) != 3 or not all(0 < len(part) <= 4 and all(each in DIGITS for each in part) for part in parts):
        raise ServiceError("no version: %r" % text)
    return int(parts[0]), int(parts[1]), int(parts[2])


def digest_of(facts: "list[FileFact]") -> bytes:
    """SHA-256 over the lines of all files in the order of their paths."""
    hashed = hashlib.sha256()
    for fact in sorted(facts, key=_path):
        hashed.update(fact.line())
    return hashed.digest()


def _path(fact: FileFact) -> str:
    return fact.path


class Counters(Frozen):
    """Of one CCID slot since the start. Characters are 0 with `counted` False where the board does not count them.

    `restarts` of a stuck card, after which it answered to reset `revived` times. `errors` are pairs of bError and how
    often it was answered.
    """

    FIELDS = ("exchanges", "received", "sent", "refused", "resent", "restarts", "revived", "counted", "errors")
    exchanges: int
    received: int
    sent: int
    refused: int
    resent: int
    restarts: int
    revived: int
    counted: bool
    errors: "tuple[tuple[int, int], ...]"

    def __init__(self, *values: object) -> None:
        """All `FIELDS` in order."""
        self._freeze(*values)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Counters":
        """`ServiceError`."""
        fields, rest = _head(_COUNTERS, data)
        if len(rest) % 5 or fields[7] > 1:
            raise ServiceError("no counters")
        errors = tuple(struct.unpack("<BI", rest[at : at + 5]) for at in range(0, len(rest), 5))
        return cls(*fields[:7], bool(fields[7]), errors)

    def to_bytes(self) -> bytes:
        head = struct.pack(
            _COUNTERS,
            self.exchanges,
            self.received,
            self.sent,
            self.refused,
            self.resent,
            self.restarts,
            self.revived,
            int(self.counted),
        )
        return head + b"".join([struct.pack("<BI", error, count) for error, count in self.errors])


class Event(Frozen):
    """`number` counts from 0 at the start, `time_ms` is since then.

    `slot` is the CCID slot; of `COMMAND_REFUSED` `command` is the bMessageType and `error` the bError, else both are 0.
    """

    FIELDS = ("number", "time_ms", "kind", "slot", "command", "error")
    number: int
    time_ms: int
    kind: int
    slot: int
    command: int
    error: int

    def __init__(self, *values: int) -> None:
        """All `FIELDS` in order."""
        self._freeze(*values)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Event":
        """`ServiceError`."""
        fields, rest = _head(_EVENT, data)
        if rest or fields[2] > COMMAND_REFUSED:
            raise ServiceError("no event")
        return cls(*fields)

    def to_bytes(self) -> bytes:
        return struct.pack(_EVENT, self.number, self.time_ms, self.kind, self.slot, self.command, self.error)


def events_from_bytes(data: bytes) -> "list[Event]":
    """The answer to `EVENTS`; `ServiceError`."""
    if len(data) % EVENT_SIZE:
        raise ServiceError("an event is cut off")
    return [Event.from_bytes(data[at : at + EVENT_SIZE]) for at in range(0, len(data), EVENT_SIZE)]
