"""The pin map: what `pinmap.toml` says, checked. `hardware.pinmap_files` writes what is made from it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

PINMAP = Path(__file__).with_name("pinmap.toml")

CLASS_BITS = {"A": 1, "B": 2, "C": 4}
"""Class indicator of ISO 7816-3 (`reader.md B.1`)."""
DRIVEN_BY_THE_CHIP = "B"
"""The only class whose levels an RP2040 pin can give (`reader.md B.1`)."""
PIO_BLOCKS, STATE_MACHINES = 2, 4
UARTS = ("GP0", "GP1"), ("GP4", "GP5"), ("GP8", "GP9"), ("GP12", "GP13"), ("GP16", "GP17"), ("GP20", "GP21")
"""TX and RX that one UART of the RP2040 can have (RP2040 data sheet, table of GPIO functions)."""

Level = Literal[0, 1]
Classes = Annotated[str, msgspec.Meta(pattern="^A?B?C?$", min_length=1)]
OUT, IN, OPEN_DRAIN = "out", "in", "open drain"


class PinMapError(Exception):
    """The map names what cannot be wired; `faults` are sentences."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bought board: header pins in order from 1, pads by name."""

    title: str
    header: tuple[str, ...]
    pads: dict[str, str]
    inputs: tuple[str, ...]
    reserved: dict[str, str]

    def place(self, pin: str) -> str:
        """Where a pin is: its number on the header, or its pad; KeyError where it is not brought out."""
        return self.pads[pin] if pin in self.pads else str(self._numbers()[pin])

    def brings_out(self, pin: str) -> bool:
        return pin in self.pads or pin in self._numbers()

    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in reversed(list(enumerate(self.header, 1)))}


class PioPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: str
    pio: int


class Power(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: str
    on: Level
    rises_ms: int


class Presence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: str
    in_: Level = msgspec.field(name="in")


class Overcurrent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pin: str
    over: Level


class FrontEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chip between the RP2040 and the contacts; `levels` of its `select` pins by class."""

    name: str
    select: tuple[str, ...]
    levels: dict[Classes, tuple[Level, ...]]


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    classes: Classes
    io: PioPin
    clk: PioPin
    rst: str
    vcc: Power
    present: Presence
    overcurrent: Overcurrent | None = None
    front_end: FrontEnd | None = None

    @property
    def class_indicator(self) -> int:
        return sum(CLASS_BITS[each] for each in self.classes)


class Keypad(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: tuple[str, ...]
    columns: tuple[str, ...]


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    module: str
    console: tuple[str, str]
    slots: tuple[Slot, ...]
    keypad: Keypad
    leds: dict[str, str]
    buzzer: str


class Pulls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pins of the Raspberry Pi by the reader's input that each pulls to ground while it is high."""

    module: str
    pulls: dict[str, str]


class Wire(NamedTuple):
    """A pin's use, seen from its module. `pio` is the block that drives it."""

    pin: str
    signal: str
    direction: str
    pio: int | None = None


class PinMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    modules: dict[str, Module]
    boards: dict[str, Board]
    raspberry_pi: Pulls

    def faults(self) -> Iterator[str]:
        """What cannot work, a sentence each."""
        for name, board in self.boards.items():
            yield from _wire_faults(name, self.modules[board.module], wires(board))
            if board.console not in UARTS:
                yield f"{name}: {' and '.join(board.console)} are no UART for the console"
            for slot in board.slots:
                yield from _slot_faults(f"{name}, slot {slot.name}", slot)
            yield from _block_faults(name, board)
            for pulled in self.raspberry_pi.pulls:
                if pulled not in self.modules[board.module].inputs:
                    yield f"raspberry_pi: {pulled} is no input of {board.module}"
        yield from _wire_faults("raspberry_pi", self.modules[self.raspberry_pi.module], pull_wires(self.raspberry_pi))


def load_pinmap(path: Path = PINMAP) -> PinMap:
    """The map in `path`; `PinMapError` where it cannot work, `msgspec.ValidationError` where it is none."""
    pinmap = msgspec.toml.decode(path.read_bytes(), type=PinMap)
    faults = tuple(pinmap.faults())
    if faults:
        raise PinMapError(faults)
    return pinmap


def wires(board: Board) -> tuple[Wire, ...]:
    """Every pin that a board uses, in the order of the file."""
    return (
        Wire(board.console[0], "console TX", OUT),
        Wire(board.console[1], "console RX", IN),
        *(wire for slot in board.slots for wire in slot_wires(slot)),
        *keypad_wires(board.keypad),
        *(Wire(pin, f"LED {colour}", OUT) for colour, pin in board.leds.items()),
        Wire(board.buzzer, "buzzer", OUT),
    )


def slot_wires(slot: Slot) -> Iterator[Wire]:
    yield Wire(slot.io.pin, f"{slot.name} I/O", OPEN_DRAIN, slot.io.pio)
    yield Wire(slot.clk.pin, f"{slot.name} CLK", OUT, slot.clk.pio)
    yield Wire(slot.rst, f"{slot.name} RST", OUT)
    yield Wire(slot.vcc.pin, f"{slot.name} VCC", OUT)
    yield Wire(slot.present.pin, f"{slot.name} present", IN)
    if slot.overcurrent:
        yield Wire(slot.overcurrent.pin, f"{slot.name} overcurrent", IN)
    if slot.front_end:
        for number, pin in enumerate(slot.front_end.select):
            yield Wire(pin, f"{slot.name} class select {number}", OUT)


def keypad_wires(keypad: Keypad) -> Iterator[Wire]:
    yield from (Wire(pin, f"keypad row {number}", OUT) for number, pin in enumerate(keypad.rows, 1))
    yield from (Wire(pin, f"keypad column {number}", IN) for number, pin in enumerate(keypad.columns, 1))


def pull_wires(pulls: Pulls) -> tuple[Wire, ...]:
    return tuple(Wire(pin, f"pulls {pulled}", OUT) for pulled, pin in pulls.pulls.items())


def _wire_faults(name: str, module: Module, used: tuple[Wire, ...]) -> Iterator[str]:
    seen: dict[str, Wire] = {}
    for wire in used:
        what = f"{name}: {wire.pin} ({wire.signal})"
        if wire.pin in seen:
            yield f"{what} is {seen[wire.pin].signal} already"
        seen.setdefault(wire.pin, wire)
        if not module.brings_out(wire.pin):
            yield f"{what} is not brought out by {module.title}"
        elif wire.pin in module.inputs:
            yield f"{what} is an input only"
        elif not wire.pin.startswith("GP"):
            yield f"{what} is no general purpose pin"
        if wire.pin in module.reserved:
            yield f"{what} is reserved: {module.reserved[wire.pin]}"


def _block_faults(name: str, board: Board) -> Iterator[str]:
    """One program drives a block's I/O and fills it; a pin takes a state machine of its own."""
    used = Counter(pin.pio for slot in board.slots for pin in (slot.io, slot.clk))
    for block, machines in used.items():
        if block not in range(PIO_BLOCKS):
            yield f"{name}: there is no PIO block {block}"
        if machines > STATE_MACHINES:
            yield f"{name}: {machines} pins on the {STATE_MACHINES} state machines of PIO block {block}"
    both = {slot.io.pio for slot in board.slots} & {slot.clk.pio for slot in board.slots}
    yield from (f"{name}: PIO block {block} drives I/O and has no room for CLK" for block in both)


def _slot_faults(name: str, slot: Slot) -> Iterator[str]:
    if slot.front_end is None:
        yield from (f"{name}: class {each} needs a front end" for each in slot.classes if each != DRIVEN_BY_THE_CHIP)
        if slot.overcurrent is None:
            yield f"{name}: nothing tells of overcurrent"
        return
    levels, select = slot.front_end.levels, slot.front_end.select
    if "".join(sorted(levels)) != slot.classes:
        yield f"{name}: levels for classes {', '.join(levels)}, not for {slot.classes}"
    if len(set(levels.values())) < len(levels) or {len(each) for each in levels.values()} != {len(select)}:
        yield f"{name}: levels do not tell the classes apart"
