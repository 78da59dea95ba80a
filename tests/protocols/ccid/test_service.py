"""What the reader's service says, byte by byte."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ccid.service import (
    COMMAND_REFUSED,
    FILE_SLOTS,
    NO_FILE_SLOT,
    Counters,
    Event,
    FileFact,
    Hello,
    ServiceError,
    digest_of,
    events_from_bytes,
    request,
)
from protocols.ccid.trace import TraceEntry, entries_from_bytes

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors/ccid/service.json").read_text())

texts = st.text(string.ascii_letters + string.digits + "./-_", max_size=40)
u8, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (8, 32, 64))
hashes = st.binary(min_size=32, max_size=32)


def test_requests_are_as_typed() -> None:
    for vector in VECTORS["requests"]:
        assert request(vector["function"], bytes.fromhex(vector["arguments"])) == bytes.fromhex(vector["bytes"])


def test_answers_are_as_typed() -> None:
    for vector in VECTORS["hello"]:
        *numbers, digest, version, board, slot, reason, floor = vector["fields"]
        hello = Hello(*numbers, bytes.fromhex(digest) * 32, version, board, slot, reason, floor)
        assert (hello.to_bytes(), Hello.from_bytes(hello.to_bytes())) == (bytes.fromhex(vector["bytes"]), hello)
    for vector in VECTORS["files"]:
        path, size, sha256 = vector["fields"]
        fact = FileFact(path, size, bytes.fromhex(sha256))
        assert (fact.to_bytes(), fact.line().decode()) == (bytes.fromhex(vector["bytes"]), vector["line"])
    for vector in VECTORS["counters"]:
        counters = Counters(*vector["fields"][:-1], tuple(map(tuple, vector["fields"][-1])))
        assert (counters.to_bytes(), Counters.from_bytes(counters.to_bytes())) == (
            bytes.fromhex(vector["bytes"]),
            counters,
        )
    for vector in VECTORS["events"]:
        event = Event(*vector["fields"])
        assert (event.to_bytes(), events_from_bytes(event.to_bytes() * 2)) == (
            bytes.fromhex(vector["bytes"]),
            [event, event],
        )


def test_a_trace_is_as_typed() -> None:
    vector = VECTORS["trace"]
    entries = [TraceEntry(*fields) for fields in vector["entries"]]
    assert entries_from_bytes(bytes.fromhex(vector["bytes"])) == (vector["first"], entries)
    written = vector["first"].to_bytes(4, "little") + b"".join(entry.to_bytes() for entry in entries)
    assert written == bytes.fromhex(vector["bytes"])


@given(st.tuples(u32, st.integers(0, 15), st.integers(0, 4), st.integers(0, 7), st.booleans(), u8))
def test_a_trace_entry_survives_the_line(fields: tuple[Any, ...]) -> None:
    entry = TraceEntry(*fields)
    assert TraceEntry.from_bytes(entry.to_bytes()) == entry


@pytest.mark.parametrize(("kind", "data"), [(kind, each) for kind, found in VECTORS["bad"].items() for each in found])
def test_other_bytes_are_refused(kind: str, data: str) -> None:
    parse: Any = {
        "hello": Hello.from_bytes,
        "counters": Counters.from_bytes,
        "events": events_from_bytes,
        "trace": entries_from_bytes,
    }[kind]
    with pytest.raises(ServiceError):
        parse(bytes.fromhex(data))


slots = st.sampled_from((*FILE_SLOTS, NO_FILE_SLOT))


@given(st.tuples(u8, u8, st.booleans(), u8, u32, u64, hashes, texts, texts, slots, texts, texts))
def test_a_hello_survives_the_line(fields: tuple[object, ...]) -> None:
    hello = Hello(*fields)
    assert Hello.from_bytes(hello.to_bytes()) == hello


@given(texts, u32, hashes)
def test_a_file_survives_the_line(path: str, size: int, sha256: bytes) -> None:
    fact = FileFact(path, size, sha256)
    assert FileFact.from_bytes(fact.to_bytes()) == fact


errors = st.lists(st.tuples(u8, u32), max_size=20).map(tuple)


@given(st.tuples(u32, u32, u32, u32, u32, u32, u32, st.booleans(), errors))
def test_counters_survive_the_line(fields: tuple[object, ...]) -> None:
    counters = Counters(*fields)
    assert Counters.from_bytes(counters.to_bytes()) == counters


@given(st.lists(st.tuples(u32, u64, st.integers(0, COMMAND_REFUSED), u8, u8, u8), max_size=16))
def test_events_survive_the_line(found: list[tuple[int, ...]]) -> None:
    events = [Event(*fields) for fields in found]
    assert events_from_bytes(b"".join(event.to_bytes() for event in events)) == events


@given(st.binary(max_size=120))
def test_any_bytes_are_an_answer_or_no_answer(data: bytes) -> None:
    for parse in (Hello.from_bytes, FileFact.from_bytes, Counters.from_bytes, events_from_bytes):
        try:
            parse(data)
        except ServiceError:
            continue


@given(st.lists(st.builds(FileFact, texts, u32, hashes), unique_by=lambda fact: fact.path, max_size=4))
def test_the_digest_knows_no_order_and_every_file(facts: list[FileFact]) -> None:
    assert digest_of(facts) == digest_of(facts[::-1])
    assert all(digest_of([each for each in facts if each is not fact]) != digest_of(facts) for fact in facts)
