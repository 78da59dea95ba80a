"""MQTT packets as the proxy reads them: built as the standard has them, however they arrive, and anything at all."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.mqtt import WireError, acknowledged, puback, read_publish, split_packets, with_mid

TOPICS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="#+\0"), min_size=1, max_size=40)


def length(value: int) -> bytes:
    """A variable byte integer (MQTT 5.0, 1.5.5)."""
    encoded = bytearray()
    while True:
        value, digit = divmod(value, 0x80)
        encoded.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def publish_of(topic: str, payload: bytes, *, flags: int, mid: int, properties: bytes) -> bytes:
    """A PUBLISH (MQTT 5.0, 3.3); flags: 8 again, 2 QoS 1, 1 retain."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    body += mid.to_bytes(2, "big") if flags & 2 else b""
    body += length(len(properties)) + properties + payload
    return bytes([0x30 | flags]) + length(len(body)) + body


@given(
    topic=TOPICS,
    payload=st.binary(max_size=300),
    mid=st.integers(1, 0xFFFF),
    flags=st.sampled_from([0, 1, 2, 3, 10, 11]),
    properties=st.binary(max_size=200),
    own=st.integers(0x8000, 0xFFFF),
)
def test_a_publish_is_read_and_becomes_another(
    *, topic: str, payload: bytes, mid: int, flags: int, properties: bytes, own: int
) -> None:
    packet = publish_of(topic, payload, flags=flags, mid=mid, properties=properties)
    publish = read_publish(packet)
    assert publish is not None
    assert publish[:3] == (topic, payload, mid if flags & 2 else 0)
    assert publish.retained == bool(flags & 1)
    if flags & 2:
        again = publish_of(topic, payload, flags=flags & ~8, mid=own, properties=properties)
        assert with_mid(packet, publish, own) == again
    else:
        with pytest.raises(WireError):
            with_mid(packet, publish, own)


@given(packets=st.lists(st.tuples(st.integers(1, 15), st.binary(max_size=200)), max_size=8), data=st.data())
def test_packets_are_the_same_however_they_arrive(packets: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = [bytes([kind << 4]) + length(len(body)) + body for kind, body in packets]
    stream = b"".join(whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    buffer, found = bytearray(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        buffer += stream[start:end]
        found += split_packets(buffer)
    assert found == whole
    assert not buffer


# MQTT 5.0, 1.5.5: table of the variable byte integer
@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (16384, "808001"), (2097151, "ffff7f")],
)
def test_the_length_is_that_of_the_standard(value: int, encoded: str) -> None:
    header = bytes.fromhex("30" + encoded)
    assert length(value) == header[1:]
    buffer = bytearray(header + bytes(value) + b"\x40")
    assert split_packets(buffer) == [header + bytes(value)]
    assert buffer == b"\x40"


@given(mid=st.integers(1, 0xFFFF))
def test_a_puback_names_its_packet(mid: int) -> None:
    assert acknowledged(puback(mid)) == mid
    assert split_packets(bytearray(puback(mid))) == [puback(mid)]
    assert read_publish(puback(mid)) is None


@given(noise=st.binary(max_size=60))
def test_noise_ends_in_packets_or_a_wire_error(noise: bytes) -> None:
    buffer = bytearray(noise)
    with suppress(WireError):
        for packet in split_packets(buffer):
            assert len(packet) >= 2
            acknowledged(packet)
            with suppress(WireError):
                read_publish(packet)


def test_an_endless_length_is_an_error() -> None:
    with pytest.raises(WireError):
        split_packets(bytearray(b"\x30\xff\xff\xff\xff\x01"))
