"""PIO blocks of rp2040py, run by the system clock, with lines between pins and whatever else pulls them."""

import heapq
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, NamedTuple, cast

from rp2040py.peripherals.pio_registers import (
    CTRL,
    INSTR_MEM0,
    IRQ,
    SHIFTCTRL_IN_SHIFTDIR,
    SHIFTCTRL_OUT_SHIFTDIR,
    SM0_CLKDIV,
    SM0_EXECCTRL,
    SM0_INSTR,
    SM0_PINCTRL,
    SM0_SHIFTCTRL,
    SM1_CLKDIV,
)
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator

from tests.firmware.pio.assembler import PIO, Program, asm_pio_encode

PIO_BASE = 0x50200000
FUNCTION_PIO = 6
INPUT_ENABLED = 0x40
NEXT_MACHINE = SM1_CLKDIV - SM0_CLKDIV
SET_COUNT_AT, SET_BASE_AT, OUT_COUNT_AT, IN_BASE_AT = 26, 5, 20, 15
WRAP_AT, WRAP_TARGET_AT, JMP_PIN_AT = 12, 7, 24


class Edge(NamedTuple):
    """A line's new level, and the system clock it came at."""

    at: int
    level: int


class Line:
    """Joined pins with a pull-up: low while a pin or `pull` says so."""

    def __init__(self, chip: "Wires", pins: Iterable[int]) -> None:
        self._chip, self._mask = chip, sum(1 << pin for pin in pins)
        self._gpios = [chip.rp2040.gpio[pin] for pin in pins]
        self._pulling: set[str] = set()
        self.level = 1
        self.edges: list[Edge] = []
        self.heard: list[Callable[[int, int], None]] = []
        for gpio in self._gpios:
            gpio.set_input_value(True)

    def pull(self, low: bool, by: str = "card") -> None:
        (self._pulling.add if low else self._pulling.discard)(by)
        self.settle()

    def settle(self) -> None:
        level = 0 if self._pulling or self._chip.driven_low & self._mask else 1
        if level != self.level:
            self.level = level
            self.edges.append(Edge(self._chip.now, level))
            for gpio in self._gpios:
                gpio.set_input_value(bool(level))
            for hear in self.heard:
                hear(self._chip.now, level)


class Wires:
    """What hangs on a chip's pins."""

    def __init__(self, rp2040: RP2040, running: tuple[int, ...]) -> None:
        """PIO blocks not among `running` drive no line."""
        self.rp2040 = rp2040
        self.blocks = [rp2040.pio[block] for block in running]
        self.lines: list[Line] = []
        self.driven_low = 0

    @property
    def now(self) -> int:
        """The system clock."""
        raise NotImplementedError

    def at(self, when: int, what: Callable[[], None]) -> None:
        """At that system clock, or now where it was before."""
        raise NotImplementedError

    def line(self, *pins: int) -> Line:
        line = Line(self, pins)
        self.lines.append(line)
        return line

    def settle(self) -> None:
        """What the pins drive, seen on the lines."""
        sio = self.rp2040.sio
        driven = sio.gpio_output_enable & ~sio.gpio_value
        for block in self.blocks:
            driven |= block.pin_directions & ~block.pin_values
        if driven != self.driven_low:
            self.driven_low = driven
            for line in self.lines:
                line.settle()


class Chip(Wires):
    """The PIO blocks named by `running` advance; nothing else of the chip does."""

    def __init__(self, running: tuple[int, ...] = (0,)) -> None:
        super().__init__(RP2040(), running)
        self.rp2040.simulator = cast(Simulator, self)  # who owns the clock
        for gpio in self.rp2040.gpio:
            gpio.pad_value |= INPUT_ENABLED
        self._now = 0
        self.after_step: list[Callable[[], None]] = []
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def now(self) -> int:
        return self._now

    def at(self, when: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(when, self.now), next(self._order), what))

    def run(self, cycles: int) -> None:
        self.run_until(self.now + cycles)

    def run_until(self, when: int, done: Callable[[], bool] | None = None) -> None:
        """To this system clock, or to the first one at which it is done."""
        while self.now < when and not (done and done()):
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            step = when - self.now
            if self._events:
                step = min(step, self._events[0][0] - self.now)
            for block in self.blocks:
                step = min(step, max(0, -(-(block.next_due_fp - block.cycle_fp) // 256)))
            self._now += step
            for block in self.blocks:
                block.advance(step)
            self.settle()
            for also in self.after_step:
                also()


class Machine:
    """One state machine, driven through its registers."""

    def __init__(self, chip: Chip, index: int) -> None:
        self.chip, self.index = chip, index % 4
        self._block: Any = chip.rp2040.pio[index // 4]
        self._machine: Any = self._block.machines[self.index]
        self._at = NEXT_MACHINE * self.index

    def load(self, program: Program, pin: int, clkdiv: int, *, set_count: int = 1, status_n: int = 1) -> None:
        """All of its pins are this one."""
        for place, word in enumerate(program.words):
            self._block.write_uint32(INSTR_MEM0 + 4 * place, word)
        self.write(SM0_CLKDIV, clkdiv)
        self.write(
            SM0_EXECCTRL,
            program.wrap << WRAP_AT | program.wrap_target << WRAP_TARGET_AT | pin << JMP_PIN_AT | status_n,
        )
        self.write(
            SM0_SHIFTCTRL,
            (SHIFTCTRL_IN_SHIFTDIR if program.settings.get("in_shiftdir") else 0)
            | (SHIFTCTRL_OUT_SHIFTDIR if program.settings.get("out_shiftdir") else 0),
        )
        self.write(
            SM0_PINCTRL,
            pin | (1 << OUT_COUNT_AT) | pin << SET_BASE_AT | set_count << SET_COUNT_AT | pin << IN_BASE_AT,
        )
        drives = program.settings["set_init"] in (PIO.OUT_LOW, PIO.OUT_HIGH)
        self._block.pin_directions_changed(int(drives), pin, 1)
        self._block.pin_values_changed(0, pin, 1)
        self._block.check_changed_pins()
        self.chip.rp2040.gpio[pin].ctrl = FUNCTION_PIO

    def read(self, register: int) -> int:
        return int(self._machine.read_uint32(register - SM0_CLKDIV))

    def write(self, register: int, value: int) -> None:
        self._block.write_uint32(register + self._at, value)
        self.chip.settle()

    def exec(self, instruction: str) -> None:
        self.write(SM0_INSTR, asm_pio_encode(instruction, 0))

    def restart(self) -> None:
        """At the first instruction; X, Y, OSR and the FIFOs stay."""
        self._machine.restart()
        self.write(SM0_INSTR, 0)

    def active(self, on: bool) -> None:
        now = self._block.read_uint32(CTRL)
        self._block.write_uint32(CTRL, now | 1 << self.index if on else now & ~(1 << self.index))

    def put(self, word: int) -> None:
        assert not self._machine.tx_fifo.full
        self._machine.write_fifo(word)

    def get(self) -> int:
        assert not self._machine.rx_fifo.empty
        return int(self._machine.read_fifo())

    @property
    def received(self) -> int:
        """Words to be got."""
        return int(self._machine.rx_fifo.item_count)

    @property
    def waiting(self) -> int:
        """Words put and not yet taken."""
        return int(self._machine.tx_fifo.item_count)

    @property
    def held(self) -> bool:
        """Whether its IRQ flag is set."""
        return bool(self._block.read_uint32(IRQ) >> self.index & 1)
