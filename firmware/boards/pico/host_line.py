"""The bytes of the host over USB: a CDC port of their own, or the console where the base has no `usb.device`."""

# mypy: disable-error-code="import-not-found, attr-defined"

import select
import sys

from micropython import kbd_intr

from firmware.contact_line import HostLine

try:
    import usb.device
    from usb.device.cdc import CDCInterface
except ImportError:
    usb = None

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHUNK = 512
WRITE_MS = 500
NO_KEY, CTRL_C = -1, 3


class StreamLine(HostLine):
    """The two streams of the console."""

    def __init__(self, incoming: "Any", outgoing: "Any") -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._in, self._out = select.poll(), select.poll()
        self._in.register(incoming, select.POLLIN)
        self._out.register(outgoing, select.POLLOUT)
        self._byte, self._found = bytearray(1), bytearray(CHUNK)

    def waiting(self) -> bool:
        """Whether there is anything to read."""
        return any(self._in.ipoll(0))

    def read(self) -> bytes:
        """Byte by byte: the console's `readinto` waits for all it is asked for."""
        ready, readinto, byte = self._in.ipoll, self._incoming.readinto, self._byte
        found, end, before = self._found, 0, -1
        while before < end < CHUNK:
            before = end
            for _ in ready(0):
                readinto(byte)
                found[end] = byte[0]
                end += 1
        return bytes(memoryview(found)[:end]) if end else b""

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left and any(self._out.ipoll(WRITE_MS)):
            left = left[self._outgoing.write(left) or 0 :]


class PortLine(StreamLine):
    """A CDC port of its own."""

    def __init__(self, port: "Any") -> None:
        super().__init__(port, port)

    def read(self) -> bytes:
        return bytes(self._incoming.read(-1) or b"")


def open_host_line() -> StreamLine:
    """The console stays for updates and logs where there is a second port; otherwise it takes any byte as data."""
    kbd_intr(NO_KEY if usb is None else CTRL_C)
    if usb is None:
        return StreamLine(sys.stdin.buffer, sys.stdout.buffer)
    port = CDCInterface(timeout=0, txbuf=CHUNK, rxbuf=CHUNK)
    usb.device.get().init(port, builtin_driver=True)
    return PortLine(port)
