"""The characters program, cycle by cycle, on the PIO block of rp2040py."""

import random
from fractions import Fraction
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.boards.pico import characters
from protocols.iso7816.pps import f_and_d, is_speed
from tests.firmware.pio.board_files import programs
from tests.firmware.pio.chip import Chip, Machine
from tests.firmware.pio.lines import ETU, IO, VECTORS, Reader, bits, drive, leading_edges, sampled

SPEEDS = [fi_di for fi_di in range(256) if is_speed(fi_di)]
SYSTEM_CLOCKS = (25, 32, 35)
ALL = range(256)


@pytest.fixture(scope="module")
def any_reader() -> Reader:
    return Reader()


def received(words: list[int]) -> list[tuple[int, bool]]:
    """(character, parity was right)."""
    assert not any(characters.is_refusal(word) for word in words)
    return [(characters.character(word), not characters.is_damaged(word)) for word in words]


def hear(reader: Reader, character: int, *, etu: float = ETU, damaged: bool = False, phase: int = 0) -> int:
    """The card sends one; when its start bit began."""
    start = reader.chip.now + 2 * ETU + phase
    moved = [place * (etu / ETU - 1) for place in range(11)]
    drive(reader.chip, reader.line, start, bits(character, damaged=damaged), moved)
    reader.chip.run_until(start + 14 * ETU)
    return start


def test_the_program_fits_a_block() -> None:
    assert len(programs.CHARACTERS.words) <= 32
    assert len(programs.CLOCK.words) <= 32


# Receiving


def test_every_character_is_received() -> None:
    reader = Reader()
    for character in ALL:
        hear(reader, character, phase=character % 7)
        assert received(reader.take()) == [(character, True)]
    assert len(reader.line.edges) == sum(len(edges_of(character)) for character in ALL)  # nothing was driven


def edges_of(character: int) -> list[int]:
    levels = [1, *bits(character)]
    return [place for place in range(11) if levels[place] != levels[place + 1]]


def test_every_character_with_wrong_parity_is_refused_by_the_error_signal() -> None:
    signal = VECTORS["error_signal"]
    reader = Reader()
    for character in ALL:
        reader.line.edges.clear()
        start = hear(reader, character, damaged=True, phase=character % 7)
        assert received(reader.take()) == [(character, False)]
        falls, rises = [(edge.at - start) / ETU for edge in reader.line.edges[-2:]]
        assert signal["from"] <= falls <= signal["to"]
        assert signal["shortest"] <= rises - falls <= signal["longest"]


def test_without_error_signal_nothing_is_driven() -> None:
    reader = Reader()
    reader.error_signal(False)
    for character in ALL:
        reader.line.edges.clear()
        start = hear(reader, character, damaged=True)
        assert received(reader.take()) == [(character, False)]
        assert all(edge.at <= start + 10 * ETU for edge in reader.line.edges)
    reader.error_signal(True)
    start = hear(reader, 0x3B, damaged=True)
    assert reader.line.edges[-1].at > start + 11 * ETU


@pytest.mark.parametrize("distance", [11, 12])
def test_characters_that_follow_each_other_at_once(distance: int) -> None:
    reader = Reader()
    sent = random.Random(7816).choices(ALL, k=64)
    for place, character in enumerate(sent):
        drive(reader.chip, reader.line, (4 + place * distance) * ETU, bits(character))
    heard = []
    for _ in sent:
        reader.chip.run(distance * ETU)
        heard += received(reader.take())
    reader.chip.run(12 * ETU)
    assert heard + received(reader.take()) == [(character, True) for character in sent]


@pytest.mark.parametrize("etu", [0.97, 0.98, 0.99, 1.01, 1.02, 1.03])
def test_a_card_whose_etu_is_off(etu: float) -> None:
    reader = Reader()
    for character in ALL:
        hear(reader, character, etu=etu * ETU, phase=character % 5)
        assert received(reader.take()) == [(character, True)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 255),
    st.lists(st.floats(-VECTORS["edge_tolerance"], VECTORS["edge_tolerance"]), min_size=10, max_size=10),
    st.integers(0, 6),
)
def test_edges_anywhere_within_their_tolerance(
    any_reader: Reader, character: int, moved: list[float], phase: int
) -> None:
    start = any_reader.chip.now + 2 * ETU + phase
    drive(any_reader.chip, any_reader.line, start, bits(character), [0.0, *moved])
    any_reader.chip.run_until(start + 20 * ETU)
    assert received(any_reader.take()) == [(character, True)]


@pytest.mark.parametrize("cycles", range(1, ETU // 2))
def test_a_glitch_shorter_than_half_an_etu_is_no_start_bit(cycles: int) -> None:
    reader = Reader()
    for phase in range(5):
        start = reader.chip.now + ETU + phase
        reader.chip.at(start, lambda: reader.line.pull(True))
        reader.chip.at(start + cycles, lambda: reader.line.pull(False))
        reader.chip.run_until(start + 15 * ETU)
        assert reader.take() == []
        hear(reader, 0x3B)
        assert received(reader.take()) == [(0x3B, True)]


def test_a_line_held_low_makes_one_character() -> None:
    reader = Reader()
    reader.line.pull(True)
    reader.chip.run(200 * ETU)
    reader.line.pull(False)
    reader.chip.run(20 * ETU)
    assert received(reader.take()) == [(0x00, True)]
    hear(reader, 0xA5)
    assert received(reader.take()) == [(0xA5, True)]


# Sending


@pytest.mark.parametrize("vector", VECTORS["edges"], ids=lambda vector: str(vector["character"]))
def test_the_edges_of_a_character(vector: dict[str, object]) -> None:
    reader = Reader()
    reader.send(int(str(vector["character"]), 16))
    reader.chip.run(14 * ETU)
    start = reader.line.edges[0].at
    assert [(edge.at - start) / ETU for edge in reader.line.edges] == vector["at"]
    assert [edge.level for edge in reader.line.edges] == [0, 1] * (len(reader.line.edges) // 2)


def test_every_character_is_sent() -> None:
    reader = Reader()
    for first in range(0, 256, 4):
        reader.send(*range(first, first + 4))
        reader.chip.run(50 * ETU)
    assert sampled(reader.line.edges) == [(character, True) for character in ALL]
    assert reader.take() == []  # it does not hear itself


@pytest.mark.parametrize("vector", VECTORS["guard"], ids=lambda vector: f"N={vector['n']}")
@pytest.mark.parametrize("protocol", ["t0", "t1"])
def test_guard_time(vector: dict[str, float], protocol: str) -> None:
    reader = Reader()
    reader.send(0x00, 0xA0, 0xFF, extra_guard=int(vector["n"]), t0=protocol == "t0")
    reader.chip.run(round(3 * vector[protocol] * ETU) + 12 * ETU)
    starts = leading_edges(reader.line.edges)
    distances = [(later - earlier) / ETU for earlier, later in pairwise(starts)]
    assert len(distances) == 2
    for distance in distances:
        assert vector[protocol] <= distance <= vector[protocol] + (0.35 if vector[protocol] == 11 else 0)


@pytest.mark.parametrize(
    ("turnaround", "etu"),
    [
        (characters.TURNAROUND_16, VECTORS["turnaround"]["t0"]),
        (characters.TURNAROUND_22, VECTORS["turnaround"]["t1"]),
    ],
)
@pytest.mark.parametrize("character", [0x00, 0x3B, 0xFE, 0xFF])
def test_turnaround_however_early_the_word_is_there(turnaround: int, etu: float, character: int) -> None:
    for phase in range(5):
        for put in (1, 5, 11, 15):
            reader = Reader(turnaround=turnaround)
            start = 4 * ETU + phase
            drive(reader.chip, reader.line, start, bits(character))
            reader.chip.run_until(start + put * ETU)
            reader.send(0x90)
            reader.chip.run(30 * ETU)
            distance = (leading_edges(reader.line.edges)[1] - start) / ETU
            assert etu <= distance <= etu + 0.25
            assert received(reader.take()) == [(character, True)]


def test_a_word_put_after_the_turnaround_goes_at_once() -> None:
    reader = Reader()
    start = hear(reader, 0x60)
    reader.chip.run_until(start + 40 * ETU)
    reader.send(0x90)
    reader.chip.run(14 * ETU)
    assert leading_edges(reader.line.edges)[1] - start <= 40.5 * ETU


def test_the_card_may_answer_while_guard_time_runs() -> None:
    reader = Reader()
    reader.send(0x84, extra_guard=254)
    reader.chip.run(14 * ETU)
    hear(reader, 0x60)
    assert received(reader.take()) == [(0x60, True)]


# The error signal of the card


@pytest.mark.parametrize("begins", [10.3, 10.5, 10.7])
def test_a_refused_character_is_sent_again(begins: float) -> None:
    repetition = VECTORS["repetition"]
    reader = Reader()
    reader.send(0xA4, 0x12)
    reader.chip.run(ETU)
    start = reader.line.edges[0].at
    reader.chip.at(start + round(begins * ETU), lambda: reader.line.pull(True))
    reader.chip.at(start + round((begins + 1) * ETU), lambda: reader.line.pull(False))
    reader.chip.run(50 * ETU)
    assert sampled(reader.line.edges) == [(0xA4, True), (0xA4, True), (0x12, True)]
    again = (leading_edges(reader.line.edges)[1] - start) / ETU
    assert repetition["looks"] + repetition["after"] <= again <= repetition["looks"] + repetition["after"] + 0.4
    words = reader.take()
    assert len(words) == 1
    assert characters.is_refusal(words[0])
    assert not reader.machine.held


@pytest.mark.parametrize(("low", "seen"), [((9.99, 10.7), False), ((10.8, 11.2), True), ((11.25, 11.7), False)])
def test_when_the_sender_looks(low: tuple[float, float], seen: bool) -> None:
    reader = Reader()
    reader.send(0xA4)
    reader.chip.run(ETU)
    start = reader.line.edges[0].at
    for when, pulled in zip(low, (True, False), strict=True):
        reader.chip.at(start + round(when * ETU), partial(reader.line.pull, pulled))
    reader.chip.run(30 * ETU)
    assert bool(reader.take()) == seen


def test_at_the_limit_the_sender_holds() -> None:
    reader = Reader()
    refusing = [True]

    def refuse() -> None:
        start = leading_edges(reader.line.edges)[-1]
        if refusing[0]:
            reader.chip.at(start + round(10.5 * ETU), lambda: reader.line.pull(True, "refusal"))
            reader.chip.at(start + 12 * ETU, lambda: reader.line.pull(False, "refusal"))

    reader.send(0xA4, 0x12)
    refusals = 0
    for _ in range(6):
        reader.chip.run(4 * ETU)
        if reader.line.edges and reader.chip.now - leading_edges(reader.line.edges)[-1] < 10 * ETU:
            refuse()
        reader.chip.run(9 * ETU + 5)
        refusals += len(reader.take())
    assert sampled(reader.line.edges) == [(0xA4, True)] * (1 + programs.REPEATS)
    assert refusals == 1 + programs.REPEATS
    assert reader.machine.held
    assert reader.machine.waiting == 1  # the next was not sent


# Sender against receiver


def test_a_character_corrupted_on_the_line_is_refused_and_sent_again() -> None:
    reader = Reader(card=True)
    rng = random.Random(7816)
    sent = rng.choices(ALL, k=40)
    corrupted, refusals, words = 0, 0, []
    for character in sent:
        reader.send(character, machine=reader.card)
        reader.chip.run_until(reader.chip.now + 2 * ETU, lambda: not reader.line.level)
        start = reader.chip.now
        if rng.random() < 0.5 and (ones := [place for place in range(1, 10) if bits(character)[place]]):
            noise = start + rng.choice(ones) * ETU
            corrupted += 1
            reader.chip.at(noise, lambda: reader.line.pull(True, "noise"))
            reader.chip.at(noise + ETU, lambda: reader.line.pull(False, "noise"))
        reader.chip.run(30 * ETU)
        words += reader.take()
        refusals += sum(characters.is_refusal(reader.card.get()) for _ in range(reader.card.received))
    assert [character for character, right in received(words) if right] == sent
    assert sum(characters.is_damaged(word) for word in words) == corrupted > 5
    assert refusals == corrupted
    assert len(leading_edges(reader.line.edges)) == len(sent) + corrupted
    assert not reader.card.held


# Clocks


@pytest.mark.parametrize("system_clocks", SYSTEM_CLOCKS)
def test_an_etu_is_f_over_d_clocks(system_clocks: int) -> None:
    for fi_di in SPEEDS:
        f, d = f_and_d(fi_di)
        etu = Fraction(characters.divider(fi_di, system_clocks) >> 8, 256) * characters.CYCLES_PER_ETU / system_clocks
        wanted = Fraction(f, d)
        assert abs(etu / wanted - 1) < Fraction(5, 10000)
        if system_clocks == 32 and d not in (12, 20):
            assert etu == wanted


@pytest.mark.parametrize("system_clocks", SYSTEM_CLOCKS)
def test_clk(system_clocks: int) -> None:
    chip = Chip()
    line = chip.line(IO)
    machine = Machine(chip, 0)
    machine.load(programs.CLOCK, IO, characters.clock_divider(system_clocks))
    machine.active(True)
    chip.run(100 * system_clocks)
    rises = [edge.at for edge in line.edges if edge.level][1:]
    falls = [edge.at for edge in line.edges if not edge.level][1:]
    assert len(rises) > 90
    assert {later - earlier for earlier, later in pairwise(rises)} == {system_clocks}
    low = min(rise for rise in rises if rise > falls[0]) - falls[0]
    assert 0.4 <= low / system_clocks <= 0.6
