"""The rung `pio`: the whole firmware on the Pico board's files, PIO cycle by cycle, a card at pin level."""

import contextlib
import errno
from pathlib import Path
from typing import Any

from hardware.virtual.processes import wait_until
from host_bridge.readers.reader import Reader
from host_bridge.readers.serial import SerialReader
from tests.firmware.pio.bench import Bench
from tests.rigs.rungs import CARD, CHALLENGES, FAULTS, FIRMWARE, OWN_ATR, POWER, REMOVE, Options, Rig, Wanted

WAIT_MS = 50


class _HostPort:
    """The host's end of the board's USB port. The board runs while the host waits, and at no other time."""

    def __init__(self, bench: Bench) -> None:
        self._bench: Bench | None = bench
        self._device: Any = bench.ccid_device()
        self._port = bench.simulation.port

    def unplug(self) -> None:
        self._bench = None

    @property
    def in_waiting(self) -> int:
        if self._bench is None:
            raise OSError(errno.ENODEV, "unplugged")
        if not self._port.outgoing:
            self._bench.board.wait(WAIT_MS)
            self._device.serve()
        return len(self._port.outgoing)

    def read(self, size: int = 1) -> bytes:
        data = bytes(self._port.outgoing[: min(size, self.in_waiting)])
        del self._port.outgoing[: len(data)]
        return data

    def write(self, data: bytes, /) -> int:
        if self._bench is None:
            raise OSError(errno.ENODEV, "unplugged")
        self._port.incoming.extend(data)
        return len(data)

    def reset_input_buffer(self) -> None:
        self._port.outgoing.clear()

    def close(self) -> None:
        """What the host does not hear is dropped."""
        self.reset_input_buffer()


class Pio(Rig):
    """Time is the simulated chip's, for the driver too."""

    rung, can = "pio", frozenset({CARD, REMOVE, POWER, FAULTS, OWN_ATR, CHALLENGES, FIRMWARE})

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        self._path = str(folder / "pico")
        self._passed_s = 0.0  # before the last power cut
        self._card_in = True
        self.restore_power()

    def open(self) -> Reader:
        reader = SerialReader(self._path, open_port=self._open_port, monotonic=self._monotonic)
        self._stack.callback(reader.close)
        wait_until("the card", reader.card_present)
        return reader

    def remove(self) -> None:
        self._card_in = False
        self._bench.sockets[0].pull()

    def insert(self) -> None:
        self._card_in = True
        self._bench.put(self._open_chip(self.card), *self._wanted.faults)

    def cut_power(self) -> None:
        self._passed_s = self._monotonic()
        self._port.unplug()
        self._on = False

    def restore_power(self) -> None:
        self._bench = Bench()
        self._port, self._on = _HostPort(self._bench), True
        if self._card_in:
            self.insert()

    def _open_port(self, _: str) -> _HostPort:
        if not self._on:
            raise OSError(errno.ENOENT, "unplugged")
        return self._port

    def _monotonic(self) -> float:
        simulation = self._bench.simulation
        return self._passed_s + simulation.chip.now / simulation.hz
