"""CCID on a serial line, framed as the GemPC Twin does (`reader.md A.1`, `A.3`).

A frame is SYNC, ACK, the message and LRC, the XOR of all before it. The reader sends two frames per command:
an echo, which is the command's header with dwLength 0, and the answer. An echo is known by bit 7 of its type
being 0, so a host may expect it or skip it. While a command takes long, the reader sends single bytes of 80
or more, one every 0.3 s.
"""

from protocols.ccid.messages import HEADER_SIZE, MAX_DATA, MAX_MESSAGE
from protocols.iso7816.xor import xor

SYNC = 0x03
ACK = 0x06
NAK = 0x15
NAK_FRAME = b"\x03\x15\x16"
SLOT_CHANGE = 0x50
SLOT_EMPTY = b"\x50\x02"
SLOT_FILLED = b"\x50\x03"
TIME = 0x80
TIME_BYTE = b"\x80"

QUIET_MS = 200  # a frame that pauses this long will not be finished
OVERHEAD = 3  # SYNC, ACK, LRC
_BEGIN = bytes([SYNC, ACK])
MAX_FRAME = MAX_MESSAGE + OVERHEAD

# What `FrameParser` finds
MESSAGE, BAD_MESSAGE, REFUSED, FILLED, EMPTIED, MORE_TIME = range(6)


lrc = xor


def frame(message: bytes) -> bytes:
    """A message ready for the line."""
    head = _BEGIN + message
    return head + lrc(head).to_bytes(1, "big")


class FrameParser:
    """Finds frames in a stream that may carry anything; never holds more than one frame.

    `from_reader` says which side is heard: only a reader sends slot changes and time bytes.
    """

    def __init__(self, from_reader: bool) -> None:
        self._from_reader = from_reader
        self._buffer = bytearray(MAX_FRAME)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    @property
    def partial(self) -> bool:
        """Whether something that may become a frame has begun."""
        return self._start < self._end

    def feed(self, data: "bytes | bytearray") -> "list[tuple[int, bytes]]":
        """What is complete now, in order: (`MESSAGE`, its bytes), or another kind and b""."""
        found: "list[tuple[int, bytes]]" = []
        left = memoryview(data)
        while left:
            self._compact()
            end = self._end
            taken = left[: MAX_FRAME - end]
            left = left[len(taken) :]
            self._end += len(taken)
            self._view[end : self._end] = taken
            self._scan(found)
        return found

    def give_up(self) -> "list[tuple[int, bytes]]":
        """The line has gone quiet: the partial frame is not one; what hides behind its SYNC is found."""
        found: "list[tuple[int, bytes]]" = []
        while self.partial:
            self._start += 1
            self._scan(found)
        return found

    def _compact(self) -> None:
        count = self._end - self._start
        if count and self._start:
            self._buffer[0:count] = self._buffer[self._start : self._end]
        self._start, self._end = 0, count

    def _scan(self, found: "list[tuple[int, bytes]]") -> None:
        while self._start < self._end:
            first = self._buffer[self._start]
            if first == SYNC:
                used = self._scan_frame(found)
            elif self._from_reader:
                used = self._scan_single(first, found)
            else:
                used = 1
            if used == 0:
                return
            self._start += used

    def _scan_frame(self, found: "list[tuple[int, bytes]]") -> int:
        """How many bytes are done with; 0 where more must come."""
        start, count = self._start, self._end - self._start
        buffer = self._buffer
        if count < 2:
            return 0
        if buffer[start + 1] == NAK:
            if count < 3:
                return 0
            if buffer[start + 2] != SYNC ^ NAK:
                return 1
            found.append((REFUSED, b""))
            return 3
        if buffer[start + 1] != ACK:
            return 1
        if count < 2 + HEADER_SIZE:
            return 0
        size = buffer[start + 3] | buffer[start + 4] << 8
        if size > MAX_DATA or buffer[start + 5] or buffer[start + 6]:
            return 1
        size += HEADER_SIZE + OVERHEAD
        if count < size:
            return 0
        if lrc(self._view[start : start + size]) != 0:
            found.append((BAD_MESSAGE, b""))
            return 1
        found.append((MESSAGE, bytes(self._view[start + 2 : start + size - 1])))
        return size

    def _scan_single(self, first: int, found: "list[tuple[int, bytes]]") -> int:
        if first == SLOT_CHANGE:
            if self._end - self._start < 2:
                return 0
            second = self._buffer[self._start + 1]
            if second == SLOT_EMPTY[1]:
                found.append((EMPTIED, b""))
                return 2
            if second == SLOT_FILLED[1]:
                found.append((FILLED, b""))
                return 1  # the 03 may as well be the SYNC of a frame
        elif first >= TIME:
            found.append((MORE_TIME, b""))
        return 1
