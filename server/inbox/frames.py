"""Opening a frame: who sent it, that its events form one chain, and that the sender signed it. Pure."""

from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.events.events import event_hash, event_key
from protocols.events.frames import Frame, Person, event_signature_holds
from protocols.events.topics import bucket, terminal_of
from server.errors import UNREADABLE, number
from server.terminals.registry import Enrolled

MAX_FRAME = 4 * 1024 * 1024
MAX_SEQ = 2**53


class FrameRefused(Exception):
    """A message that is evidence, nothing else: `number` of the reason."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.number = number(key)


class Link(NamedTuple):
    """One event of a chain, its bytes untouched."""

    seq: int
    prev: str
    hash: str
    data: bytes
    person: Person | None


class Header(msgspec.Struct):
    """What every event of every schema carries."""

    id: str
    prev: str


_FRAME = msgspec.json.Decoder(Frame)
_HEADER = msgspec.json.Decoder(Header)


def sender(topic: str) -> str:
    """The terminal a topic belongs to; `FrameRefused` where its bucket is not the terminal's."""
    try:
        number_of_bucket, terminal, _ = terminal_of(topic)
    except ValueError as error:
        raise FrameRefused("frame_misplaced") from error
    if number_of_bucket != bucket(terminal):
        raise FrameRefused("frame_misplaced")
    return terminal


def prev_of(data: bytes) -> str:
    """The hash an event names as the one before it; `msgspec.MsgspecError` where it has no header."""
    return _HEADER.decode(data).prev


def open_frame(payload: bytes, enrolled: Enrolled) -> tuple[tuple[Link, ...], str]:
    """The chain in a frame and its last signature, proven to be this terminal's; `FrameRefused` otherwise."""
    if len(payload) > MAX_FRAME:
        raise FrameRefused("frame_malformed")
    try:
        frame = _FRAME.decode(payload)
    except UNREADABLE as error:
        raise FrameRefused("frame_malformed") from error
    if frame.terminal != enrolled.terminal:
        raise FrameRefused("frame_misplaced")
    if frame.epoch != enrolled.epoch:
        raise FrameRefused("frame_epoch")
    links = _chain(frame)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(enrolled.public_key))
    if not event_signature_holds(key, links[-1].hash, frame.signature):
        raise FrameRefused("frame_signature")
    return links, frame.signature


def _chain(frame: Frame) -> tuple[Link, ...]:
    links: list[Link] = []
    for entry in frame.entries:
        data = bytes(entry.event)
        try:
            header = _HEADER.decode(data)
            terminal, epoch, seq = event_key(header.id)
        except UNREADABLE as error:
            raise FrameRefused("frame_malformed") from error
        if (terminal, epoch) != (frame.terminal, frame.epoch) or seq > MAX_SEQ:
            raise FrameRefused("frame_chain")
        if links and (seq, header.prev) != (links[-1].seq + 1, links[-1].hash):
            raise FrameRefused("frame_chain")
        links.append(Link(seq, header.prev, event_hash(data), data, entry.person))
    if not links:
        raise FrameRefused("frame_malformed")
    return tuple(links)
