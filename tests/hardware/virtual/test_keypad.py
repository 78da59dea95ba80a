"""The simulated keypad at the end of its line; which keys count is tried with the firmware."""

import socket

from hardware.virtual.keypad import VirtualKeypad

LAMPS_GREEN, FIRST_ROW = b"\x81", b"\x01"


def test_a_reader_that_starts_anew_finds_its_keys_again() -> None:
    keypad = VirtualKeypad(hold_s=0.0, gap_s=0.0, bounces=0)
    keypad.start()
    host, port = keypad.address.split(":")
    try:
        for _ in range(2):
            with socket.create_connection((host, int(port)), timeout=5.0) as reader:
                keypad.press("2")
                reader.sendall(LAMPS_GREEN)
                found = set()
                for _ in range(4):
                    reader.sendall(FIRST_ROW)
                    found.add(reader.recv(1))
                assert found == {b"\x00", b"\x02"}, "the second key of the first row, and none"
                assert keypad.lamps == 1
    finally:
        keypad.stop()
    assert keypad.lamps == 0
