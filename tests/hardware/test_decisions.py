"""Every figure of hardware/decisions.md is what its formula gives, and keeps its limit."""

import ast
import math
import operator
import re
from pathlib import Path

import pytest

DECISIONS = (Path(__file__).parents[2] / "hardware/decisions.md").read_text("utf-8")
ROWS = re.findall(r"^\| (.+?) \| `(.+?)` \| (.+?) \| (.*?) ?\|$", DECISIONS, re.MULTILINE)
PREFIXES = {"p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "k": 1e3}
UNITS = ("etu", "W", "V", "A", "F", "Ω", "s")
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def computed(node: ast.expr) -> float:
    """Numbers, + - * / and log(): all that a formula may have."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.BinOp(left=left, op=op, right=right):
            return float(OPERATORS[type(op)](computed(left), computed(right)))
        case ast.Call(func=ast.Name(id="log"), args=[argument]):
            return math.log(computed(argument))
    raise ValueError(ast.dump(node))


def quantity(text: str) -> tuple[float, float]:
    """A figure with its unit in SI, and half its last digit."""
    number, unit = text.split()
    base = next(each for each in UNITS if unit.endswith(each))
    factor = PREFIXES[unit.removesuffix(base)] if unit != base else 1.0
    decimals = len(number.partition(".")[2])
    return float(number) * factor, 0.5000001 * 10**-decimals * factor


@pytest.mark.parametrize(("figure", "formula", "result", "limit"), ROWS, ids=[row[0] for row in ROWS])
def test_the_figure_is_what_its_formula_gives(figure: str, formula: str, result: str, limit: str) -> None:
    value = computed(ast.parse(formula, mode="eval").body)
    shown, rounding = quantity(result)
    assert value == pytest.approx(shown, abs=rounding)
    if limit:
        bound, _ = quantity(limit[2:])
        assert value <= bound if limit[0] == "≤" else value >= bound


def test_the_pull_up_is_computed_for_the_slowest_and_the_fastest_rate() -> None:
    figures = " ".join(row[0] for row in ROWS)
    assert "372/1" in figures
    assert "512/64" in figures
