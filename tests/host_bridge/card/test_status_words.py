"""Every status word of the card is a named condition that says what to do next."""

import tomllib
from pathlib import Path

import pytest

from host_bridge.card.errors import CardError, StatusError, refusal, text_key
from protocols.texts.catalogue import texts

VECTORS = tomllib.loads(
    Path(__file__).parents[2].joinpath("vectors/sscard/status_words.toml").read_text(encoding="utf-8")
)
GENERAL: list[dict[str, str]] = VECTORS["general"]
COMMANDS: dict[str, str] = VECTORS["commands"]
NOT_NAMED = "card_unexpected_status"


def condition(vector: dict[str, str]) -> StatusError:
    return refusal(int(vector["sw"], 16), int(vector["ins"], 16))


@pytest.mark.parametrize("vector", GENERAL, ids=lambda each: f"{each['sw']} to {each['ins']}")
def test_a_status_word_has_its_number_sentence_and_next_step(vector: dict[str, str]) -> None:
    error = condition(vector)
    key, facts = text_key(error)
    text = texts()[key]
    assert (text.number, f"{error.sw:04X}") == (vector["number"], vector["sw"])
    filled = text.en.fill({**facts, "place": "the agency", "hotline": "12333"})
    assert vector["says"].lower() in f"{filled.title} {filled.what}".lower()
    for words in (text.zh, text.en):
        shown = words.fill({**facts, "place": "…", "hotline": "12333"})
        assert all((shown.title, shown.what, shown.holder, shown.bill))
        assert "{" not in f"{shown}"


def test_no_two_status_words_share_a_condition() -> None:
    found: dict[str, set[str]] = {}
    for vector in GENERAL:
        found.setdefault(text_key(condition(vector))[0], set()).add(vector["sw"])
    shared = {key: words for key, words in found.items() if len(words) > 1}
    assert shared == {"pin_locked": {"63C0", "6983"}}  # the last try, and every try after it
    assert NOT_NAMED not in found


@pytest.mark.parametrize("ins", COMMANDS)
def test_every_error_a_command_lists_is_named(ins: str) -> None:
    unnamed = [sw for sw in COMMANDS[ins].split() if text_key(refusal(int(sw, 16), int(ins, 16)))[0] == NOT_NAMED]
    assert unnamed == []


def test_a_word_of_no_list_says_so_and_keeps_the_word() -> None:
    key, facts = text_key(refusal(0x6F42, 0xB2))
    assert (key, facts) == (NOT_NAMED, {"sw": "6F42"})


def test_conditions_are_card_errors_that_tell_nothing_of_the_card() -> None:
    for vector in GENERAL:
        error = condition(vector)
        assert isinstance(error, CardError)
        assert vector["sw"] in str(error)
