"""The rung `usb`: a reader on the bench, found by its serial number, and a relay harness beside it."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import serial
from serial.tools import list_ports

from hardware.virtual.processes import wait_until
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.port_lock import holder_of
from host_bridge.readers.serial_link import shared_link
from protocols.ccid.messages import ESCAPE, ESCAPE_FIRMWARE_NAME
from tests.rigs.rungs import FIRMWARE, POWER, REMOVE, Options, Rig, Wanted

ANSWERS_WITHIN_S = 2.0
RETURNS_WITHIN_S = 10.0
BY_ID = Path("/dev/serial/by-id")


class RelayError(Exception):
    """The harness did not do it."""


class FoundPort(Protocol):
    """Of pyserial's `list_ports`."""

    @property
    def device(self) -> str: ...

    @property
    def serial_number(self) -> str | None: ...


class Device(NamedTuple):
    """A port of the reader and why it cannot be used, "" for no reason."""

    path: str
    trouble: str


def port_of(serial_number: str, ports: Iterable[FoundPort], by_id: Iterable[Path]) -> str | None:
    """The reader's port, by a name that it keeps; of two interfaces the second, which is CCID."""
    devices = [os.path.realpath(port.device) for port in ports if port.serial_number == serial_number]
    kept = [str(path) for path in by_id if os.path.realpath(path) in devices]
    found = sorted(kept) or sorted(devices)
    return found[-1] if found else None


def find(serial_number: str | None) -> Device:
    """The device under test, not opened."""
    if not serial_number:
        return Device("", "no --device SERIAL")
    by_id = BY_ID.iterdir() if BY_ID.is_dir() else ()
    path = port_of(serial_number, list_ports.comports(), by_id)
    if path is None:
        return Device("", f"no device with serial number {serial_number}")
    holder = holder_of(path)
    return Device(path, "" if holder is None else f"{path} is in use by PID {holder.pid or '?'}, {holder.command}")


class Relay:
    """The harness at a serial port (`relay_main`); `RelayError` where it does not answer `ok`."""

    def __init__(self, port: str) -> None:
        self._port = serial.Serial(port, timeout=ANSWERS_WITHIN_S, write_timeout=ANSWERS_WITHIN_S, exclusive=True)
        self._port.reset_input_buffer()

    def set(self, output: str, on: bool) -> None:
        """`card` in or out, `power` on or off."""
        self._port.write(b"%s %d\n" % (output.encode(), on))
        answer = self._port.readline().strip()
        if answer != b"ok":
            raise RelayError(f"{output} {int(on)}: {answer!r}")

    def close(self) -> None:
        self._port.close()


class Usb(Rig):
    """A reader with a card that is not ours to change. Its port is locked by whoever opens it, as anywhere."""

    rung, can = "usb", frozenset({FIRMWARE})

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        self.path = find(options.device).path
        self.address = f"serial:{self.path}"

    @staticmethod
    def trouble(options: Options) -> str | None:
        return find(options.device).trouble or None

    @property
    def firmware(self) -> str:
        """Its name, as the reader says."""
        reader = open_reader(self.address)
        try:
            return shared_link(self.path).ask(ESCAPE, ESCAPE_FIRMWARE_NAME).data.decode("ascii", errors="replace")
        finally:
            reader.close()


class UsbWithRelay(Usb):
    """With a relay harness."""

    can = Usb.can | {REMOVE, POWER}

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        self._relay = Relay(options.relay or "")
        stack.callback(self._relay.close)
        stack.callback(self._as_it_was)

    def _as_it_was(self) -> None:
        self._relay.set("card", True)
        self.restore_power()

    def remove(self) -> None:
        self._relay.set("card", False)

    def insert(self) -> None:
        self._relay.set("card", True)

    def cut_power(self) -> None:
        self._relay.set("power", False)
        wait_until("the port to go", lambda: not Path(self.path).exists(), RETURNS_WITHIN_S)

    def restore_power(self) -> None:
        self._relay.set("power", True)
        wait_until("the port to come", Path(self.path).exists, RETURNS_WITHIN_S)
