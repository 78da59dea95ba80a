"""The AsyncAPI document names every topic and every message, and its references resolve."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from protocols.events import asyncapi
from protocols.events.topics import TOPICS

DOCUMENT: dict[str, Any] = json.loads(asyncapi.text())


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _at(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_every_reference_resolves() -> None:
    found = set(_references(DOCUMENT))
    assert found
    for reference in found:
        assert _at(reference) is not None


def test_every_topic_is_a_channel_with_its_direction_and_retain_flag() -> None:
    for topic in TOPICS:
        operation = DOCUMENT["operations"][topic.name]
        assert DOCUMENT["channels"][topic.name]["address"] == f"ssc/1/{{bucket}}/{{terminal}}/{topic.name}"
        assert operation["action"] == {"up": "send", "down": "receive"}[topic.direction]
        assert operation["bindings"]["mqtt"] == {"qos": 1, "retain": topic.retained}


def test_the_centre_has_its_own_topics() -> None:
    assert DOCUMENT["channels"]["centre"]["address"] == "ssc/1/{bucket}/centre"
    assert DOCUMENT["operations"]["centre"]["bindings"]["mqtt"]["retain"] is True


@pytest.mark.parametrize(
    ("owner", "field", "held"), [("Entry", "event", "Event"), ("SignedReceipt", "receipt", "Receipt")]
)
def test_raw_fields_point_at_what_they_hold(owner: str, field: str, held: str) -> None:
    assert _at(f"#/components/schemas/{owner}")["properties"][field] == {"$ref": f"#/components/schemas/{held}"}


@pytest.mark.parametrize("name", ["Frame", "Event", "Settlement", "Refund", "Refusal", "Receipt", "Presence", "Person"])
def test_unknown_fields_are_refused_in_the_schema_too(name: str) -> None:
    assert _at(f"#/components/schemas/{name}")["additionalProperties"] is False


def test_no_schema_but_the_person_part_names_a_person() -> None:
    naming = {
        name
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if {"certno", "card_no", "name"} & set(schema.get("properties", {}))
    }
    assert naming == {"Person", "PersonQuery"}


def test_run_as_a_module_it_prints_the_document_and_checks_it() -> None:
    command = [sys.executable, "-m", "protocols.events.asyncapi"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == asyncapi.text()
    same = subprocess.run([*command, "--check"], input=printed, capture_output=True, text=True, check=False)
    drifted = subprocess.run([*command, "--check"], input=printed + " ", capture_output=True, text=True, check=False)
    assert (same.returncode, drifted.returncode) == (0, 1)
    assert "differs" in drifted.stderr


def test_other_arguments_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncapi.main(["--write"]) == 2
    assert "usage" in capsys.readouterr().err


def test_check_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("{}\n"))
    assert asyncapi.main(["--check"]) == 1
    assert capsys.readouterr().out == ""
