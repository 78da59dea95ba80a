"""Every fuzz target for a moment, in CI for minutes; `make fuzz` runs them for as long as it is told."""

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.mutations import Target
from tests.fuzz.run import TARGETS, fuzz

EXAMPLES = 2000 if os.environ.get("CI") == "true" else 150


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target(target: Target) -> None:
    settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])(given(target.cases)(target.check))()


def test_what_breaks_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(data: bytes) -> None:
        assert b"\x3b" not in data, "this one"

    (atr,) = (target for target in TARGETS if target.name == "ATR")
    found = fuzz((atr, Target("broken", atr.cases, broken)), minutes=0, every=61)
    assert [(each.name, each.failed) for each in found] == [("ATR", False), ("broken", True), ("tearing", False)]
    assert found[0].cases > 100
    assert found[2].cases > 30
    assert "this one" in capsys.readouterr().err
