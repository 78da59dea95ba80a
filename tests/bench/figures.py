"""Medians with their ranges: how measurements of a shared machine are told."""

import statistics
from collections.abc import Sequence


def told(name: str, values: Sequence[float]) -> dict[str, float | list[float]]:
    """`name`: the median of some rounds; `name_range`: the least and the greatest of them."""
    return {
        name: round(statistics.median(values), 3),
        f"{name}_range": [round(min(values), 3), round(max(values), 3)],
    }


def p99(values: Sequence[float]) -> float:
    """The 99th percentile of one round."""
    return statistics.quantiles(values, n=100)[98]
