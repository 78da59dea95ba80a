"""Printers behind `tcp:HOST:PORT` and `file:PATH`, with a time limit on every call.

The devices of python-escpos are not used: their paper query reads a closed connection as "plenty of paper", their file
device may block for ever, and importing them sets up the root logger and leaves a directory in /tmp per process.
"""

import os
import select
import socket
import time

from host_bridge.printer.printer import PaperOut, Printer, PrinterAway, PrinterError, PrinterState

CONNECT_S = 2.0
STATUS_S = 1.0
PRINT_S = 8.0
"""A long receipt takes a slow printer about five seconds."""

PAPER_NOW = b"\x10\x04\x04"
"""DLE EOT 4: paper sensors at once, ahead of everything that waits to be printed."""
PAPER_AFTER = b"\x1dr\x01"
"""GS r 1: paper sensors in turn, after everything before it was printed."""
NOW_FIXED, NOW_FIXED_MASK = 0x12, 0x93
NOW_OUT, NOW_NEAR_END = 0x60, 0x0C


class TcpPrinter:
    """A printer on a raw TCP port (9100); connects anew for every call."""

    def __init__(self, address: str, host: str, port: int) -> None:
        self.address = address
        self._where = (host, port)

    def state(self) -> PrinterState:
        """By DLE EOT 4."""
        try:
            with self._connected() as link:
                return self._paper(link)
        except PrinterError:
            return "away"

    def print(self, data: bytes) -> None:
        """Ask for paper, send, and wait until GS r 1 behind the last byte is answered."""
        with self._connected() as link:
            if self._paper(link) == "paper_out":
                raise PaperOut(self.address, "no paper")
            try:
                link.settimeout(PRINT_S)
                link.sendall(data + PAPER_AFTER)
                answer = link.recv(1)
            except OSError as error:
                raise PrinterAway(self.address, "the receipt was not confirmed", sent=True) from error
            if not answer:
                raise PrinterAway(self.address, "closed before the receipt was confirmed", sent=True)

    def _connected(self) -> socket.socket:
        try:
            return socket.create_connection(self._where, CONNECT_S)
        except OSError as error:
            raise PrinterAway(self.address, "no connection") from error

    def _paper(self, link: socket.socket) -> PrinterState:
        try:
            link.settimeout(STATUS_S)
            link.sendall(PAPER_NOW)
            answer = link.recv(1)
        except OSError as error:
            raise PrinterAway(self.address, "no status") from error
        if not answer or answer[0] & NOW_FIXED_MASK != NOW_FIXED:
            raise PrinterAway(self.address, "not a receipt printer")
        if answer[0] & NOW_OUT:
            return "paper_out"
        return "near_end" if answer[0] & NOW_NEAR_END else "ready"


class FilePrinter:
    """A device node (`/dev/usb/lp0`) or a regular file, which is appended to. It reports no paper."""

    def __init__(self, address: str, path: str) -> None:
        self.address = address
        self._path = path

    def state(self) -> PrinterState:
        """Whether it can be written."""
        folder = os.path.dirname(self._path) or "."  # noqa: PTH120
        there = os.access(self._path, os.W_OK) or (not os.path.lexists(self._path) and os.access(folder, os.W_OK))
        return "ready" if there else "away"

    def print(self, data: bytes) -> None:
        """Write everything, waiting for a device that is busy."""
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PrinterAway(self.address, "cannot be opened") from error
        rest = memoryview(data)
        try:
            until = time.monotonic() + PRINT_S
            while rest:
                if not select.select([], [handle], [], max(0.0, until - time.monotonic()))[1]:
                    raise PrinterAway(self.address, "busy too long", sent=len(rest) < len(data))
                rest = rest[os.write(handle, rest) :]
        except OSError as error:
            raise PrinterAway(self.address, "write failed", sent=len(rest) < len(data)) from error
        finally:
            os.close(handle)


def open_printer(address: str) -> Printer:
    """The printer behind an address; `ValueError` where it is none. Nothing is connected yet."""
    kind, _, where = address.partition(":")
    if kind == "file" and where:
        return FilePrinter(address, where)
    host, _, port = where.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return TcpPrinter(address, host.strip("[]"), int(port))
    raise ValueError(f"not a printer address: {address!r}")
