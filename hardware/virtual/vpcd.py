"""A virtual card in a reader of pcscd: the wire of vsmartcard's driver vpcd (reader.md C.4).

Every message is a length of two bytes, high byte first, and that many bytes. One byte from the driver is power off,
on, reset or the question for the ATR, which alone is answered; anything longer is an APDU. Being connected is being in
the reader.

A T=0 reader hands the card commands, not APDUs, and so does this one: Le beside data is not passed on, `61xx` and
`6Cxx` go back as the card gives them, and the program fetches what they announce.
"""

import contextlib
import socket
from typing import Self

from hardware.virtual.card_side import Chip, t0_command_of
from protocols.iso7816.apdu import ApduError, ResponseApdu
from protocols.iso7816.status import SW_WRONG_LENGTH

POWER_OFF, POWER_ON, RESET, GET_ATR = 0, 1, 2, 4
LENGTH_SIZE = 2
CONNECTS_WITHIN_S = 5.0


class VpcdError(Exception):
    """No reader there, or it already has a card; the text names the address."""


class VpcdSlot:
    """A chip in the reader at `host` and `port`, from construction to `close`."""

    def __init__(self, chip: Chip, host: str, port: int) -> None:
        """Puts the chip in; `VpcdError`."""
        self._chip = chip
        try:
            self._socket = socket.create_connection((host, port), CONNECTS_WITHIN_S)
        except OSError as error:
            raise VpcdError(f"{host}:{port}: {error.strerror or error}") from None
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._atr = chip.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> None:
        """Answer until the reader lets go of the card or `close` takes it out; the chip's own errors pass through."""
        while message := self._receive():
            if len(message) > 1:
                self._send(self._perform(message).to_bytes())
            elif message[0] in (POWER_ON, RESET):
                self._atr = self._chip.reset()
            elif message[0] == GET_ATR:
                self._send(self._atr)

    def close(self) -> None:
        """Takes the chip out; harmless when it is out."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _perform(self, apdu: bytes) -> ResponseApdu:
        """`6700` for what is no short APDU."""
        try:
            command = t0_command_of(apdu)
        except ApduError:
            return ResponseApdu(b"", SW_WRONG_LENGTH)
        return self._chip.command(command)

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # the next read tells
            self._socket.sendall(len(message).to_bytes(LENGTH_SIZE, "big") + message)

    def _receive(self) -> bytes:
        """One message; nothing where the reader has gone."""
        return self._read(int.from_bytes(self._read(LENGTH_SIZE), "big"))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                chunk = self._socket.recv(size - len(data))
                # The driver sends length and message apart; its kernel holds the second back until the first is
                # acknowledged, which takes 40 ms unless it is asked for after every read.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            except OSError:
                return b""
            if not chunk:
                return b""
            data += chunk
        return data
