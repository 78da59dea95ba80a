"""The state machine of one I/O contact, with registers that `rp2.StateMachine` does not reach.

Words go by DMA: received ones into a ring, so that none is lost while Python collects garbage or serves USB, and those
to be sent out of an array, so that they follow one another however fast the line is.
Registers and request numbers: RP2040 datasheet 2.5 and 3.7, the same on RP2350.
"""

# mypy: disable-error-code="import-not-found"

from array import array

from machine import mem32
from rp2 import DMA, StateMachine
from uctypes import addressof

from firmware.boards.pico.characters import DAMAGED, RECEIVED, RECEIVED_END, SENT
from firmware.boards.pico.programs import CHARACTERS, CLEAR_X, HOLD_LOW, PULL, RELEASE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_TOGETHER = 260
RING_WORDS = 256
NO_WORD = -1

_PIO0, _MACHINE = 0x50200000, 0x18
_TXF0, _RXF0, _IRQ, _CLKDIV, _EXECCTRL, _PINCTRL = 0x010, 0x020, 0x030, 0x0C8, 0x0CC, 0x0DC
_STATUS_N_1 = 1
_SET_COUNT_1 = 1 << 26
_DMA, _CHANNEL = 0x50000004, 0x40  # the write address of channel 0, and from one to the next
_REQUEST_TX0, _REQUEST_RX0 = 0, 4
_RING_BYTES_LOG2 = 10
_WITHOUT_END = 0x0FFFFFFF  # the most that both chips count


class CharacterMachine:
    """I/O held low, or `programs.CHARACTERS` at work on it.

    `loaded`: how many characters are ready to be sent. When `arrives` sees the word `awaited`, they are sent at once;
    they are `begun` then.
    """

    def __init__(self, number: int, io: "Any") -> None:
        """`number` is of PIO block 0; `io` is the pin."""
        self._machine = StateMachine(number, CHARACTERS, in_base=io, out_base=io, set_base=io, jmp_pin=io)
        self._registers = _PIO0 + number * _MACHINE
        self._irq, self._bit = _PIO0 + _IRQ, 1 << number
        mem32[self._registers + _EXECCTRL] |= _STATUS_N_1
        self.put, self.waiting = self._machine.put, self._machine.tx_fifo
        memory = array("I", bytes(8 * RING_WORDS))
        aligned = -addressof(memory) % (4 * RING_WORDS)
        self._memory: "array[int]" = memory
        self._first, self._next = aligned // 4, 0
        self._base = addressof(memory) + aligned
        self._dma = DMA()
        control = self._dma.pack_ctrl(
            size=2, inc_read=False, ring_sel=True, ring_size=_RING_BYTES_LOG2, treq_sel=_REQUEST_RX0 + number
        )
        self._dma.config(
            read=_PIO0 + _RXF0 + 4 * number, write=self._base, count=_WITHOUT_END, ctrl=control, trigger=True
        )
        self._written = _DMA + _CHANNEL * self._dma.channel  # quicker than its attribute
        self._words: "array[int]" = array("I", bytes(4 * MAX_TOGETHER))
        self._size = self.loaded = 0
        self.awaited, self.begun = NO_WORD, False
        self._sender = DMA()
        control = self._sender.pack_ctrl(size=2, inc_write=False, treq_sel=_REQUEST_TX0 + number)
        self._sender.config(write=_PIO0 + _TXF0 + 4 * number, count=0, ctrl=control, trigger=False)

    def hold_low(self) -> None:
        """I/O low, and nothing sent or received."""
        self._machine.active(0)
        self.unload()
        self.set_error_signal(True)
        self._machine.exec(HOLD_LOW)

    def start(self, turnaround: int) -> None:
        """I/O released, nothing waiting and nothing received; the error signal is on."""
        machine = self._machine
        machine.active(0)
        self.unload()
        machine.restart()
        while self.waiting():
            machine.exec(PULL)
        mem32[self._irq] = self._bit
        self.set_error_signal(True)
        machine.exec(RELEASE)
        machine.exec(CLEAR_X)
        self.set_turnaround(turnaround)
        self.drop()

    def set_turnaround(self, rounds: int) -> None:
        """Until a word sent tells another; while nothing is sent or received. The machine runs then."""
        self._machine.active(0)
        self.put(rounds)
        self._machine.exec(PULL)
        self._machine.active(1)

    def set_divider(self, clkdiv: int) -> None:
        mem32[self._registers + _CLKDIV] = clkdiv

    def set_error_signal(self, on: bool) -> None:
        """Whether a character with wrong parity is answered by it."""
        without = mem32[self._registers + _PINCTRL] & ~(7 * _SET_COUNT_1)
        mem32[self._registers + _PINCTRL] = without | _SET_COUNT_1 if on else without

    def load(self, data: "bytes | bytearray | memoryview", rest: int) -> None:
        """What is to be sent: at most `MAX_TOGETHER` characters, each with this rest of its word."""
        words, count = self._words, 0
        for value in data:
            words[count] = SENT[value] | rest
            count += 1
        self._sender.read = words
        self._size = self.loaded = count
        self.begun = False

    def send(self, count: int) -> None:
        """So many more of what was loaded; returns at once."""
        self._sender.count = count
        self._sender.active(1)
        self.loaded -= count

    def unsent(self) -> int:
        """How many characters of the last `send` the FIFO has not taken yet."""
        count: int = self._sender.count
        return count

    def unload(self) -> None:
        """Forget what was loaded; what the FIFO has not taken of it never is sent."""
        self._sender.active(0)
        for place in range(self._size):
            self._words[place] = 0
        self._size = self.loaded = 0
        self.awaited, self.begun = NO_WORD, False

    def arrives(self, polls: int) -> bool:
        """Whether there is a word to be got, looking so many times."""
        register, place = self._written, self._next
        seen = self._base + 4 * place
        while polls:
            if mem32[register] != seen:
                if self._memory[self._first + place] == self.awaited:
                    self.send(self.loaded)
                    self.awaited, self.begun = NO_WORD, True
                return True
            polls -= 1
        return False

    def get(self) -> int:
        """The next word."""
        word: int = self._memory[self._first + self._next]
        self._next = (self._next + 1) % RING_WORDS
        return word

    def take(self, into: bytearray, at: int, end: int) -> int:
        """Undamaged characters from `at` on, until `end` or the first word that is none of them; where that was."""
        memory, first, place = self._memory, self._first, self._next
        written = mem32[self._written] - self._base >> 2
        while at < end and place != written:
            word = memory[first + place]
            if word >= RECEIVED_END or word & DAMAGED:
                break
            into[at] = RECEIVED[word >> 1]
            at += 1
            place = (place + 1) % RING_WORDS
        self._next = place
        return at

    def drop(self) -> None:
        """Forget all that was received."""
        self._next = mem32[self._written] - self._base >> 2

    def holds(self) -> bool:
        """Whether a character was refused to the limit, and sending stopped."""
        return bool(mem32[self._irq] & self._bit)
