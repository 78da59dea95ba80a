"""Characters on a line, in etu of 32 cycles."""

import tomllib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rp2040py.peripherals.pio_registers import SM0_PINCTRL

from firmware.boards.pico import characters
from tests.firmware.pio.board_files import programs
from tests.firmware.pio.chip import SET_COUNT_AT, Chip, Edge, Line, Machine

ETU = 32
IO, CARD_IO = 2, 3
VECTORS = tomllib.loads((Path(__file__).parents[2] / "vectors/iso7816/characters.toml").read_text())


def bits(character: int, *, damaged: bool = False) -> list[int]:
    """Start bit, data, parity and one etu of rest, as levels."""
    data = [character >> place & 1 for place in range(8)]
    return [0, *data, sum(data) % 2 ^ damaged, 1]


def drive(chip: Chip, line: Line, at: int, levels: Iterable[int], edges: Iterable[float] = ()) -> None:
    """Pulls the line for one etu per level from the clock `at` on; `edges` moves the beginning of each, in etu."""
    moved = list(edges)
    for place, level in enumerate(levels):
        shift = moved[place] if place < len(moved) else 0.0
        chip.at(at + round((place + shift) * ETU), partial(line.pull, not level))


def leading_edges(edges: list[Edge], etu: int = ETU) -> list[int]:
    """The clocks at which characters begin."""
    found: list[int] = []
    for edge in edges:
        if not edge.level and (not found or edge.at >= found[-1] + 10.7 * etu):
            found.append(edge.at)
    return found


def sampled(edges: list[Edge]) -> list[tuple[int, bool]]:
    """Every character sampled in mid-bit, and whether its parity is right."""
    found = []
    for start in leading_edges(edges):
        levels = [_level(edges, start + ETU * place + ETU // 2) for place in range(10)]
        found.append((sum(level << place for place, level in enumerate(levels[1:9])), sum(levels) % 2 == 0))
    return found


def _level(edges: list[Edge], when: int) -> int:
    return [1, *(edge.level for edge in edges if edge.at <= when)][-1]


class Reader:
    """The characters program on a line; with `card` another machine that runs it on the same line."""

    def __init__(self, *, turnaround: int = characters.TURNAROUND_16, card: bool = False) -> None:
        self.chip = Chip()
        self.line = self.chip.line(*((IO, CARD_IO) if card else (IO,)))
        self.machine = Machine(self.chip, 0)
        self.card = Machine(self.chip, 1)
        self._turnaround = turnaround
        self._start(self.machine, IO)
        if card:
            self._start(self.card, CARD_IO)
        self.line.edges.clear()

    def error_signal(self, on: bool) -> None:
        pins = self.machine.read(SM0_PINCTRL) & ~(7 << SET_COUNT_AT)
        self.machine.write(SM0_PINCTRL, pins | on << SET_COUNT_AT)

    def send(self, *values: int, extra_guard: int = 0, t0: bool = True, machine: Machine | None = None) -> None:
        """As many as the FIFO takes."""
        tail = characters.tail(characters.guard(extra_guard, t0), self._turnaround)
        for value in values:
            (machine or self.machine).put(characters.SENT[value] | tail)

    def take(self) -> list[int]:
        """The words received."""
        return [self.machine.get() for _ in range(self.machine.received)]

    def _start(self, machine: Machine, pin: int) -> None:
        machine.load(programs.CHARACTERS, pin, 1 << 16)
        machine.put(self._turnaround)
        machine.exec("pull()")
        machine.exec("set(x, 0)")
        machine.active(True)
