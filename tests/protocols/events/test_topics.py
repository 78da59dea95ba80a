"""Topics and terminal ids (design 3.2, 3.3, 7)."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.events.topics import (
    BUCKETS,
    TOPICS,
    bucket,
    centre_topic,
    is_terminal_id,
    terminal_of,
    topic,
)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-"
terminals = st.text(ALPHABET, min_size=1, max_size=32).filter(lambda name: name != "centre")
names = st.sampled_from([each.name for each in TOPICS])


@given(terminals, names)
def test_a_full_topic_reads_back(terminal: str, name: str) -> None:
    assert terminal_of(topic(terminal, name)) == (bucket(terminal), terminal, name)


@given(terminals)
def test_the_bucket_is_the_first_byte_of_the_hash_modulo_64(terminal: str) -> None:
    assert bucket(terminal) == hashlib.sha256(terminal.encode()).digest()[0] % 64
    assert 0 <= bucket(terminal) < BUCKETS


def test_a_topic_typed_by_hand() -> None:
    # printf 110000-0001 | sha256sum begins with 21 (hex)
    assert topic("110000-0001", "event") == "ssc/1/33/110000-0001/event"
    assert topic("110000-0001", "receipt") == "ssc/1/33/110000-0001/receipt"
    assert centre_topic(51) == "ssc/1/51/centre"


def test_what_a_terminal_writes_and_reads() -> None:
    up = {each.name for each in TOPICS if each.direction == "up"}
    down = {each.name for each in TOPICS if each.direction == "down"}
    assert up == {"event", "presence", "query", "key"}
    assert down == {"receipt", "answer", "desired"}
    assert {each.name for each in TOPICS if each.retained} == {"presence", "desired"}


@pytest.mark.parametrize(
    "name", ["", "centre", "a" * 33, "a/b", "a+", "#", "示范", "a b", "a\n", "a.b", "\u0661", "a_b"]
)
def test_names_that_are_no_terminal_id(name: str) -> None:
    assert not is_terminal_id(name)


@pytest.mark.parametrize(
    "full",
    [
        "",
        "ssc/1/0/a",
        "ssc/1/0/a/event/more",
        "ssc/2/0/a/event",
        "/ssc/1/0/a/event",
        "ssc/1/64/a/event",
        "ssc/1/-1/a/event",
        "ssc/1/07/a/event",
        "ssc/1/\u0661/a/event",
        "ssc/1//a/event",
        "ssc/1/0/centre/event",
        "ssc/1/0/+/event",
        "ssc/1/0/a/receipts",
        "ssc/1/0/a/#",
    ],
)
def test_topics_that_are_not_ours(full: str) -> None:
    with pytest.raises(ValueError):
        terminal_of(full)


@given(st.text(max_size=60))
def test_any_text_is_a_topic_of_ours_or_a_value_error(full: str) -> None:
    try:
        number, terminal, name = terminal_of(full)
    except ValueError:
        return
    assert full == f"ssc/1/{number}/{terminal}/{name}"
