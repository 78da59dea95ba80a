"""The same words on another emulator, rp2040-pio-emulator, which knows neither `status` nor IRQ flags.

Its `mov x, ~status` is replaced by the value it has while nothing, or something, waits to be sent.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from pioemu import ShiftRegister, State, emulate  # type: ignore[import-untyped]

from firmware.boards.pico import characters
from tests.firmware.pio.board_files import programs
from tests.firmware.pio.lines import ETU, VECTORS, bits

PIN = 0  # `wait` counts from GPIO 0 there
PROGRAM = programs.CHARACTERS
STATUS, NOTHING_WAITS, SOMETHING_WAITS = 0xA02D, 0xA023, 0xA02B  # mov x, ~status / null / ~null
START = 4 * ETU


def run(until: int, line: Callable[[int], int], *, words: tuple[int, ...] = ()) -> tuple[State, list[tuple[int, int]]]:
    """The state after `until` cycles, and (cycle, 1 where driven low) of every change of direction."""
    program = list(PROGRAM.words)
    program[program.index(STATUS)] = SOMETHING_WAITS if words else NOTHING_WAITS

    def pins(clock: int) -> int:
        return line(clock) << PIN

    changes, last = (
        [],
        State(
            transmit_fifo=deque(words),
            program_counter=PROGRAM.wrap_target,
            output_shift_register=ShiftRegister(characters.TURNAROUND_16, 0),
        ),
    )
    for before, after in emulate(
        program,
        stop_when=lambda _, state: state.clock >= until,
        initial_state=last,
        input_source=pins,
        shift_isr_right=False,
        out_base=PIN,
        out_count=1,
        set_base=PIN,
        set_count=1,
        jmp_pin=PIN,
        wrap_target=PROGRAM.wrap_target,
        wrap_top=PROGRAM.wrap,
    ):
        last = after
        if before.pin_directions != after.pin_directions:
            changes.append((before.clock, after.pin_directions >> PIN & 1))
    assert last.clock >= until
    return last, changes


def driven(character: int, damaged: bool) -> Callable[[int], int]:
    levels = bits(character, damaged=damaged)

    def line(clock: int) -> int:
        place = (clock - START) // ETU
        return levels[place] if 0 <= place < len(levels) else 1

    return line


def quiet(clock: int) -> int:
    return 1


@pytest.mark.parametrize("damaged", [False, True])
def test_a_character_is_received(damaged: bool) -> None:
    signal = VECTORS["error_signal"]
    for character in range(0, 256, 5):
        state, changes = run(START + 14 * ETU, driven(character, damaged))
        [word] = state.receive_fifo
        assert characters.character(word) == character
        assert characters.is_damaged(word) == damaged
        assert [low for _, low in changes] == ([1, 0] if damaged else [])
        if damaged:
            falls, rises = [(when - START) / ETU for when, _ in changes]
            assert signal["from"] <= falls <= signal["to"]
            assert signal["shortest"] <= rises - falls <= signal["longest"]


@pytest.mark.parametrize("vector", VECTORS["edges"], ids=lambda vector: str(vector["character"]))
def test_the_edges_of_a_character(vector: dict[str, Any]) -> None:
    word = characters.SENT[int(vector["character"], 16)] | characters.tail(characters.guard(0, True), 0)
    _, changes = run(40 * ETU, quiet, words=(word, word))
    first = changes[0][0]
    assert [(when - first) / ETU for when, _ in changes] == [*vector["at"], *(12 + at for at in vector["at"])]
