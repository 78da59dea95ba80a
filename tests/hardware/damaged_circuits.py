"""SKiDL's check notices what is wrong: run by `make hardware`, which has SKiDL."""

import pytest

from hardware.circuit import Circuit, circuits
from hardware.circuit_rules import broken_rules
from hardware.pinmap import load_pinmap

BOARDS = ("pico", "pico_front_end")


def damaged(board: str, kind: str, pin: str, net: str | None) -> Circuit:
    """The circuit with the first part of a kind wired otherwise at one pin; a net "" leaves the pin without a wire."""
    circuit = dict(circuits(load_pinmap()))[board]
    index = next(number for number, part in enumerate(circuit.placed) if part.kind == kind)
    part = circuit.placed[index]
    nets = {name: old for name, old in part.nets.items() if name != pin}
    circuit.placed[index] = part._replace(nets=nets if net == "" else {**nets, pin: net})
    return circuit


@pytest.mark.parametrize("board", BOARDS)
def test_the_circuits_break_no_rule(board: str) -> None:
    assert broken_rules(dict(circuits(load_pinmap()))[board]) == ()


@pytest.mark.parametrize(
    ("board", "kind", "pin", "net", "said"),
    [
        ("pico", "card_switch", "EN", "", "Unconnected pin"),
        ("pico", "contact_buffer", "2Y", "card CLK out", "OUTPUT connected to OUTPUT"),
        ("pico", "contact_buffer", "1A", "3V0", "Only one pin"),
        ("pico", "card_switch", "OUT", "SAM C1", "POWER-OUT"),
        ("pico", "regulator_3v0", "VOUT", "", "Insufficient drive"),
        ("pico", "pico_socket", "GP4", "card CLK out", "OUTPUT connected to OUTPUT"),
        ("pico_front_end", "front_end", "CMDVCCN", "", "Unconnected pin"),
        ("pico_front_end", "front_end", "VCC", "3V3", "POWER-OUT"),
    ],
)
def test_damage_is_told(board: str, kind: str, pin: str, net: str, said: str) -> None:
    told = broken_rules(damaged(board, kind, pin, net))
    assert any(said in each for each in told), told
