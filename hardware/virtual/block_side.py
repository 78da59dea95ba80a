"""T=1 as the card speaks it, block by block (ISO/IEC 7816-3; `reader.md B.5`)."""

from collections.abc import Callable
from typing import NamedTuple

from protocols.iso7816.t1 import (
    ABORT,
    DEFAULT_IFS,
    I_BLOCK,
    I_MORE,
    I_SEQUENCE,
    IFS,
    MAX_INF,
    R_BLOCK,
    R_EDC,
    R_OTHER,
    R_SEQUENCE,
    RESYNCH,
    S_RESPONSE,
    WTX,
    Block,
    BlockError,
    block_size,
)

R_PCB = 0x80
I_RESERVED, R_RESERVED = 0x1F, 0x2C


class Work(NamedTuple):
    """What became of a command: the response APDU, and how often the card first asks for a block waiting time."""

    response: bytes
    extension: int = 0


class BlockSide:
    """Takes characters and says which block the card sends; one that makes no sense it asks for again."""

    def __init__(self, has_crc: bool, ifsc: int, perform: Callable[[bytes], Work | None]) -> None:
        """`perform` has the chip do a command APDU; None where it gives no answer."""
        self._has_crc, self._ifsc, self._perform = has_crc, ifsc, perform
        self._received = bytearray()
        self._last: Block | None = None
        self._start()

    def _start(self) -> None:
        self._expected = 0  # N(S) of the next I-block of the reader
        self._sequence = 0  # N(S) of the card's next I-block
        self._ifsd = DEFAULT_IFS
        self._command = bytearray()
        self._unsent = b""
        self._held: bytes | None = None  # the response, until the reader grants the time asked for

    def take(self, value: int) -> bytes:
        """The block that is sent after this character; nothing for none."""
        self._received.append(value)
        if len(self._received) < block_size(self._received, self._has_crc):
            return b""
        data = bytes(self._received)
        self._received.clear()
        answer = self._answer(data)
        if answer is None:
            return b""
        self._last = answer
        return answer.to_bytes(self._has_crc)

    def _answer(self, data: bytes) -> Block | None:
        try:
            block = Block.from_bytes(data, self._has_crc)
        except BlockError:
            return self._ask_again(R_EDC)
        if block.nad or len(block.inf) > self._ifsc:
            return self._ask_again(R_OTHER)
        if block.kind == I_BLOCK:
            return self._take_command(block)
        if block.kind == R_BLOCK:
            return self._repeat(block)
        if block.pcb == WTX | S_RESPONSE:
            return self._go_on(block)
        return self._take_request(block)

    def _ask_again(self, error: int) -> Block:
        return Block(0, R_PCB | R_SEQUENCE * self._expected | error)

    # Commands

    def _take_command(self, block: Block) -> Block | None:
        wrong_turn = bool(self._unsent) or self._held is not None
        if wrong_turn or block.pcb & I_RESERVED or bool(block.pcb & I_SEQUENCE) != bool(self._expected):
            return self._ask_again(R_OTHER)
        self._expected ^= 1
        self._command += block.inf
        if block.pcb & I_MORE:
            return self._ask_again(0)
        work = self._perform(bytes(self._command))
        self._command.clear()
        if work is None:
            return None
        if work.extension:
            self._held = work.response
            return Block(0, WTX, bytes([work.extension]))
        return self._respond(work.response)

    def _respond(self, response: bytes) -> Block:
        part, self._unsent = response[: self._ifsd], response[self._ifsd :]
        pcb = I_SEQUENCE * self._sequence | (I_MORE if self._unsent else 0)
        self._sequence ^= 1
        return Block(0, pcb, part)

    # What the reader says of blocks

    def _repeat(self, block: Block) -> Block:
        """The next block of a chain where this one acknowledges the last, else the last one again."""
        if self._last is None or block.pcb & R_RESERVED or block.inf:
            return self._ask_again(R_OTHER)
        acknowledges = self._last.kind == I_BLOCK and bool(block.pcb & R_SEQUENCE) == bool(self._sequence)
        if not acknowledges:
            return self._last
        return self._respond(self._unsent) if self._unsent else self._ask_again(R_OTHER)

    def _go_on(self, block: Block) -> Block:
        """The time asked for is granted."""
        if self._held is None or self._last is None or block.inf != self._last.inf:
            return self._ask_again(R_OTHER)
        response, self._held = self._held, None
        return self._respond(response)

    def _take_request(self, block: Block) -> Block:
        if block.pcb == RESYNCH and not block.inf:
            self._start()
        elif block.pcb == ABORT and not block.inf:
            self._command.clear()
            self._unsent, self._held = b"", None
        elif block.pcb == IFS and len(block.inf) == 1 and 1 <= block.inf[0] <= MAX_INF:
            self._ifsd = block.inf[0]
        else:
            return self._ask_again(R_OTHER)
        return Block(0, block.pcb | S_RESPONSE, block.inf)
