"""The cables from the reader's board, for WireViz: `hardware/harness.yml`. Both boards have the same."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hardware.circuit import Circuit, Placed
from hardware.pinmap import PinMap, keypad_wires

HEAD = """# Made by `make gen` from hardware/pinmap.toml; `make hardware` draws it.

metadata:
  title: Cables of the reader

options:
  fontname: sans-serif
"""
COLOURS = ("BN", "RD", "OG", "YE", "GN", "BU", "VT", "GY")


class Cable(NamedTuple):
    """A cable from a header of the board to another part: (pin, label) there, in the header's order."""

    name: str
    header: Placed
    other: str
    ends: tuple[tuple[str, str], ...]
    length_m: float


def cables(pinmap: PinMap) -> tuple[Cable, ...]:
    board = next(iter(pinmap.boards.values()))
    headers = {part.kind: part for part in Circuit(pinmap, board).placed}
    keypad = [wire.signal.removeprefix("keypad ") for wire in keypad_wires(board.keypad)]
    panel = [*(f"LED {colour} +" for colour in board.leds), "both LEDs -", "buzzer +", "buzzer -"]
    pulls = pinmap.raspberry_pi.pulls.values()
    pi = pinmap.modules[pinmap.raspberry_pi.module]
    ground = next(place for place in _places(pi.header, "GND") if place > max(int(pi.place(pin)) for pin in pulls))
    recovery = (*((pi.place(pin), pin) for pin in pulls), (str(ground), "GND"))
    return (
        Cable("keypad cable", headers["keypad_header"], "Keypad", _numbered(keypad), 0.3),
        Cable("panel cable", headers["panel_header"], "LEDs and buzzer", _numbered(panel), 0.3),
        Cable("recovery cable", headers["recovery_header"], pi.title, recovery, 0.2),
    )


def harness(pinmap: PinMap) -> str:
    """The file, as WireViz reads it."""
    made = cables(pinmap)
    connectors = "".join(
        _connector(cable.header.reference, f"{cable.header.kind.replace('_', ' ')} on the board", _own_ends(cable))
        + _connector(cable.other, "", cable.ends)
        for cable in made
    )
    wires = "".join(
        f"  {cable.name}:\n    colors: {_list(COLOURS[: len(cable.ends)])}\n    gauge: 0.14 mm2\n"
        f"    length: {cable.length_m}\n"
        for cable in made
    )
    joins = "".join(
        f"  -\n    - {cable.header.reference}: {_list(pin for pin, _ in _own_ends(cable))}\n"
        f"    - {cable.name}: {_list(range(1, len(cable.ends) + 1))}\n"
        f'    - "{cable.other}": {_list(pin for pin, _ in cable.ends)}\n'
        for cable in made
    )
    return f"{HEAD}\nconnectors:\n{connectors}\ncables:\n{wires}\nconnections:\n{joins}"


def _connector(name: str, kind: str, ends: Sequence[tuple[str, str]]) -> str:
    title = f"    type: {kind}\n" if kind else ""
    pins, labels = _list(pin for pin, _ in ends), _list(f'"{label}"' for _, label in ends)
    return f'  "{name}":\n{title}    pins: {pins}\n    pinlabels: {labels}\n'


def _own_ends(cable: Cable) -> tuple[tuple[str, str], ...]:
    return tuple((pin.number, pin.name) for pin in cable.header.pins)


def _numbered(labels: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((str(number), label) for number, label in enumerate(labels, 1))


def _places(header: Sequence[str], name: str) -> list[int]:
    return [number for number, each in enumerate(header, 1) if each == name]


def _list(items: Iterable[object]) -> str:
    return f"[{', '.join(map(str, items))}]"
