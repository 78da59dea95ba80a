"""Checks the circuits by SKiDL's electrical rules: `python -m hardware.circuit_rules`; 1 where one is broken."""

import logging
import sys

import skidl

from hardware.circuit import GND, Circuit, Placed, circuits
from hardware.pinmap import load_pinmap

FUNCTIONS = {
    "power_in": "PWRIN",
    "power_out": "PWROUT",
    "input": "INPUT",
    "output": "OUTPUT",
    "open_drain": "OPENCOLL",
    "passive": "PASSIVE",
}

for _logger in (skidl.logger.active_logger, skidl.erc_logger):
    _logger.stop_file_output()  # SKiDL writes its log beside whatever runs


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def broken_rules(circuit: Circuit) -> tuple[str, ...]:
    """What SKiDL's check says of a circuit, errors and warnings alike."""
    checked = skidl.Circuit()
    nets = {name: skidl.Net(name, circuit=checked) for name in circuit.nets()}
    nets[GND].drive = skidl.POWER
    for placed in circuit.placed:
        part = _part(placed, checked)
        for pin in placed.pins:
            if pin.name in placed.nets:
                net = placed.nets[pin.name]
                joined = checked.NC if net is None else nets[net]
                joined += part[pin.number]
    collector = _Collector()
    skidl.erc_logger.addHandler(collector)
    try:
        checked.ERC()
    finally:
        skidl.erc_logger.removeHandler(collector)
    return tuple(collector.told)


def _part(placed: Placed, circuit: skidl.Circuit) -> skidl.Part:
    pins = [skidl.Pin(num=pin.number, name=pin.name, func=skidl.Pin.types[FUNCTIONS[pin.kind]]) for pin in placed.pins]
    return skidl.Part(
        tool=skidl.SKIDL, name=placed.kind, ref=placed.reference, pins=pins, circuit=circuit, dest=skidl.NETLIST
    )


def main() -> int:
    """Print what is broken."""
    broken = False
    for name, circuit in circuits(load_pinmap()):
        told = broken_rules(circuit)
        broken |= bool(told)
        print(f"{name}: {len(circuit.placed)} parts, {len(circuit.nets())} nets, {len(told)} broken rules")
        print("".join(f"  {each}\n" for each in told), end="")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
