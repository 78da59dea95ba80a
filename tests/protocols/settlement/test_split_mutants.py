"""The vectors pin every rule of the split: each rule broken on purpose fails some vector."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocols.settlement import split as settlement_split
from protocols.settlement.bill import Split

MUTANTS: list[dict[str, str]] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors/settlement/mutants.toml").read_text(encoding="utf-8")
)["mutant"]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])
def test_a_broken_rule_shows(
    mutant: dict[str, str],
    vectors: dict[str, dict[str, Any]],
    split_vector: Callable[..., Split],
    in_yuan: Callable[[Split], dict[str, str]],
) -> None:
    source = Path(settlement_split.__file__).read_text(encoding="utf-8")
    assert source.count(mutant["right"]) == 1
    broken: dict[str, Any] = {"__name__": "broken_split"}
    exec(compile(source.replace(mutant["right"], mutant["wrong"]), "broken_split", "exec"), broken)  # noqa: S102

    def fails(vector: dict[str, Any]) -> bool:
        shown = in_yuan(split_vector(vector, broken["split_bill"]))
        return any(shown.get(name) != amount for name, amount in vector["expect"].items())

    assert any(fails(vector) for vector in vectors.values())
