"""The contact line between the reader's unix board and a virtual slot, over a stream.

Messages are two bytes, kind and value. The slot says PRESENT first and at every change. It answers each
CONTACTS message with the same message, after everything it sent under the old contacts. What the slot sends
at another speed than the reader's arrives as DAMAGED, and what it hears so it cannot understand. CLASS comes
before VCC rises; class A where it never came.
"""

CHARACTER = 0x01  # both ways: one character on I/O, direct convention
CONTACTS = 0x02  # reader to slot, and back: VCC, RST, CLK
PRESENT = 0x03  # slot to reader: 1 a card is in, 0 none
SPEED = 0x04  # reader to slot: Fi and Di of the characters that follow
DAMAGED = 0x05  # slot to reader: a character whose parity stayed wrong however often it was sent
CLASS = 0x06  # reader to slot: what VCC will be, one bit of the class indicator
OVERCURRENT = 0x07  # slot to reader: the card drew too much, and the contacts are off; the value says nothing

VCC = 0x01
RST = 0x02
CLK = 0x04
CONTACTS_OFF = 0x00
RUNNING = VCC | CLK | RST

MESSAGE_SIZE = 2
KINDS = (CHARACTER, CONTACTS, PRESENT, SPEED, DAMAGED, CLASS, OVERCURRENT)


class LineError(ValueError):
    """The other side speaks something else."""


def message(kind: int, value: int) -> bytes:
    return bytes([kind, value])


def characters(data: "bytes | bytearray | memoryview") -> bytes:
    """One message per character."""
    found = bytearray(MESSAGE_SIZE * len(data))
    for i in range(len(data)):
        found[2 * i] = CHARACTER
        found[2 * i + 1] = data[i]
    return bytes(found)


class LineParser:
    """Cuts a stream into messages, however it arrives."""

    def __init__(self) -> None:
        self._kind: "int | None" = None

    def feed(self, data: "bytes | bytearray") -> "list[tuple[int, int]]":
        """The (kind, value) pairs that are complete now; `LineError` at an unknown kind."""
        found = []
        for byte in data:
            if self._kind is None:
                if byte not in KINDS:
                    raise LineError("unknown contact line message")
                self._kind = byte
            else:
                found.append((self._kind, byte))
                self._kind = None
        return found
