"""Procedure bytes of T=0, reader side (`reader.md B.4`)."""

NULL = 0x60
HEADER_SIZE = 5
_RESERVED_CLA = 0xFF


class T0Error(ValueError):
    """The command cannot be sent over T=0, or the card's procedure byte fits no rule."""


def t0_command(command: "bytes | bytearray | memoryview") -> "bytes | bytearray | memoryview":
    """The five header bytes and data: P3 = 0 added to case 1, Le of case 4 dropped (`reader.md A.5`).

    Never a copy of data. Raises `T0Error` for other lengths, INS 6x and 9x and CLA FF.
    """
    size = len(command)
    if size == HEADER_SIZE - 1:
        command = bytes(command) + b"\x00"
    elif size < HEADER_SIZE - 1:
        raise T0Error("shorter than a header")
    elif size > HEADER_SIZE:
        end = HEADER_SIZE + command[4]
        if command[4] == 0 or size not in (end, end + 1):
            raise T0Error("P3 does not fit the length")
        command = memoryview(command)[:end]
    if command[1] >> 4 in (6, 9) or command[0] == _RESERVED_CLA:
        raise T0Error("header not allowed in T=0")
    return command


class T0Exchange:
    """One command, without input or output: whoever holds the line sends and receives for it.

    Send `outgoing`; until `done`, receive 1 to `wanted` characters, give them to `take` and send the new
    `outgoing` unless it is empty. Then `response` holds data and status word.

    `command` is header and data. All data go out together where the first procedure byte is `ins`, as with most cards.

    `outgoing` and `command` look into what was given: whoever wipes that has wiped all there was of it.
    """

    def __init__(self, command: "bytes | bytearray | memoryview") -> None:
        """`T0Error` where `command` cannot be sent."""
        self.command = command = memoryview(t0_command(command))
        self.ins = command[1]
        self._data = command[HEADER_SIZE:]
        self._sent = 0
        self._unread = 0 if self._data else (command[4] or 256)
        self._burst = 0
        self._sw1_taken = False
        self.response = bytearray()
        self.outgoing = command[:HEADER_SIZE]
        self.done = False

    @property
    def wanted(self) -> int:
        """How many characters come before anything is to be decided."""
        return self._burst or 1

    def take(self, characters: "bytes | bytearray") -> None:
        """What the card sent, at most `wanted` characters; `T0Error` where it may not come now."""
        self.outgoing = self._data[:0]
        if self._burst:
            self.response.extend(characters)
            self._burst -= len(characters)
            self._unread -= len(characters)
        elif self._sw1_taken:
            self.response.extend(characters)
            self.done = True
        else:
            self._take_procedure_byte(characters[0])

    def _take_procedure_byte(self, byte: int) -> None:
        if byte == NULL:
            return
        if byte == self.ins:
            self._go_on(256)
        elif byte == self.ins ^ 0xFF:
            self._go_on(1)
        elif byte >> 4 in (6, 9):
            self.response.append(byte)
            self._sw1_taken = True
        else:
            raise T0Error("no procedure byte")

    def _go_on(self, count: int) -> None:
        """The card asks for up to `count` more characters to be sent or received."""
        if self._sent < len(self._data):
            self.outgoing = self._data[self._sent : self._sent + count]
            self._sent += len(self.outgoing)
        elif self._unread:
            self._burst = min(count, self._unread)
        else:
            raise T0Error("the card asks for more than P3 says")
