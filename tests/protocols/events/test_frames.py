"""Frames, signatures and receipts (design 3.1, 3.2, 3.3)."""

import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocols.events.events import Event, encode_event, event_hash
from protocols.events.frames import (
    Answer,
    Entry,
    Frame,
    Person,
    PersonAnswer,
    Receipt,
    Refused,
    SignedReceipt,
    Unknown,
    event_signature_holds,
    open_receipt,
    sign_event,
    sign_receipt,
)
from protocols.settlement.bill import Accumulators

CENTRE_KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
TERMINAL_KEY = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
RECEIPT = Receipt(
    terminal="110000-0001",
    epoch=1,
    seq=7,
    hash="ab" * 32,
    refused=(Refused(6, "C-001"),),
    missing=((3, 4),),
    time="2026-11-21T09:58:00.123+08:00",
)
receipts = st.builds(
    Receipt,
    terminal=st.text("abc-019", min_size=1, max_size=32),
    epoch=st.integers(1, 99),
    seq=st.integers(0, 10**9),
    hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
    refused=st.lists(st.builds(Refused, st.integers(1, 99), st.text("C-0123", max_size=6)), max_size=3).map(tuple),
    missing=st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), max_size=3).map(tuple),
    time=st.just("2026-11-21T09:58:00.123+08:00"),
)


@given(data=st.data())
def test_events_pass_through_a_frame_byte_for_byte(data: st.DataObject, events: st.SearchStrategy[Event]) -> None:
    stored = [encode_event(event) for event in data.draw(st.lists(events, min_size=1, max_size=4))]
    signature = sign_event(TERMINAL_KEY, event_hash(stored[-1]))
    person = Person("990101198802290036", "A12345678", "00ff")
    frame = Frame(
        terminal="a",
        epoch=1,
        entries=tuple(Entry(msgspec.Raw(each), person) for each in stored),
        signature=signature,
    )
    arrived = msgspec.json.decode(msgspec.json.encode(frame), type=Frame)
    assert [bytes(entry.event) for entry in arrived.entries] == stored
    digest = event_hash(arrived.entries[-1].event)
    assert event_signature_holds(TERMINAL_KEY.public_key(), digest, arrived.signature)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=70))
def test_no_other_bytes_are_a_signature(digest: bytes, signature: bytes) -> None:
    assert not event_signature_holds(TERMINAL_KEY.public_key(), digest.hex(), signature.hex())


@pytest.mark.parametrize("signature", ["", "zz", "0", "示", "00" * 63, "00" * 64, "00" * 65])
def test_a_malformed_signature_does_not_hold(signature: str) -> None:
    assert not event_signature_holds(TERMINAL_KEY.public_key(), "00" * 32, signature)


def test_a_signature_holds_for_its_event_and_its_key_only() -> None:
    signature = sign_event(TERMINAL_KEY, "00" * 32)
    assert event_signature_holds(TERMINAL_KEY.public_key(), "00" * 32, signature)
    assert not event_signature_holds(TERMINAL_KEY.public_key(), "01" * 32, signature)
    assert not event_signature_holds(CENTRE_KEY.public_key(), "00" * 32, signature)


def test_a_signature_over_an_event_is_none_over_a_receipt() -> None:
    body = msgspec.json.encode(RECEIPT)
    lifted = msgspec.json.encode(SignedReceipt(msgspec.Raw(body), sign_event(CENTRE_KEY, event_hash(body))))
    with pytest.raises(ValueError, match="signature"):
        open_receipt(CENTRE_KEY.public_key(), lifted)


@given(receipts)
def test_a_receipt_reads_back(receipt: Receipt) -> None:
    assert open_receipt(CENTRE_KEY.public_key(), sign_receipt(CENTRE_KEY, receipt)) == receipt


@given(data=st.data())
def test_a_receipt_with_a_changed_byte_is_refused_or_says_the_same(data: st.DataObject) -> None:
    payload = bytearray(sign_receipt(CENTRE_KEY, RECEIPT))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        opened = open_receipt(CENTRE_KEY.public_key(), bytes(payload))
    except ValueError:
        return
    assert opened == RECEIPT


def test_a_receipt_of_another_key_is_refused() -> None:
    with pytest.raises(ValueError, match="signature"):
        open_receipt(TERMINAL_KEY.public_key(), sign_receipt(CENTRE_KEY, RECEIPT))


@pytest.mark.parametrize("change", [{"version": 2}, {"seq": "7"}, {"extra": 1}, {"missing": [[1]]}])
def test_an_authentic_receipt_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    body = json.dumps(json.loads(msgspec.json.encode(RECEIPT)) | change).encode()
    signature = CENTRE_KEY.sign(b"ssc-receipt-1" + body).hex()
    with pytest.raises(ValueError, match="malformed"):
        open_receipt(CENTRE_KEY.public_key(), msgspec.json.encode(SignedReceipt(msgspec.Raw(body), signature)))


DEEP = b"[" * 200_000


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"\xff", b'{"receipt":{"terminal":"\xff"},"signature":""}', DEEP, b'{"receipt":' + DEEP],
    ids=["empty", "null", "byte", "not utf-8", "deep", "deep inside"],
)
def test_broken_receipts_are_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        open_receipt(CENTRE_KEY.public_key(), payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_receipt_or_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        open_receipt(CENTRE_KEY.public_key(), payload)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"epoch": "1"},
        {"surprise": 1},
        {"entries": [{}]},
        {"entries": [{"event": 1, "name": "李"}]},
    ],
)
def test_frames_of_another_shape_are_refused(change: dict[str, Any]) -> None:
    body = {"version": 1, "terminal": "a", "epoch": 1, "entries": [], "signature": ""} | change
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(body).encode(), type=Frame)


def test_an_answer_says_which_kind_it_is() -> None:
    person = PersonAnswer(
        insutype="310",
        psn_type="1101",
        psn_insu_stas="1",
        insuplc_admdvs="110000",
        balc=None,
        card_state="active",
        default_pin=False,
        year=2026,
        version=3,
        accumulators=Accumulators(165035, 0),
    )
    for answer in (person, Unknown("C-002")):
        assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer
