"""The Pico board itself, with its watchdog, host line, pad and lamps."""

import sys
from types import SimpleNamespace
from unittest.mock import patch

from hardware.virtual.line_faults import Fault
from protocols.ccid.keypad import BUZZER, GREEN, OK, RED
from protocols.ccid.messages import ERROR_MUTE
from protocols.ccid.serial_frame import frame
from protocols.iso7816.line import CONTACTS_OFF
from tests.firmware.pio.bench import (
    ATR,
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
from tests.firmware.pio.micropython import Port

POWER_ON_3_V = bytes.fromhex("62000000000007020000")


def test_the_watchdog_is_fed_while_a_card_is_mute(bench: Bench) -> None:
    bench.put(ScriptedChip(ATR_WITH_WI_1, {READ_32: RECORD}), Fault(phase="command", does="mute"))
    bench.slots[0].power_on()
    began = bench.simulation.chip.now
    longest = [0]

    def look() -> None:
        longest[0] = max(longest[0], bench.simulation.chip.now - max(bench.simulation.fed, began))

    bench.simulation.chip.after_step.append(look)
    assert error_of(bench, READ_32) == ERROR_MUTE
    assert 80 < (bench.simulation.chip.now - began) / 128_000 < 600  # ms: WWT is 89, then it is powered off and on
    assert longest[0] < 30 * 128_000


def test_a_host_that_is_never_silent_starves_neither_watchdog_nor_slots(bench: Bench) -> None:
    bench.simulation.port.incoming.extend(POWER_ON_3_V)
    bench.board.wait(200)
    fed = bench.simulation.fed
    bench.put(chip())
    bench.sockets[0].pull()
    bench.board.wait(200)
    assert bench.simulation.fed > fed
    assert not bench.lines[0].present


def test_the_host_has_a_port_of_its_own(bench: Bench) -> None:
    bench.put(chip())
    port = bench.simulation.port
    assert port.open
    assert bench.simulation.interrupt_key == 3  # the console can be interrupted again
    device = bench.ccid_device()
    port.incoming.extend(frame(POWER_ON_3_V))
    bench.board.wait(200)
    device.serve()
    answer = frame(bytes.fromhex("80") + len(ATR).to_bytes(4, "little") + bytes.fromhex("0007000000") + ATR)
    assert bytes(port.outgoing).endswith(answer)


def test_without_a_second_port_the_console_takes_any_byte() -> None:
    console = Port()
    with patch.object(sys, "stdin", SimpleNamespace(buffer=console)):
        bench = Bench(second_port=False)
    assert bench.simulation.interrupt_key == -1
    host = bench.board.host_line
    assert not host.waiting()
    assert host.read() == b""
    data = bytes(range(256)) * 4
    console.incoming.extend(data)
    assert host.waiting()
    assert host.read() + host.read() == data
    assert not host.waiting()


def test_waiting_ends_when_a_card_comes(bench: Bench) -> None:
    socket = bench.sockets[0]
    gpio = bench.simulation.chip.rp2040.gpio[bench.pins.SLOTS[0][4]]
    bench.simulation.chip.at(bench.simulation.chip.now + 12_800_000, lambda: gpio.set_input_value(False))
    bench.board.wait(1000)
    assert bench.lines[0].present
    assert 0.1 < bench.simulation.chip.now / 128e6 < 0.3
    socket.pull()
    bench.board.wait(1000)
    assert bench.lines[0].gone
    assert bench.simulation.chip.now / 128e6 < 0.4


def test_the_pin_pad_of_the_board(bench: Bench) -> None:
    rows, columns = bench.pins.KEYPAD_ROWS, bench.pins.KEYPAD_COLUMNS
    chip_ = bench.simulation.chip.rp2040
    scanner = bench.keypad.KeyScanner(bench.board.keypad)
    scanner.start()
    keys = []
    pressed: list[tuple[int, int]] = []

    def follow() -> None:
        for column, pin in enumerate(columns):
            low = any(
                chip_.sio.gpio_output_enable >> rows[row] & 1 and not chip_.sio.gpio_value >> rows[row] & 1
                for row, at in pressed
                if at == column
            )
            chip_.gpio[pin].set_input_value(not low)

    bench.simulation.changed.append(follow)
    for row, column in [(0, 0), (1, 1), (3, 1), (3, 3)]:  # 1, 5, 0, OK
        for down in ([], [(row, column)], []):
            pressed[:] = down
            for _ in range(10):
                bench.simulation.spend(5000)
                keys.append(scanner.poll())
    assert [key for key in keys if key is not None] == [1, 5, 0, OK]
    assert not any(chip_.sio.gpio_output_enable >> pin & 1 for pin in rows)


def test_lamps_and_buzzer(bench: Bench) -> None:
    green, red = bench.pins.LEDS
    levels = bench.simulation.chip.rp2040.sio
    for lamps, lit in [(GREEN, [green]), (RED | BUZZER, [red, bench.pins.BUZZER]), (0, [])]:
        bench.board.indicator.drive(lamps)
        assert [pin for pin in (green, red, bench.pins.BUZZER) if levels.gpio_value >> pin & 1] == lit


def test_closing_leaves_no_card_powered_and_no_watchdog(bench: Bench) -> None:
    bench.put(chip())
    bench.slots[0].power_on()
    assert bench.simulation.watchdog
    bench.board.close()
    assert bench.sockets[0].contacts[-1][1] == CONTACTS_OFF
    assert not bench.simulation.watchdog


def test_a_front_end_is_told_the_class() -> None:
    bench = Bench("pico_front_end")
    bench.put(chip())
    assert bench.slots[0].power_on() == ATR
    assert exchange(bench, VERIFY) == "9000"
    select, levels = bench.pins.CLASS_SELECT[0], bench.pins.CLASS_LEVELS[0][4]  # class C, the lowest
    driven = bench.simulation.chip.rp2040.sio.gpio_value
    assert tuple(driven >> pin & 1 for pin in select) == levels
    assert bench.board.name == "pico_front_end"
