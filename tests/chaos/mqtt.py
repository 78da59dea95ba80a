"""MQTT 5 on the wire as far as a meddling proxy reads it (MQTT 5.0: 2.1, 3.3, 3.4): packets, PUBLISH, PUBACK. Pure."""

from typing import NamedTuple

PUBLISH = 0x30
PUBACK = 0x40
_KIND = 0xF0
_DUP = 0x08
_QOS = 0x06
_RETAIN = 0x01
_LENGTH_BYTES = 4


class WireError(ValueError):
    """Bytes that are no MQTT packet."""


class Publish(NamedTuple):
    """One PUBLISH; `mid` 0 at QoS 0. `mid_at` is where its two bytes are in the packet."""

    topic: str
    payload: bytes
    mid: int
    mid_at: int
    retained: bool


def split_packets(buffer: bytearray) -> list[bytes]:
    """Take the whole packets off the front of `buffer`; `WireError` where a length is malformed."""
    packets = []
    while (end := _packet_end(buffer)) is not None and end <= len(buffer):
        packets.append(bytes(buffer[:end]))
        del buffer[:end]
    return packets


def read_publish(packet: bytes) -> Publish | None:
    """The PUBLISH in a whole packet, None where it is another; `WireError` where it is malformed."""
    if packet[0] & _KIND != PUBLISH:
        return None
    _, at = _variable(packet, 1)
    size = int.from_bytes(packet[at : at + 2], "big")
    at, topic = at + 2 + size, packet[at + 2 : at + 2 + size]
    mid, mid_at = 0, at
    if packet[0] & _QOS:
        mid, at = int.from_bytes(packet[at : at + 2], "big"), at + 2
    properties, at = _variable(packet, at)
    if at + properties > len(packet):
        raise WireError("PUBLISH ends in its header")
    try:
        name = topic.decode()
    except UnicodeDecodeError as error:
        raise WireError("a topic that is no text") from error
    return Publish(name, packet[at + properties :], mid, mid_at, bool(packet[0] & _RETAIN))


def with_mid(packet: bytes, publish: Publish, mid: int) -> bytes:
    """The same PUBLISH at QoS 1 as a publication of its own: another packet id, not marked as sent again."""
    if not packet[0] & _QOS:
        raise WireError("no packet id at QoS 0")
    return (
        bytes([packet[0] & ~_DUP]) + packet[1 : publish.mid_at] + mid.to_bytes(2, "big") + packet[publish.mid_at + 2 :]
    )


def puback(mid: int) -> bytes:
    """An acknowledgement that says success."""
    return bytes([PUBACK, 2]) + mid.to_bytes(2, "big")


def acknowledged(packet: bytes) -> int | None:
    """The packet id of a PUBACK, None where the packet is another."""
    if packet[0] & _KIND != PUBACK or len(packet) < 4:
        return None
    return int.from_bytes(packet[2:4], "big")


def _packet_end(buffer: bytearray) -> int | None:
    """Where the first packet ends, None where that cannot be told yet."""
    length_bytes = buffer[1 : 1 + _LENGTH_BYTES]
    if not any(byte < 0x80 for byte in length_bytes):
        if len(length_bytes) == _LENGTH_BYTES:
            raise WireError("a length of more than four bytes")
        return None
    length, at = _variable(buffer, 1)
    return at + length


def _variable(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """A variable byte integer at `at`, and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + _LENGTH_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise WireError("a malformed length")
