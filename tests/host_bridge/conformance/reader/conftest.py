"""Readers of ours with a test card in the slot, and the suite run on them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.virtual.chips import chip_at
from hardware.virtual.reader import ReaderProcess
from hardware.virtual.slot import VirtualSlot
from hardware.virtual.test_card import TestCard

PATIENT = ("slack=600", "atr_start=30")
"""Limits of the unix board: shorter than usual, and long enough for a busy machine."""
StartReader = Callable[[str], ReaderProcess]


@pytest.fixture
def slot_folder(tmp_path: Path) -> Path:
    """The folder that is the slot, with a test card in it."""
    folder = tmp_path / "slot"
    folder.mkdir()
    TestCard.create(folder / "card.test")
    return folder


@pytest.fixture
def start_reader(slot_folder: Path, tmp_path: Path) -> Iterator[StartReader]:
    """Always at the same link."""
    with contextlib.ExitStack() as stack:

        def start(interpreter: str) -> ReaderProcess:
            slot = VirtualSlot(slot_folder, chip_at)
            process = ReaderProcess(slot, link=tmp_path / "reader", interpreter=interpreter, limits=PATIENT)
            process.start()
            stack.callback(process.stop)
            return process

        yield start
