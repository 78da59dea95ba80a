"""Writes what is made from the pin map: `python -m hardware.pinmap_files`; with `--check` it compares instead."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from hardware.harness import harness
from hardware.pinmap import CLASS_BITS, Board, PinMap, Slot, Wire, load_pinmap, pull_wires, wires

ROOT = Path(__file__).parent.parent
PAGE_HEAD = """# Pins

Made by `make gen` from `hardware/pinmap.toml`, the only list of pins written by hand. `hardware/pinmap.py` refuses a
pin that is used twice, not brought out, reserved, or an input where an output is wanted; I/O and CLK in one PIO block,
which the program for I/O fills; classes A and C without a front end.
"""


def files(pinmap: PinMap) -> dict[str, str]:
    """Text by path below the tree's root."""
    made = {f"firmware/boards/{name}/pins.py": board_pins(name, board) for name, board in pinmap.boards.items()}
    made["host_bridge/readers/pins.py"] = raspberry_pi_pins(pinmap)
    return {**made, "docs/pins.md": page(pinmap), "hardware/harness.yml": harness(pinmap)}


def board_pins(name: str, board: Board) -> str:
    """The module of constants that the firmware imports."""
    slots = board.slots
    rows = "".join(f"    ({_slot_numbers(slot)}),  # {slot.name}\n" for slot in slots)
    overcurrent = ", ".join(
        f"({_number(slot.overcurrent.pin)}, {slot.overcurrent.over})" if slot.overcurrent else "None" for slot in slots
    )
    return f'''"""Pins of the board `{name}`, made by `make gen` from hardware/pinmap.toml.

One item per slot in every tuple but the last four. VCC powers the card at VCC_ON and is there after VCC_RISES_MS;
PRESENT tells of a card at CARD_IN; OVERCURRENT is a pin and its level, None where PRESENT changes for that too.
"""

# I/O, CLK, RST, VCC, PRESENT
SLOTS = (
{rows})
CLASSES = {_tuple(slot.class_indicator for slot in slots)}  # class indicator: 1 A, 2 B, 4 C
VCC_ON = {_tuple(slot.vcc.on for slot in slots)}
VCC_RISES_MS = {_tuple(slot.vcc.rises_ms for slot in slots)}
CARD_IN = {_tuple(slot.present.in_ for slot in slots)}
OVERCURRENT: "tuple[tuple[int, int] | None, ...]" = ({overcurrent})

# pins that choose a class, and their levels for each
CLASS_SELECT: "tuple[tuple[int, ...], ...]" = ({", ".join(map(_select, slots))})
CLASS_LEVELS: "tuple[dict[int, tuple[int, ...]], ...]" = ({", ".join(map(_levels, slots))})

KEYPAD_ROWS = {_tuple(map(_number, board.keypad.rows))}
KEYPAD_COLUMNS = {_tuple(map(_number, board.keypad.columns))}
LEDS = {_tuple(map(_number, board.leds.values()))}  # {", ".join(board.leds)}
BUZZER = {_number(board.buzzer)}
'''


def raspberry_pi_pins(pinmap: PinMap) -> str:
    """The module of gpiozero's pin names."""
    pulls = "".join(f'{pulled} = "{pin}"\n' for pulled, pin in pinmap.raspberry_pi.pulls.items())
    return f'''"""Pins of the Raspberry Pi that pull the reader's inputs low, by gpiozero's names.

Made by `make gen` from hardware/pinmap.toml.
"""

{pulls}'''


def page(pinmap: PinMap) -> str:
    """docs/pins.md."""
    return PAGE_HEAD + "".join(_sections(pinmap))


def _sections(pinmap: PinMap) -> Iterator[str]:
    for name, board in pinmap.boards.items():
        module = pinmap.modules[board.module]
        yield f"\n## Board `{name}`: {board.title}\n\n"
        yield f"| {module.title} | header | signal | direction | driven by |\n|---|---|---|---|---|\n"
        for wire in wires(board):
            yield _row(wire, module.place(wire.pin), "software" if wire.pio is None else f"PIO block {wire.pio}")
    pulls = pinmap.raspberry_pi
    module = pinmap.modules[pulls.module]
    reader = pinmap.modules["pico"]
    yield "\n## Raspberry Pi\n\nA high level pulls the reader's input to ground through a transistor.\n\n"
    yield f"| {module.title} | header | signal | direction | to the reader's |\n|---|---|---|---|---|\n"
    for wire, pulled in zip(pull_wires(pulls), pulls.pulls, strict=True):
        yield _row(wire, module.place(wire.pin), f"{pulled}, {reader.place(pulled)}")


def _row(wire: Wire, place: str, last: str) -> str:
    return f"| `{wire.pin}` | {place} | {wire.signal} | {wire.direction} | {last} |\n"


def _slot_numbers(slot: Slot) -> str:
    pins = (slot.io.pin, slot.clk.pin, slot.rst, slot.vcc.pin, slot.present.pin)
    return ", ".join(str(_number(pin)) for pin in pins)


def _select(slot: Slot) -> str:
    return _tuple(map(_number, slot.front_end.select)) if slot.front_end else "()"


def _levels(slot: Slot) -> str:
    if slot.front_end is None:
        return "{}"
    levels = slot.front_end.levels
    return "{" + ", ".join(f"{CLASS_BITS[name]}: {_tuple(levels[name])}" for name in levels) + "}"


def _number(pin: str) -> int:
    return int(pin.removeprefix("GP"))


def _tuple(values: Iterable[int]) -> str:
    return repr(tuple(values))


def main(arguments: list[str]) -> int:
    """Write, or 1 where `--check` finds that a file drifted."""
    drifted = False
    for name, text in files(load_pinmap()).items():
        path = ROOT / name
        if arguments == ["--check"]:
            there = path.read_text("utf-8") if path.exists() else ""
            sys.stdout.writelines(
                difflib.unified_diff(there.splitlines(True), text.splitlines(True), name, "made anew")
            )
            drifted |= there != text
        else:
            path.write_text(text, "utf-8")
    return int(drifted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
