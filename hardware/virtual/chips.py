"""What a file in a slot is: a card, with the fault its name may tell, a security module or the test card.

A card file named `employee+missing_record.card` has that fault wherever it is used.
"""

from pathlib import Path

from hardware.virtual.card import VirtualCard
from hardware.virtual.card_file import CardFileError
from hardware.virtual.card_side import Chip
from hardware.virtual.faults import FAULTS
from hardware.virtual.faulty_card import Fault, FaultyCard
from hardware.virtual.file_faults import IN_FILE
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import SAM_SUFFIX
from hardware.virtual.test_card import TEST_SUFFIX, TestCard
from protocols.sscard.files import CardFiles

MARK = "+"
"""Between a card file's name and its fault."""
TARGET = "@"
"""Between a fault and the file that it is about: `missing_record@DF04_EF05`."""


def chip_at(path: Path) -> Chip:
    """`CardFileError` where the file makes none, or its name tells a fault that there is not."""
    if path.suffix == TEST_SUFFIX:
        return TestCard.open(path)
    return VirtualSam.open(path) if path.suffix == SAM_SUFFIX else chip_of(VirtualCard.open(path))


def chip_of(card: VirtualCard) -> Chip:
    """A card with the fault that its file's name tells; `CardFileError`."""
    _, mark, name = card.path.stem.partition(MARK)
    if not mark:
        return card
    try:
        return with_fault(card, name)
    except KeyError:
        raise CardFileError(card.path, f"has no fault {name}") from None


def with_fault(card: VirtualCard, name: str) -> Chip:
    """A card with a fault of the table; `KeyError` where it is not there or not about such a file."""
    return FaultyCard(card, card.tables, fault_named(name, card.tables))


def fault_named(name: str, tables: CardFiles) -> Fault:
    """A fault by its name, in another file by `name@DF04_EF05`; `KeyError` where there is none."""
    plain, target, file = name.partition(TARGET)
    fault = {fault.name: fault for fault in FAULTS}[plain]
    if not target:
        return fault
    behaviour = {row[0]: row[4] for row in IN_FILE}[plain]
    directory, _, ef = file.partition("_")
    tables.directory(directory).file(ef)
    return fault._replace(behaviour=behaviour(f"{directory} {ef}"), file=f"{directory} {ef}")
