"""MicroPython's modules for the RP2040, over the PIO blocks and pins of a simulated chip.

Every call takes the time that it took on the emulated CPU (`reader.md E.2`), so that the line goes on meanwhile.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from rp2040py.peripherals.pio_registers import SM0_INSTR

from tests.firmware.pio.assembler import Program, as_rp2
from tests.firmware.pio.chip import INPUT_ENABLED, PIO_BASE, Chip, Machine

DMA_WRITE, DMA_CHANNEL, DMA_END = 0x50000004, 0x40, 0x50000300
MEMORY = 0x20010004
CALL_US, TICKS_US = 5.5, 5.0
FIFO_WORDS = 4
INITIAL_HZ = 125_000_000
PULLED_UP = 0x08
WATCHDOG_CLEAR = 0x4005B000


class Simulation:
    """The chip, the modules, and what they keep."""

    def __init__(self) -> None:
        self.chip = Chip()
        self.hz = INITIAL_HZ
        self.call_us = CALL_US
        self.fed = 0
        self.watchdog = False
        self.memory: list[array[int]] = []
        self.channels: list[Any] = []
        self.changed: list[Any] = []
        """Called whenever a pin or a machine was switched."""
        self.port = Port()
        self.interrupt_key: int | None = None
        self.modules = {
            "machine": _machine(self),
            "rp2": _rp2(self),
            "uctypes": _module("uctypes", addressof=self._address),
            "micropython": _module("micropython", kbd_intr=self._kbd_intr),
            "time": _module(
                "time",
                ticks_ms=self._ticks_ms,
                ticks_diff=lambda later, earlier: later - earlier,
                sleep_us=self.spend,
            ),
            "select": _module("select", poll=Poll, POLLIN=1, POLLOUT=4),
            "usb": _module("usb"),
            "usb.device": _module("usb.device", get=lambda: self.port),
            "usb.device.cdc": _module("usb.device.cdc", CDCInterface=self.port),
        }
        self.modules["usb"].device = self.modules["usb.device"]  # type: ignore[attr-defined]

    def spend(self, us: float | None = None) -> None:
        """What one call takes where no time is given."""
        self.chip.run(round((self.call_us if us is None else us) * self.hz / 1e6))

    def switched(self) -> None:
        for tell in self.changed:
            tell()

    def _ticks_ms(self) -> int:
        self.spend(TICKS_US)
        return self.chip.now * 1000 // self.hz

    def _address(self, memory: "array[int]") -> int:
        self.memory.append(memory)
        return MEMORY

    def _kbd_intr(self, key: int) -> None:
        self.interrupt_key = key


class Port:
    """A second CDC port: what the host wrote, and what it is to read."""

    def __init__(self) -> None:
        self.settings: dict[str, int] = {}
        self.incoming, self.outgoing = deque[int](), bytearray()
        self.open = False

    def __call__(self, **settings: int) -> "Port":
        self.settings = settings
        return self

    def init(self, port: "Port", builtin_driver: bool) -> None:
        assert port is self
        assert builtin_driver  # the console stays
        self.open = True

    def read(self, size: int) -> bytes | None:
        data = bytes(self.incoming)
        self.incoming.clear()
        return data or None

    def readinto(self, buffer: bytearray) -> int:
        """As the console's, which waits for as many as fit."""
        assert len(buffer) <= len(self.incoming), "waits for ever"
        for place in range(len(buffer)):
            buffer[place] = self.incoming.popleft()
        return len(buffer)

    def write(self, data: memoryview) -> int:
        taken = data[:64]
        self.outgoing += taken
        return len(taken)


class Poll:
    """`select.poll` for one `Port`: always ready to write."""

    def __init__(self) -> None:
        self._port, self._events = Port(), 0

    def register(self, port: Port, events: int) -> None:
        self._port, self._events = port, events

    def poll(self, _limit_ms: int) -> list[Port]:
        return [self._port] if self._events != 1 or self._port.incoming else []

    ipoll = poll


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def _machine(simulation: Simulation) -> ModuleType:
    rp2040 = simulation.chip.rp2040

    class Pin:
        IN, OUT, PULL_UP = 0, 1, 1

        def __init__(self, number: int, mode: int | None = None, pull: int | None = None, value: int = 0) -> None:
            self.number = number
            if pull == Pin.PULL_UP:
                rp2040.gpio[number].pad_value = INPUT_ENABLED | PULLED_UP
            if mode is not None:
                self.init(mode, value)

        def init(self, mode: int, value: int = 0) -> None:
            if mode == Pin.OUT:
                self.value(value)
                rp2040.sio.gpio_output_enable |= 1 << self.number
            else:
                rp2040.sio.gpio_output_enable &= ~(1 << self.number)
            simulation.switched()

        def value(self, level: int | None = None) -> int:
            if level is None:
                simulation.spend(2)
                return int(rp2040.gpio[self.number].input_value)
            bit = 1 << self.number
            rp2040.sio.gpio_value = rp2040.sio.gpio_value & ~bit | (bit if level else 0)
            simulation.switched()
            simulation.spend(2)
            return level

    class Memory:
        def __getitem__(self, address: int) -> int:
            simulation.spend()
            if DMA_WRITE <= address < DMA_END:
                return int(simulation.channels[(address - DMA_WRITE) // DMA_CHANNEL].at)
            return int(rp2040.read_uint32(address))

        def __setitem__(self, address: int, value: int) -> None:
            simulation.spend()
            if address == WATCHDOG_CLEAR:
                simulation.watchdog = not value >> 30
                return
            assert address >= PIO_BASE
            rp2040.write_uint32(address, value)
            simulation.chip.settle()

    class Watchdog:
        def __init__(self, timeout: int) -> None:
            assert timeout <= 8388
            simulation.watchdog = True

        def feed(self) -> None:
            simulation.fed = simulation.chip.now

    def freq(hz: int) -> None:
        simulation.hz = hz

    def idle() -> None:
        simulation.spend(100)

    return _module("machine", Pin=Pin, mem32=Memory(), WDT=Watchdog, freq=freq, idle=idle)


def _rp2(simulation: Simulation) -> ModuleType:
    class StateMachine:
        def __init__(self, number: int, program: Program, **bases: Any) -> None:
            self._machine = Machine(simulation.chip, number)
            pin = bases["set_base"].number
            self._machine.load(program, pin, 1 << 16, status_n=0)
            assert all(base.number == pin for base in bases.values())

        def active(self, on: int) -> None:
            self._machine.active(bool(on))
            simulation.switched()
            simulation.spend()

        def restart(self) -> None:
            self._machine.restart()

        def exec(self, opcode: int) -> None:
            self._machine.write(SM0_INSTR, opcode)
            simulation.spend()

        def put(self, word: int) -> None:
            self._machine.put(word)
            simulation.spend()

        def tx_fifo(self) -> int:
            simulation.spend()
            return self._machine.waiting

    class DMA:
        """From a FIFO to a ring, or from an array to a FIFO, as the FIFO requests it.

        `at` is where the next word goes in the ring, `read` what is left of the array, `count` how many are to go.
        """

        def __init__(self) -> None:
            self.channel = len(simulation.channels)
            simulation.channels.append(self)
            self.at = self.count = 0
            self.read: array[int] | memoryview = array("I")
            self._settings: dict[str, Any] = {}
            self._left: Iterator[None] = iter(())
            simulation.chip.after_step.append(self._move)

        def pack_ctrl(self, **control: Any) -> dict[str, Any]:
            return control

        def config(self, *, trigger: bool, **settings: Any) -> None:
            self._settings.update(settings)
            self.count = settings["count"]
            if trigger:
                self.active(1)

        def active(self, on: int) -> None:
            control = self._settings["ctrl"]
            transfers = self._to_ring if control.get("ring_sel") else self._to_fifo
            self._left = transfers(control) if on else iter(())
            simulation.spend()

        def _move(self) -> None:
            next(self._left, None)

        def _to_ring(self, control: dict[str, Any]) -> Iterator[None]:
            assert not control["inc_read"]
            number = (self._settings["read"] - PIO_BASE - 0x20) // 4
            assert control["treq_sel"] == 4 + number
            self.at = write = self._settings["write"]
            size = 1 << control["ring_size"]
            assert write % size == 0
            memory, first = simulation.memory[-1], (write - MEMORY) // 4
            assert first + size // 4 <= len(memory)
            machine = Machine(simulation.chip, number)
            while self.count:
                while not machine.received:
                    yield
                memory[first + (self.at - write) // 4] = machine.get()
                self.at = write + (self.at - write + 4) % size
                self.count -= 1

        def _to_fifo(self, control: dict[str, Any]) -> Iterator[None]:
            assert not control["inc_write"]
            number = (self._settings["write"] - PIO_BASE - 0x10) // 4
            assert control["treq_sel"] == number
            machine = Machine(simulation.chip, number)
            while self.count:
                while machine.waiting == FIFO_WORDS:
                    yield
                machine.put(self.read[0])
                self.read = memoryview(self.read)[1:]
                self.count -= 1

    module = as_rp2()
    vars(module).update(StateMachine=StateMachine, DMA=DMA)
    return module
