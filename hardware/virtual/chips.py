"""What a file in a slot is: a card, with the fault its name may tell, or a security module."""

from pathlib import Path

from hardware.virtual.card_side import Chip
from hardware.virtual.faults import open_chip
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import SAM_SUFFIX


def chip_at(path: Path) -> Chip:
    """`CardFileError` where the file makes none."""
    return VirtualSam.open(path) if path.suffix == SAM_SUFFIX else open_chip(path)
