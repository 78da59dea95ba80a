"""Events: bytes, hashes and what a reader refuses (design 3.1, 7)."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.events.clock import business_day, rfc3339
from protocols.events.events import (
    Event,
    Refusal,
    Stamp,
    decode_event,
    encode_event,
    event_hash,
    event_id,
    event_key,
    person_hash,
)


def _refusal() -> Event:
    return Event(
        id="110000-0001/1/7",
        source="110000-0001",
        type="ssc.refusal",
        time="2026-11-21T09:58:00.123+08:00",
        prev="00" * 32,
        clock=Stamp(1, "boot", True),
        data=Refusal(number="-52", step="pin", sw="6983"),
    )


@given(data=st.data())
def test_an_event_reads_back(data: st.DataObject, events: st.SearchStrategy[Event]) -> None:
    event = data.draw(events)
    assert decode_event(encode_event(event)) == event


@given(data=st.data())
def test_raw_bytes_in_a_frame_hash_like_the_stored_ones(data: st.DataObject, events: st.SearchStrategy[Event]) -> None:
    stored = encode_event(data.draw(events))
    assert event_hash(msgspec.Raw(stored)) == event_hash(stored)
    assert event_hash(stored) == hashlib.sha256(b"ssc-event-1" + stored).hexdigest()


def test_hashes_typed_by_hand() -> None:
    # printf 'ssc-event-1{}' | sha256sum
    assert event_hash(b"{}") == "60bab087c18949cd8e53634acf8c8f7d773c283c4cafbde4a9a76b74fa800f43"
    # printf 'ssc-person-1\x00\x01990101198802290036' | sha256sum
    assert person_hash("990101198802290036", "0001") == (
        "27a94dd9b7053e756f2ffb0a02a8d81e1e4dc55f158bc4dc290ca60d37d2796e"
    )


@given(st.from_regex(r"[0-9A-Za-z-]{1,32}", fullmatch=True), st.integers(1, 10**6), st.integers(1, 10**12))
def test_an_event_id_reads_back(terminal: str, epoch: int, seq: int) -> None:
    assert event_key(event_id(terminal, epoch, seq)) == (terminal, epoch, seq)


@pytest.mark.parametrize(
    "name",
    ["", "a", "a/1", "a/1/1/1", "a/0/1", "a/1/0", "a/-1/1", "a/01/1", "a/1/ 1", "a/1/1_0", "a/1/\u0661",
     "a/x/1", "/1/1", "centre/1/1", "示范/1/1", "a b/1/1", "a" * 33 + "/1/1", "a/1/" + "9" * 5000],
)  # fmt: skip
def test_names_that_are_no_event_id(name: str) -> None:
    with pytest.raises(ValueError):
        event_key(name)


@given(st.text(max_size=40))
def test_any_text_is_an_event_id_or_a_value_error(name: str) -> None:
    try:
        key = event_key(name)
    except ValueError:
        return
    assert event_id(*key) == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("specversion", "1.1"),
        ("type", "ssc.loan"),
        ("dataschema", "ssc:event/2"),
        ("datacontenttype", "text/plain"),
        ("prev", None),
        ("clock", {"monotonic_ms": 1.5, "boot_id": "b", "trusted": True}),
        ("clock", {"monotonic_ms": 1, "boot_id": "b", "trusted": 1}),
        ("data", {"kind": "refusal", "number": "-52"}),
        ("data", {"kind": "loan"}),
        ("surprise", 1),
    ],
)
def test_unknown_versions_fields_and_kinds_are_refused(field: str, value: object) -> None:
    body = json.loads(encode_event(_refusal()))
    with pytest.raises(msgspec.ValidationError):
        decode_event(json.dumps(body | {field: value}).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"\xff", b'{"id":"\xff"}', b'{"id":"\\ud800"}', b"[" * 200_000],
    ids=["empty", "open", "null", "array", "byte", "not utf-8", "surrogate", "deep"],
)
def test_broken_bytes_are_a_msgspec_error(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_event(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_a_msgspec_error(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_event(data)


@given(data=st.data())
def test_a_flipped_byte_changes_the_hash(data: st.DataObject, events: st.SearchStrategy[Event]) -> None:
    stored = bytearray(encode_event(data.draw(events)))
    before = event_hash(bytes(stored))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    assert event_hash(bytes(stored)) != before


def test_time_is_written_in_shanghai_with_milliseconds() -> None:
    moment = datetime(2026, 11, 20, 16, 0, 0, 123999, tzinfo=UTC)
    assert rfc3339(moment) == "2026-11-21T00:00:00.123+08:00"
    assert business_day(moment) == "2026-11-21"
    assert business_day(moment - timedelta(seconds=1)) == "2026-11-20"
