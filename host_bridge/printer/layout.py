"""Lines of 32 display cells (58 mm paper): what every slip is laid out with."""

import unicodedata
from typing import NamedTuple

WIDTH = 32
"""Cells of a line; a Chinese character takes two."""
RULE = "-" * WIDTH


class Line(NamedTuple):
    """One printed line. `large` doubles its height; only a machine-readable line may be longer than `WIDTH`."""

    text: str
    large: bool = False


def cells(text: str) -> int:
    """Display cells by East Asian width; ambiguous characters have two bytes and two cells in GBK."""
    return sum(2 if unicodedata.east_asian_width(each) in "WFA" else 1 for each in text)


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    """The text broken wherever a line is full; at least one line."""
    rows, row = [], ""
    for each in text:
        if cells(row + each) > width:
            rows.append(row)
            row = ""
        row += each
    return [*rows, row]


def centred(text: str, *, large: bool = False) -> list[Line]:
    """Wrapped and centred."""
    return [Line(" " * ((WIDTH - cells(row)) // 2) + row, large) for row in wrapped(text)]


def pair(left: str, right: str, *, large: bool = False) -> list[Line]:
    """Label at the left edge, value at the right; on separate lines where they do not fit into one."""
    space = WIDTH - cells(left) - cells(right)
    if space >= 1:
        return [Line(left + " " * space + right, large)]
    rows = wrapped(left)
    return [Line(row, large) for row in rows] + [
        Line(" " * (WIDTH - cells(row)) + row, large) for row in wrapped(right)
    ]


def paragraph(text: str) -> list[Line]:
    """Wrapped text."""
    return [Line(row) for row in wrapped(text)]
