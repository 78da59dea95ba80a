"""The Pico's contact line, from the slot down to the pins, against a card at pin level."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from hardware.virtual.line_faults import Fault
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from protocols.ccid.messages import ERROR_BAD_TS, ERROR_HARDWARE, ERROR_MUTE, ERROR_PARITY
from protocols.iso7816.line import CLK, CONTACTS_OFF, RST, VCC
from tests.firmware.pio.bench import (
    ATR,
    ATR_T1,
    ATR_WITH_GUARD,
    ATR_WITH_LONG_GUARD,
    ATR_WITH_WI_1,
    READ_32,
    RECORD,
    VERIFY,
    Bench,
    ScriptedChip,
    chip,
    error_of,
    exchange,
)
from tests.firmware.pio.lines import leading_edges
from tests.firmware.rig import ChipWithAtr

PPS_96 = bytes.fromhex("FF109679")
VERIFY_BLOCK = "000008" + VERIFY + "FF"
IFSD_254 = bytes.fromhex("00C101FE3E")
INITIAL_ETU = 372 * 32  # system clocks
ETU_96 = 16 * 32
SESSION = [
    ("00A404000F7378312E73682EC9E7BBE1B1A3D5CF", "611E"),
    ("00A4020002EF05", "9000"),
    ("00B2030006", "0304322E30309000"),  # version 2.00
    ("0020000003123456", "63C2"),
    ("0020000003135790", "9000"),
]
"""Of ssc-card.md 9.2 and 9.3, for a card of version 2.00."""


def noise(bench: Bench, random_: random.Random, every: int) -> list[int]:
    """About one in so many characters gets a low etu in the place of a one; how often that was."""
    count = [0]
    busy = [0]
    line = bench.sockets[0].line

    def hear(at: int, level: int) -> None:
        if level or at < busy[0]:
            return
        etu = bench.simulation.chip.rp2040.pio[0].machines[0].div_fp // 8
        busy[0] = at + round(11.8 * etu)
        if random_.randrange(every) == 0:
            place = random_.randrange(1, 10)
            count[0] += 1
            bench.simulation.chip.at(at + place * etu, lambda: line.pull(True, "noise"))
            bench.simulation.chip.at(at + (place + 1) * etu, lambda: line.pull(False, "noise"))

    line.heard.append(hear)
    return count


def contacts_after(bench: Bench, before: int) -> list[int]:
    return [contacts for _, contacts in bench.sockets[0].contacts[before:]]


def test_a_session_with_the_virtual_card(bench: Bench, tmp_path: Path) -> None:
    make_card(load_person(DEFAULT_PERSON), tmp_path / "employee.card")
    bench.put(ChipWithAtr(tmp_path / "employee.card", ATR))
    assert bench.slots[0].power_on() == ATR
    assert exchange(bench, PPS_96.hex()) == PPS_96.hex().upper()
    for command, answer in SESSION:
        assert exchange(bench, command) == answer
    counters = bench.lines[0].counters
    assert counters.sent == len(PPS_96) + sum(len(command) // 2 for command, _ in SESSION)
    procedure_bytes = len(SESSION)
    assert counters.received == len(ATR + PPS_96) + sum(len(answer) // 2 for _, answer in SESSION) + procedure_bytes
    assert (counters.refused, counters.resent) == (0, 0)


@pytest.mark.parametrize("ta1", ["13", "18", "93", "95", "97", "98"])
def test_other_speeds(bench: Bench, ta1: str) -> None:
    bench.put(ScriptedChip(bytes.fromhex("3B10" + ta1), {READ_32: RECORD, VERIFY: "9000"}))
    bench.slots[0].power_on()
    pps = bytes([0xFF, 0x10, int(ta1, 16), 0xEF ^ int(ta1, 16)])
    assert bench.slots[0].exchange(pps) == pps
    assert exchange(bench, READ_32) == RECORD
    assert exchange(bench, VERIFY) == "9000"
    counters = bench.lines[0].counters
    assert (counters.refused, counters.resent) == (0, 0)


def test_both_slots_at_once(bench: Bench) -> None:
    bench.put(chip())
    bench.put(ScriptedChip(bytes.fromhex("3B00")), number=1)
    assert bench.slots[0].power_on() == ATR
    assert bench.slots[1].power_on() == bytes.fromhex("3B00")
    assert exchange(bench, READ_32) == RECORD


# Contacts


def test_activation_and_deactivation_in_order(bench: Bench) -> None:
    socket = bench.sockets[0]
    assert socket.line.level == 0  # without power
    bench.put(chip())
    before = len(socket.contacts)
    bench.slots[0].power_on()
    assert contacts_after(bench, before) == [VCC, VCC | CLK, VCC | CLK | RST]
    times = {contacts: at for at, contacts in socket.contacts[before:]}
    released = next(edge.at for edge in bench.edges if edge.level)
    assert times[VCC] <= released <= times[VCC | CLK] + 200 * 32
    assert times[VCC | CLK | RST] - times[VCC | CLK] >= 400 * 32
    before = len(socket.contacts)
    bench.slots[0].power_off()
    assert contacts_after(bench, before) == [VCC | CLK, VCC, CONTACTS_OFF]
    times = {contacts: at for at, contacts in socket.contacts[before:]}
    assert times[VCC] <= bench.edges[-1].at <= times[CONTACTS_OFF]
    assert bench.edges[-1].level == 0


def test_a_warm_reset_keeps_the_power(bench: Bench) -> None:
    bench.put(chip())
    bench.slots[0].power_on()
    before = len(bench.sockets[0].contacts)
    assert bench.slots[0].power_on() == ATR
    assert contacts_after(bench, before) == [VCC | CLK, VCC | CLK | RST]


@pytest.mark.parametrize(
    ("command", "after_ms"),
    [(READ_32, 1), (READ_32, 10), (READ_32, 25), (READ_32, 40), (VERIFY, 1), (VERIFY, 6), (VERIFY, 9)],
)
def test_a_card_pulled_in_mid_exchange_loses_its_contacts_at_once(bench: Bench, command: str, after_ms: int) -> None:
    bench.put(chip())
    bench.slots[0].power_on()
    socket, now = bench.sockets[0], bench.simulation.chip.now
    pulled = now + after_ms * 128_000
    bench.simulation.chip.at(pulled, socket.pull)
    before = len(socket.contacts)
    assert error_of(bench, command) == ERROR_MUTE
    assert contacts_after(bench, before) == [VCC | CLK, VCC, CONTACTS_OFF]
    assert socket.contacts[-1][0] - pulled < 128_000  # a millisecond
    assert bench.lines[0].gone
    bench.put(chip())
    assert bench.slots[0].power_on() == ATR


def test_the_other_card_may_leave_meanwhile(bench: Bench) -> None:
    bench.put(chip())
    bench.put(ScriptedChip(), number=1)
    bench.slots[0].power_on()
    bench.slots[1].power_on()
    other = bench.sockets[1]
    pulled = bench.simulation.chip.now + 10 * 128_000
    bench.simulation.chip.at(pulled, other.pull)
    assert exchange(bench, READ_32) == RECORD
    assert other.contacts[-1][1] == CONTACTS_OFF
    assert other.contacts[-1][0] - pulled < 128_000


def test_too_much_current_takes_the_contacts_off(bench: Bench) -> None:
    bench.put(ScriptedChip(ATR_WITH_WI_1))
    bench.slots[0].power_on()
    pin, level = bench.pins.OVERCURRENT[0]
    before = len(bench.sockets[0].contacts)
    bench.simulation.chip.rp2040.gpio[pin].set_input_value(bool(level))
    bench.lines[0].poll()
    assert bench.lines[0].overcurrent
    assert contacts_after(bench, before) == [VCC | CLK, VCC, CONTACTS_OFF]
    assert error_of(bench, READ_32) == ERROR_HARDWARE
    assert bench.sockets[0].contacts[-1][1] == CONTACTS_OFF
    bench.simulation.chip.rp2040.gpio[pin].set_input_value(not level)
    assert bench.slots[0].power_on() == ATR_WITH_WI_1


def test_a_card_that_bounces_in_is_there_when_it_is_steady(bench: Bench) -> None:
    line, socket = bench.lines[0], bench.sockets[0]
    gpio = bench.simulation.chip.rp2040.gpio[bench.pins.SLOTS[0][4]]
    for _ in range(20):
        for level in (False, True):
            gpio.set_input_value(level)
            bench.simulation.spend(3000)
            line.poll()
            assert not line.present
    assert socket.contacts == [(0, CONTACTS_OFF)]


# Characters


@pytest.mark.parametrize("speed", ["11", "96"])
def test_noise_in_both_directions_costs_repetitions_and_nothing_else(bench: Bench, speed: str) -> None:
    card = bench.put(chip())
    bench.slots[0].power_on()
    if speed == "96":
        bench.slots[0].exchange(PPS_96)
    hit = noise(bench, random.Random(7816), 2 if speed == "11" else 4)
    for _ in range(2 if speed == "11" else 6):
        assert exchange(bench, READ_32) == RECORD
        assert exchange(bench, VERIFY) == "9000"
    counters = bench.lines[0].counters
    assert hit[0] > 5
    assert counters.refused > 0
    assert counters.resent > 0
    assert (counters.refused, counters.resent) == (card.resent, card.refused)


def test_a_character_that_stays_wrong_is_refused_four_times(bench: Bench) -> None:
    card = bench.put(chip(), Fault(phase="command", does="damage", at=3, times=1))
    bench.slots[0].power_on()
    assert error_of(bench, READ_32) == ERROR_PARITY
    assert bench.lines[0].counters.refused == 1 + bench.programs.REPEATS
    assert card.resent == bench.programs.REPEATS
    assert bench.slots[0].power_on() == ATR
    assert exchange(bench, READ_32) == RECORD


def test_a_card_that_refuses_all_is_given_up(bench: Bench) -> None:
    bench.put(chip())
    bench.slots[0].power_on()
    line = bench.sockets[0].line
    held = [0]

    def refuse(at: int, level: int) -> None:
        if not level and at > held[0]:
            held[0] = at + 12 * INITIAL_ETU
            bench.simulation.chip.at(at + round(10.5 * INITIAL_ETU), lambda: line.pull(True, "refusal"))
            bench.simulation.chip.at(at + round(11.9 * INITIAL_ETU), lambda: line.pull(False, "refusal"))

    line.heard.append(refuse)
    assert error_of(bench, READ_32) == ERROR_PARITY
    line.heard.remove(refuse)
    assert bench.lines[0].counters.resent == bench.programs.REPEATS
    assert bench.sockets[0].contacts[-1][1] == CONTACTS_OFF
    assert bench.slots[0].power_on() == ATR
    assert exchange(bench, VERIFY) == "9000"


def test_ts_gets_no_error_signal(bench: Bench) -> None:
    # the inverse convention's 3F, read as if direct: 03 with odd parity
    card = bench.put(ScriptedChip(bytes.fromhex("0300")), Fault(phase="atr", does="damage", at=0))
    assert error_of(bench) == ERROR_BAD_TS
    assert bench.lines[0].counters.refused == 0
    assert card.resent == 0


def test_the_guard_time_of_the_answer_to_reset(bench: Bench) -> None:
    bench.put(ScriptedChip(ATR_WITH_GUARD, {VERIFY: "9000"}))
    bench.slots[0].power_on()
    assert exchange(bench, VERIFY) == "9000"
    starts = sent_by_reader(bench)
    assert len(starts) == len(VERIFY) // 2
    gaps = [(later - earlier) / INITIAL_ETU for earlier, later in pairwise(starts)]
    header, data = gaps[:4], gaps[5:]  # the procedure byte is between them
    assert header == pytest.approx([22.0] * 4, abs=0.05)
    assert data == pytest.approx([22.0] * 2, abs=0.05)


def sent_by_reader(bench: Bench) -> list[int]:
    """Leading edges of header and data of the command after the answer to reset."""
    starts = leading_edges(bench.edges[1:], INITIAL_ETU)[len(ATR_WITH_GUARD) :]
    return starts[:5] + starts[6:9]


def driven_on(bench: Bench, etu: int) -> list[tuple[int, bool]]:
    """Leading edges from now on, and whether the reader drove them."""
    driven: list[tuple[int, bool]] = []
    io = bench.pins.SLOTS[0][0]

    def hear(at: int, level: int) -> None:
        if not level and (not driven or at > driven[-1][0] + 10.7 * etu):
            driven.append((at, bool(bench.simulation.chip.driven_low >> io & 1)))

    bench.sockets[0].line.heard.append(hear)
    return driven


def test_direction_changes_after_16_etu_at_least(bench: Bench) -> None:
    bench.put(chip())
    bench.slots[0].power_on()
    bench.slots[0].exchange(PPS_96)
    driven = driven_on(bench, ETU_96)
    assert exchange(bench, VERIFY) == "9000"
    assert [by_reader for _, by_reader in driven] == [True] * 5 + [False] + [True] * 3 + [False] * 2
    turns = [(later[0] - earlier[0]) / ETU_96 for earlier, later in pairwise(driven) if earlier[1] != later[1]]
    assert min(turns) >= 16.0


def test_characters_follow_one_another_however_slow_python_is(bench: Bench) -> None:
    bench.put(ScriptedChip(ATR_T1, {VERIFY: "9000"}))
    bench.slots[0].power_on()
    driven = driven_on(bench, INITIAL_ETU)
    bench.simulation.call_us = 2000
    bench.slots[0].exchange(IFSD_254)
    sent = [at for at, by_reader in driven if by_reader]
    assert len(sent) == len(IFSD_254)
    assert [(later - earlier) / INITIAL_ETU for earlier, later in pairwise(sent)] == pytest.approx([11.3] * 4, abs=0.2)


def test_data_follow_their_procedure_byte_while_python_is_away(bench: Bench) -> None:
    bench.put(chip())
    bench.slots[0].power_on()
    bench.slots[0].exchange(PPS_96)
    line, sent_before = bench.lines[0], bench.lines[0].counters.sent
    driven = driven_on(bench, ETU_96)
    command = bytes.fromhex(VERIFY)
    line.prepare(command, command[1])
    line.send(command[:5])
    bench.simulation.spend(20_000)
    assert line.receive(1, 100) == command[1:2]
    line.send(command[5:])
    assert line.receive(2, 100) == bytes.fromhex("9000")
    assert [by_reader for _, by_reader in driven] == [True] * 5 + [False] + [True] * 3 + [False] * 2
    assert 16.0 <= (driven[6][0] - driven[5][0]) / ETU_96 < 24.0
    assert line.counters.sent - sent_before == len(command)


AWKWARD = {
    "usual": (),
    "NULL first": (Fault(phase="command", does="insert", at=0, characters="6060"),),
    "one by one": (Fault(phase="command", does="single"),),
    "thinks": (Fault(phase="command", does="pause", at=0, ms=10),),
}


@pytest.mark.parametrize("faults", AWKWARD.values(), ids=AWKWARD)
def test_data_arrive_once_whatever_the_procedure_bytes(bench: Bench, faults: tuple[Fault, ...]) -> None:
    card = chip()
    bench.put(card, *faults)
    bench.slots[0].power_on()
    bench.slots[0].exchange(PPS_96)
    assert [exchange(bench, VERIFY) for _ in range(2)] == ["9000", "9000"]
    assert card.commands == [VERIFY, VERIFY]
    assert bench.lines[0].counters.sent == len(PPS_96) + 2 * len(VERIFY) // 2


@pytest.mark.parametrize(
    ("answer", "faults"), [("9000", ()), ("6983", (Fault(phase="command", does="replace", at=0, characters="6983"),))]
)
def test_no_data_stay_in_memory(bench: Bench, answer: str, faults: tuple[Fault, ...]) -> None:
    bench.put(chip(), *faults)
    bench.slots[0].power_on()
    kept: list[bool] = []
    bench.sockets[0].line.heard.append(lambda *_: kept.append(keeps_words(bench)))
    assert exchange(bench, VERIFY) == answer
    assert any(kept)
    assert not keeps_words(bench)


def keeps_words(bench: Bench) -> bool:
    """Whether an array that DMA sends from has words in it."""
    return any(any(bytes(memoryview(channel.read).obj)) for channel in bench.simulation.channels)


def test_a_block_of_t1(bench: Bench) -> None:
    bench.put(ScriptedChip(ATR_T1, {VERIFY: "9000"}))
    bench.slots[0].power_on()
    bench.slots[0].exchange(IFSD_254)
    driven = driven_on(bench, INITIAL_ETU)
    assert exchange(bench, VERIFY_BLOCK) == "000002900092"
    bench.slots[0].exchange(IFSD_254)
    sent = len(VERIFY_BLOCK) // 2
    assert [by_reader for _, by_reader in driven] == [True] * sent + [False] * 6 + [True] * 5 + [False] * 5
    gaps = [(later[0] - earlier[0]) / INITIAL_ETU for earlier, later in pairwise(driven)]
    assert min(gaps[sent - 1], gaps[sent + 5]) >= 22.0
    assert all(11.0 <= gap <= 11.5 for gap in gaps[: sent - 1])  # N = 255


@pytest.mark.parametrize("at", [0, 5])
def test_a_damaged_block_of_t1_is_not_refused(bench: Bench, at: int) -> None:
    card = bench.put(ScriptedChip(ATR_T1, {VERIFY: "9000"}), Fault(phase="block", does="damage", at=at, times=1))
    bench.slots[0].power_on()
    assert error_of(bench, VERIFY_BLOCK) == ERROR_PARITY
    assert card.resent == 0


def test_the_waiting_time_begins_when_all_is_sent(bench: Bench) -> None:
    # what waits in the FIFO takes 99 ms, and WWT is 89 ms
    pause = Fault(phase="command", does="pause", at=0, ms=60)
    bench.put(ScriptedChip(ATR_WITH_LONG_GUARD, {READ_32: RECORD}), pause)
    bench.slots[0].power_on()
    assert exchange(bench, READ_32) == RECORD


def test_nothing_is_lost_while_python_is_away(bench: Bench) -> None:
    bench.put(chip())
    bench.slots[0].power_on()
    bench.slots[0].exchange(PPS_96)
    line = bench.lines[0]
    line.send(bytes.fromhex(READ_32))
    bench.simulation.spend(20_000)  # a garbage collection, and more
    assert line.receive(1, 100) == b"\xb2"
    assert line.receive(34, 100) == bytes.fromhex(RECORD)
