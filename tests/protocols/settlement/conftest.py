"""The vectors of `tests/vectors/settlement` as tests see them."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.settlement import split as settlement_split
from protocols.settlement.bill import Accumulators, FeeLine, Split
from protocols.settlement.codes import Label
from protocols.settlement.money import fen, yuan
from protocols.settlement.profile import find_rules
from protocols.settlement.split import SplitRules

VECTORS = Path(__file__).parents[2] / "vectors" / "settlement"
Vector = dict[str, Any]
SplitVector = Callable[..., Split]


def all_vectors() -> list[Vector]:
    """Those of settlement.md C.4 word for word, the published ones, and those worked by hand."""
    found: list[Vector] = json.loads((VECTORS / "c4.json").read_text(encoding="utf-8"))
    for name in ("published.toml", "worked.toml"):
        found += tomllib.loads((VECTORS / name).read_text(encoding="utf-8"))["vector"]
    return found


def fee_line(line: dict[str, str]) -> FeeLine:
    """A line in the shape of C.4."""
    return FeeLine(
        chrgitm_lv=line["lv"],  # type: ignore[arg-type]
        pric=line["pric"],
        cnt=line["cnt"],
        selfpay_prop=line.get("prop"),
        pric_uplmt_amt=line.get("uplmt"),
    )


def rules_of(vector: Vector) -> SplitRules:
    """The named split, or the simulated test split written in the vector."""
    if "profile" in vector:
        return find_rules(vector["profile"])
    figures = vector["rules"]
    return SplitRules(
        name=vector["id"],
        fund=Label("测试", "Test"),
        simulated=True,
        acct_scope=figures["acct_scope"],
        ratio=figures["ratio"],
        deductible=fen(figures.get("deductible", "0.00")),
        limit=fen(figures["limit"]) if "limit" in figures else None,
    )


def split_vector(vector: Vector, split_bill: Callable[..., Split] = settlement_split.split_bill) -> Split:
    """A vector's bill, split."""
    account = vector.get("account")
    return split_bill(
        [fee_line(line) for line in vector["lines"]],
        rules_of(vector),
        Accumulators(fen(vector["before"]["inscope"]), fen(vector["before"]["big"])),
        account=None if account is None else fen(account),
        acct_scope=vector.get("acct_scope"),
        rounding=vector.get("rounding", "line"),
    )


def in_yuan(split: Split) -> dict[str, str]:
    """A split as the vectors write it."""
    return {name: yuan(amount) for name, amount in msgspec.structs.asdict(split).items() if amount is not None}


@pytest.fixture
def vectors() -> dict[str, Vector]:
    """All vectors by their name."""
    return {vector["id"]: vector for vector in all_vectors()}


@pytest.fixture(name="split_vector")
def split_vector_fixture() -> SplitVector:
    """`split_vector(vector, split_bill)`."""
    return split_vector


@pytest.fixture(name="in_yuan")
def in_yuan_fixture() -> Callable[[Split], dict[str, str]]:
    """`in_yuan(split)`."""
    return in_yuan


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `vector` runs once for each."""
    if "vector" in metafunc.fixturenames:
        metafunc.parametrize("vector", all_vectors(), ids=lambda vector: vector["id"])
