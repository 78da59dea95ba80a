"""Labels of the national code tables (settlement.md B.6, D.3, D.5): `codes.toml`, Chinese and English."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec


class Label(NamedTuple):
    """A short text for people, Chinese first."""

    zh: str
    en: str


@cache
def code_tables() -> dict[str, dict[str, Label]]:
    """All tables by their field's name."""
    path = Path(__file__).with_name("codes.toml")
    return msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, Label]])


def label(table: str, code: str) -> Label:
    """What `code` of a table such as `insutype` is called; `KeyError` where there is no such table.

    A finer code has the label of its group (`1103` that of `11`); one that is in no group stands for itself.
    """
    labels = code_tables()[table]
    return labels.get(code) or labels.get(code[:2]) or Label(code, code)
