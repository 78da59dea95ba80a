"""No garbage is collected while a card is asked something (docs/reader.md)."""

import json
from pathlib import Path

import pytest

from firmware.collector import MOST_COMMANDS, Collector
from hardware.virtual.reader import MICROPYTHON
from protocols.ccid.serial_frame import QUIET_MS
from tests.firmware.rig import demand
from tests.firmware.test_keys import Clock, clock
from tests.firmware.test_micropython_rules import run

__all__ = ["clock"]
ON_CHIP = 0.7
"""Bytes of the longest exchange by those under the unix port, whose pointers are larger: 3,488 and 5,024."""
FREE_BYTES = 96 * 1024
"""At least, after a collection on an RP2040: 130 kB without a trace, which takes 16 kB."""


class Counted:
    """`collections` since the first, which is made at once."""

    def __init__(self) -> None:
        self.collections = -1
        self.collector = Collector(self._collect)
        assert self.collections == 0

    def _collect(self) -> None:
        self.collections += 1


def test_it_collects_once_when_the_host_is_silent(clock: Clock) -> None:
    counted = Counted()
    counted.collector.served(1)
    for _ in range(QUIET_MS - 1):
        clock.wait(1)
        counted.collector.served(0)
    assert counted.collections == 0
    for _ in range(10 * QUIET_MS):
        clock.wait(1)
        counted.collector.served(0)
    assert counted.collections == 1


def test_every_command_puts_it_off(clock: Clock) -> None:
    counted = Counted()
    for _ in range(MOST_COMMANDS - 1):
        counted.collector.served(1)
        clock.wait(QUIET_MS - 1)
        counted.collector.served(0)
    assert counted.collections == 0


def test_a_host_that_is_never_silent_does_not_put_it_off_for_ever() -> None:
    counted = Counted()
    for _ in range(10 * MOST_COMMANDS):
        counted.collector.served(1)
    assert counted.collections == 10


def test_nothing_else_needs_memory_so_often() -> None:
    """So MicroPython's own collection, when memory is used up, does not come in normal use."""
    demand(MICROPYTHON)
    left = json.loads(run(MICROPYTHON, str(Path(__file__).with_name("garbage.py"))))
    assert left["idle"] == left["scan"] == 0
    assert 0 < MOST_COMMANDS * left["command"] * ON_CHIP < FREE_BYTES


@pytest.mark.parametrize("commands", [0, MOST_COMMANDS])
def test_without_a_command_there_is_nothing_to_collect(clock: Clock, commands: int) -> None:
    counted = Counted()
    counted.collector.served(commands)
    collected = counted.collections
    clock.wait(10 * QUIET_MS)
    counted.collector.served(0)
    assert counted.collections == collected
