"""The reader's circuit, a board at a time: parts by reference and what is joined, wired after the pin map.

`hardware.circuit_rules` checks it with SKiDL, `hardware.drawing` draws it.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from hardware.pinmap import IN, OPEN_DRAIN, OUT, Board, PinMap, Slot, keypad_wires, wires

PARTS = Path(__file__).with_name("parts.toml")

GND, V3V3, V3V0, VSYS = "GND", "3V3", "3V0", "VSYS"
SUPPLIES = (GND, V3V3, V3V0, VSYS)

Kind = Literal["power_in", "power_out", "input", "output", "open_drain", "passive"]
GPIO_KINDS: dict[str, Kind] = {OUT: "output", IN: "input", OPEN_DRAIN: "open_drain"}
MODULE_KINDS: dict[str, Kind] = {"3V3": "power_out", "VSYS": "power_out", "GND": "passive", "AGND": "passive"}


class CircuitError(Exception):
    """A part was placed with pins it does not have, or without some it has; `part` and `pins` say which."""

    def __init__(self, part: str, pins: frozenset[str]) -> None:
        self.part, self.pins = part, pins
        super().__init__(f"{part}: {', '.join(sorted(pins))}")


class Pin(NamedTuple):
    number: str
    name: str
    kind: Kind


class PartKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`source` is what the pins were checked against; empty: unverified."""

    prefix: str
    title: str
    pins: tuple[str, ...]
    source: str = ""

    def all_pins(self) -> tuple[Pin, ...]:
        return tuple(msgspec.convert(pin.split(), Pin) for pin in self.pins)


class Placed(NamedTuple):
    """A part on the board: net by pin name, None where the pin stays open on purpose."""

    block: str
    reference: str
    kind: str
    pins: tuple[Pin, ...]
    nets: dict[str, str | None]


class _PartsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    parts: dict[str, PartKind]


def load_parts() -> dict[str, PartKind]:
    """Every kind of part, by its name in bom.csv."""
    return msgspec.toml.decode(PARTS.read_bytes(), type=_PartsFile).parts


class Circuit:
    """Everything on one board."""

    def __init__(self, pinmap: PinMap, board: Board) -> None:
        self.placed: list[Placed] = []
        self._kinds = load_parts()
        self._numbers: Counter[str] = Counter()
        self._block = "supply"
        self._pico(pinmap, board)
        self._regulator()
        for slot in board.slots:
            self._block = slot.name
            socket = "card_socket" if slot is board.slots[0] else "sam_socket"
            if slot.front_end is None:
                self._direct_slot(slot, socket)
            else:
                self._front_end_slot(slot, socket)
        self._block = "panel"
        self._keypad(board)
        self._panel(board)
        self._block = "recovery"
        self._recovery(pinmap)

    def quantities(self) -> Counter[str]:
        """How many of each kind of part."""
        return Counter(part.kind for part in self.placed)

    def nets(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """(reference, pin name) of all that a net joins, by the net's name."""
        found: dict[str, tuple[tuple[str, str], ...]] = {}
        for part in self.placed:
            for pin, net in part.nets.items():
                if net is not None:
                    found[net] = (*found.get(net, ()), (part.reference, pin))
        return found

    def _place(self, kind: str, nets: dict[str, str | None], pins: tuple[Pin, ...] | None = None) -> None:
        """One more part; `CircuitError` unless every pin of it is named."""
        has = pins if pins is not None else self._kinds[kind].all_pins()
        wrong = nets.keys() ^ {pin.name for pin in has}
        if wrong:
            raise CircuitError(kind, frozenset(wrong))
        prefix = self._kinds[kind].prefix
        self._numbers[prefix] += 1
        self.placed.append(Placed(self._block, f"{prefix}{self._numbers[prefix]}", kind, has, nets))

    def _between(self, kind: str, one: str, other: str) -> None:
        self._place(kind, {"A": one, "B": other})

    def _pico(self, pinmap: PinMap, board: Board) -> None:
        module = pinmap.modules[board.module]
        used = {wire.pin: wire for wire in wires(board)}
        pins, nets = [], {}
        for name in (*module.header, *module.pads):
            place = module.place(name)
            if name in ("GND", "AGND"):
                continue
            wire = used.get(name)
            kind = GPIO_KINDS[wire.direction] if wire else MODULE_KINDS.get(name, "passive")
            pins.append(Pin(place, name, "input" if name in module.inputs else kind))
            nets[name] = _module_net(name, wire.signal if wire else None, pinmap)
        pins.append(Pin("3", "GND", "passive"))
        self._place("pico_socket", {**nets, "GND": GND}, tuple(pins))

    def _regulator(self) -> None:
        self._place("regulator_3v0", {"VIN": VSYS, "GND": GND, "VOUT": V3V0})
        self._between("C_1u", VSYS, GND)
        self._between("C_1u", V3V0, GND)

    def _direct_slot(self, slot: Slot, socket: str) -> None:
        """Class B: a limited 3.0 V switch, and buffers that it feeds, so that a dead contact cannot be driven."""
        name = slot.name
        vcc, rst, clk, io = (f"{name} {contact}" for contact in ("C1", "C2", "C3", "C7"))
        enable, fault = f"{name} VCC", f"{name} overcurrent"
        self._place("card_switch", {"IN": V3V0, "GND": GND, "EN": enable, "FAULT": fault, "ILIM": V3V0, "OUT": vcc})
        self._between("R_100k", enable, GND)
        self._between("R_10k", fault, V3V3)
        self._between("C_100n", V3V0, GND)
        buffered = {"1A": f"{name} CLK", "1Y": f"{name} CLK out", "2A": f"{name} RST", "2Y": f"{name} RST out"}
        self._place("contact_buffer", {**buffered, "VCC": vcc, "GND": GND})
        self._between("C_100n", vcc, GND)
        self._between("C_220n", vcc, GND)
        self._between("R_2k2", vcc, GND)
        self._between("R_100", f"{name} CLK out", clk)
        self._between("R_100", f"{name} RST out", rst)
        self._between("R_100", f"{name} I/O", io)
        self._between("R_3k3", io, vcc)
        self._between("R_100k", clk, GND)
        self._between("R_100k", rst, GND)
        self._between("R_10k", f"{name} present", V3V3)
        self._place("esd_array", {"IO1": io, "IO2": clk, "IO3": rst, "IO4": vcc, "VBUS": V3V3, "GND": GND})
        self._socket(socket, name, f"{name} present")

    def _front_end_slot(self, slot: Slot, socket: str) -> None:
        name = slot.name
        vcc, rst, clk, io, switch = (f"{name} {contact}" for contact in ("C1", "C2", "C3", "C7", "switch"))
        pumps = {pin: f"{name} {pin}" for pin in ("VREG", "VUP", "SAP", "SAM", "SBP", "SBM")}
        host = {
            "XTAL1": f"{name} CLK",
            "RSTIN": f"{name} RST",
            "IOUC": f"{name} I/O",
            "CMDVCCN": f"{name} VCC",
            "OFFN": f"{name} present",
            "EN_5V_3VN": f"{name} class select 0",
            "EN_1V8N": f"{name} class select 1",
        }
        card = {"VCC": vcc, "RST": rst, "CLK": clk, "IO": io, "PRESN": switch}
        supply = {"VDD_INTF": V3V3, "VDDP": VSYS, "GND": GND, "GNDP": GND, "GNDC": GND, "PORADJ": V3V3}
        clock = {"CLKDIV1": V3V3, "CLKDIV2": GND, "XTAL2": None}
        unused = dict.fromkeys(("AUX1UC", "AUX2UC", "AUX1", "AUX2"))
        self._place("front_end", {**host, **card, **supply, **pumps, **clock, **unused})
        self._between("C_100n", V3V3, GND)
        self._between("C_1u", VSYS, GND)
        self._between("C_1u", pumps["VREG"], GND)
        self._between("C_1u", pumps["VUP"], GND)
        self._between("C_330n", pumps["SAP"], pumps["SAM"])
        self._between("C_330n", pumps["SBP"], pumps["SBM"])
        self._between("C_220n", vcc, GND)
        self._between("C_220n", vcc, GND)
        self._between("R_100k", f"{name} VCC", V3V3)
        self._between("R_10k", f"{name} present", V3V3)
        self._between("R_10k", f"{name} I/O", V3V3)
        self._between("R_10k", switch, V3V3)
        self._socket(socket, name, switch)

    def _socket(self, kind: str, slot: str, switch: str) -> None:
        contacts = {"VCC": f"{slot} C1", "RST": f"{slot} C2", "CLK": f"{slot} C3", "IO": f"{slot} C7"}
        nets = {**contacts, "GND": GND, "VPP": None, "SW": switch, "SW_COM": GND}
        auxiliary = {"C4": None, "C8": None} if kind == "card_socket" else {}
        self._place(kind, {**nets, **auxiliary})

    def _keypad(self, board: Board) -> None:
        lines = [wire.signal for wire in keypad_wires(board.keypad)]
        for line in lines:
            self._between("R_1k", line, f"{line} out")
        header = [pin.name for pin in self._kinds["keypad_header"].all_pins()]
        self._place("keypad_header", {pin: f"{line} out" for pin, line in zip(header, lines, strict=True)})

    def _panel(self, board: Board) -> None:
        for colour in board.leds:
            self._between("R_330", f"LED {colour}", f"LED {colour} out")
        self._switched("buzzer", "buzzer-")
        self._place("clamp_diode", {"K": V3V3, "A": "buzzer-"})
        leds = {colour.upper(): f"LED {colour} out" for colour in board.leds}
        self._place("panel_header", {**leds, "GND": GND, "BUZZER+": V3V3, "BUZZER-": "buzzer-"})

    def _recovery(self, pinmap: PinMap) -> None:
        for pulled in pinmap.raspberry_pi.pulls:
            self._switched(f"pulls {pulled}", pulled)
        pulls = {pulled: f"pulls {pulled}" for pulled in pinmap.raspberry_pi.pulls}
        self._place("recovery_header", {**pulls, "GND": GND})

    def _switched(self, by: str, net: str) -> None:
        """A transistor pulls the net to ground while the other is high, and not while nothing drives that."""
        gate = f"{by} gate"
        self._between("R_1k", by, gate)
        self._between("R_100k", gate, GND)
        self._place("pull_transistor", {"G": gate, "S": GND, "D": net})


def _module_net(name: str, signal: str | None, pinmap: PinMap) -> str | None:
    if signal is not None:
        return None if signal.startswith("console") else signal
    if name in pinmap.raspberry_pi.pulls or name in SUPPLIES:
        return name
    return None


def circuits(pinmap: PinMap) -> Iterator[tuple[str, Circuit]]:
    for name, board in pinmap.boards.items():
        yield name, Circuit(pinmap, board)
