"""The keypad and lamps of the unix board: a socket to a virtual keypad (`protocols.ccid.keypad`)."""

from firmware.boards.unix.connection import connect
from firmware.contact_line import LineLost
from firmware.indicator import Indicator
from firmware.keypad import Keypad
from protocols.ccid.keypad import LAMPS


class KeypadSocket:
    """The wires to keys and lamps; `LineLost` whenever they are gone."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, "virtual keypad")

    def write(self, value: int) -> None:
        try:
            self._socket.send(bytes([value]))
        except OSError:
            raise LineLost("the virtual keypad went away")  # noqa: B904 - MicroPython does not chain

    def read(self) -> int:
        """The next byte; waits for it."""
        try:
            data = self._socket.recv(1)
        except OSError:
            data = b""
        if not data:
            raise LineLost("the virtual keypad went away")
        return data[0]


class SocketKeypad(Keypad):
    """Its contacts bounce from one scan to the next."""

    stable_ms = 5

    def __init__(self, wires: KeypadSocket) -> None:
        self._wires = wires

    def columns(self, row: int) -> int:
        self._wires.write(1 << row)
        return self._wires.read()


class SocketIndicator(Indicator):
    def __init__(self, wires: KeypadSocket) -> None:
        super().__init__()
        self._wires = wires

    def drive(self, lamps: int) -> None:
        self._wires.write(LAMPS | lamps)
