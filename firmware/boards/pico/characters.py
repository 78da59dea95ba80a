"""The words that go through the FIFOs of the program `CHARACTERS`, and how fast it is to run."""

from array import array

from protocols.iso7816.pps import f_and_d

CYCLES_PER_ETU = 32
NO_EXTRA_GUARD = 255  # TC1 for the least
TURNAROUND_16, TURNAROUND_22 = 84, 180  # rounds of two cycles to 16 and 22 etu after a received leading edge
_GUARD_12 = 11  # rounds of two cycles to 12 etu after a sent leading edge

_GUARD_AT, _TURNAROUND_AT = 11, 23
DAMAGED = 1
RECEIVED_END = 1 << 9  # words of characters received are below


def divider(fi_di: int, system_clocks: int) -> int:
    """CLKDIV for 32 cycles per etu, where one clock on CLK is so many of the system.

    Exact for 32 system clocks and D a power of 2; otherwise to half a step of 1/256, less than 0.05 % of an etu.
    """
    f, d = f_and_d(fi_di)
    return (f * system_clocks * 16 + d) // (2 * d) << 8


def clock_divider(system_clocks: int) -> int:
    """CLKDIV for one clock in two cycles; an odd count makes every other half one system clock longer."""
    return system_clocks * 128 << 8


def guard(extra_guard: int, error_signal: bool) -> int:
    """Rounds of two cycles for N: 12 + N etu between leading edges; for 255 12 etu in T=0 and 11.3 in T=1."""
    if extra_guard == NO_EXTRA_GUARD:
        return _GUARD_12 if error_signal else 0
    return _GUARD_12 + extra_guard * CYCLES_PER_ETU // 2


def _word(value: int) -> int:
    """Start bit, 8 data bits, parity bit, release; 1 drives the line low."""
    ones = 0
    for place in range(8):
        ones += value >> place & 1
    return 1 | (value ^ 0xFF) << 1 | (1 - ones % 2) << 9


def _bits(word: int) -> int:
    """A word received has the parity up to and with each bit, that of the first one on top."""
    value = 0
    for place in range(8):
        value |= ((word >> 8 - place ^ word >> 9 - place) & 1) << place
    return value


SENT = array("H", [_word(value) for value in range(256)])
"""The character in a word to be sent."""
RECEIVED = bytes([_bits(word) for word in range(0, RECEIVED_END, 2)])
"""The character of half a word received."""


def tail(guard_rounds: int, turnaround_rounds: int) -> int:
    """The rest of a word to be sent."""
    return guard_rounds << _GUARD_AT | turnaround_rounds << _TURNAROUND_AT


def received_word(value: int) -> int:
    """The word of this character, received undamaged."""
    return 2 * RECEIVED.find(bytes([value]))


def is_refusal(word: int) -> bool:
    """Whether the word says that the card refused a character, and is none received."""
    return word >= RECEIVED_END


def is_damaged(word: int) -> bool:
    """Whether the character received had wrong parity (and was refused, where the error signal is on)."""
    return word & DAMAGED != 0


def character(word: int) -> int:
    """The character received, right or damaged."""
    return RECEIVED[word >> 1]
