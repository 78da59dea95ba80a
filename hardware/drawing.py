"""A circuit as a drawing for Graphviz: `python -m hardware.drawing BOARD | dot -Tsvg > circuit.svg`.

A block to a column. Pins with the same net beside them are joined.
"""

import sys
from html import escape

from hardware.circuit import SUPPLIES, Circuit, PartKind, Placed, circuits, load_parts
from hardware.pinmap import load_pinmap

HEAD = """digraph circuit {
  graph [rankdir=LR, ranksep=0.1, bgcolor=white];
  node [shape=plain, fontname="sans-serif", fontsize=10];
  edge [style=invis];
"""
TABLE = '<table border="1" cellborder="0" cellspacing="0" cellpadding="2">'
SUPPLY, SIGNAL = "#a33000", "#1f5d8c"
TWO_PINS = ("R", "C")


def drawing(name: str, circuit: Circuit) -> str:
    """Text for `dot`."""
    kinds = load_parts()
    blocks = dict.fromkeys(part.block for part in circuit.placed)
    columns = ""
    for block in blocks:
        boxes = (_box(part, kinds[part.kind]) for part in circuit.placed if part.block == block)
        rows = "".join(f"<tr><td>{box}</td></tr>" for box in boxes)
        title = f'<tr><td><font point-size="14">{name}: {escape(block)}</font></td></tr>'
        columns += f'  "{block}" [label=<<table border="0" cellspacing="4">{title}{rows}</table>>];\n'
    return HEAD + columns + "  " + " -> ".join(f'"{block}"' for block in blocks) + ";\n}\n"


def _box(part: Placed, kind: PartKind) -> str:
    if part.reference.startswith(TWO_PINS):
        one, other = (_label(net) for net in part.nets.values())
        value = f"{part.reference} {escape(kind.title.split(',')[0])}"
        return f"{TABLE}<tr><td>{one}</td><td>{value}</td><td>{other}</td></tr></table>"
    rows = "".join(
        f'<tr><td align="right"><font color="#777777">{escape(pin.number)}</font></td>'
        f'<td align="left">{escape(pin.name)}</td><td align="left">{_label(part.nets[pin.name])}</td></tr>'
        for pin in part.pins
    )
    head = f"<b>{part.reference}</b>&#160;{escape(kind.title.split(':')[0].split(',')[0])}"
    head += "" if kind.source else " (pins unverified)"
    return f'{TABLE}<tr><td colspan="3" bgcolor="#e8eef3">{head}</td></tr>{rows}</table>'


def _label(net: str | None) -> str:
    if net is None:
        return '<font color="#777777">open</font>'
    return f'<font color="{SUPPLY if net in SUPPLIES else SIGNAL}">{escape(net)}</font>'


if __name__ == "__main__":
    print(drawing(sys.argv[1], dict(circuits(load_pinmap()))[sys.argv[1]]), end="")
