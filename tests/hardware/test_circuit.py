"""Circuit, parts list, cables and drawings agree; the rules themselves are checked by `make hardware`."""

import csv
from pathlib import Path

import pytest

from hardware.circuit import Circuit, circuits, load_parts
from hardware.harness import cables
from hardware.pinmap import load_pinmap, wires

ROOT = Path(__file__).parents[2]
PINMAP = load_pinmap()
CIRCUITS = dict(circuits(PINMAP))
BEYOND_THE_BOARD = {"pico", "keypad", "led_green", "led_red", "buzzer", "raspberry_pi", "usb_cable"}
SOURCES = (("maker", "part_number", "distributor"), ("second_maker", "second_part_number", "second_distributor"))


def bill_of_materials() -> dict[str, dict[str, str]]:
    with (ROOT / "hardware/bom.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["part"] for row in rows}) == len(rows)
    return {row["part"]: row for row in rows}


@pytest.mark.parametrize("board", CIRCUITS)
def test_the_parts_list_has_what_the_circuit_has(board: str) -> None:
    rows = bill_of_materials()
    assert rows.keys() == load_parts().keys()
    listed = {part: int(row[board]) for part, row in rows.items() if part not in BEYOND_THE_BOARD and int(row[board])}
    assert listed == CIRCUITS[board].quantities()
    assert all(rows[part][board] == "1" for part in BEYOND_THE_BOARD)


def test_every_part_has_two_sources() -> None:
    for part, row in bill_of_materials().items():
        sources = [tuple(row[column] for column in columns) for columns in SOURCES]
        assert all(field.strip() for source in sources for field in source), part
        assert sources[0][1:] != sources[1][1:], part


@pytest.mark.parametrize(("board", "circuit"), CIRCUITS.items(), ids=CIRCUITS)
def test_every_wire_of_the_pin_map_leads_somewhere(board: str, circuit: Circuit) -> None:
    nets = circuit.nets()
    assert {net: ends for net, ends in nets.items() if len(ends) < 2} == {}
    wanted = {wire.signal for wire in wires(PINMAP.boards[board]) if not wire.signal.startswith("console")}
    assert wanted | {"RUN", "BOOTSEL"} <= nets.keys()


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_a_contact_is_reached_only_through_what_protects_it(circuit: Circuit) -> None:
    """Contacts C2, C3 and C7 (ISO 7816-2) of a slot that the chip drives: a resistor between, a clamp beside."""
    nets = circuit.nets()
    kinds = {part.reference: part.kind for part in circuit.placed}
    for slot in {part.block for part in circuit.placed if part.kind == "card_switch"}:
        for contact in ("C2", "C3", "C7"):
            joined = {kinds[reference] for reference, _ in nets[f"{slot} {contact}"]}
            assert {"R_100", "esd_array"} <= joined
            assert not {"pico_socket", "contact_buffer"} & joined


def test_cables_fit_the_headers_they_are_plugged_into() -> None:
    for cable in cables(PINMAP):
        assert len(cable.header.pins) == len(cable.ends)
    recovery = {label: pin for pin, label in cables(PINMAP)[-1].ends}
    assert recovery == {"GPIO17": "11", "GPIO27": "13", "GND": "14"}  # Raspberry Pi documentation, 40-pin header


@pytest.mark.parametrize(("board", "circuit"), CIRCUITS.items(), ids=CIRCUITS)
def test_the_drawing_shows_every_net_and_part(board: str, circuit: Circuit) -> None:
    drawn = (ROOT / f"docs/hardware/circuit-{board}.svg").read_text("utf-8").replace("&#45;", "-")
    assert {net for net in circuit.nets() if f">{net}<" not in drawn} == set()
    assert {part.reference for part in circuit.placed if part.reference not in drawn} == set()


def test_the_drawing_of_the_cables_shows_every_end() -> None:
    drawn = (ROOT / "docs/hardware/harness.svg").read_text("utf-8").replace("&#45;", "-")
    labels = {label for cable in cables(PINMAP) for _, label in cable.ends}
    assert {label for label in labels if label not in drawn} == set()
