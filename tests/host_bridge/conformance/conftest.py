"""Throw-away cards, and the suite run on them."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hardware.virtual.card import CardImage, VirtualCard
from hardware.virtual.card_store import CardStore
from hardware.virtual.chips import chip_of
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from host_bridge.conformance.card import Tester
from host_bridge.conformance.case import Result
from host_bridge.conformance.keys import Roots, simulated_roots
from host_bridge.conformance.suite import all_cases, read_subject, run_cases
from host_bridge.readers.virtual import VirtualConnection, VirtualReader
from tests.memory import in_memory

PIN = b"135790"
"""Of the gallery's default person."""


class Memory(CardStore):
    """A card's memory that nothing is written from."""

    def write(self, image: CardImage) -> None:
        """The card keeps it by itself, as long as it is there."""


class Socket(VirtualReader):
    """A slot whose card stays in this process from one power-on to the next, and leaves its file alone."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        memory = Memory(Path(path))
        self._card = VirtualCard(memory, memory.read(), secrets.token_bytes)

    def connect(self) -> VirtualConnection:
        return VirtualConnection(chip_of(self._card), self._path)


Make = Callable[..., Path]
Run = Callable[..., list[Result]]


@pytest.fixture
def make() -> Iterator[Make]:
    """The default person's card in another version or with other fields; nothing here pulls a plug."""

    def made(name: str = "throw-away", **card: object) -> Path:
        person = load_person(DEFAULT_PERSON)
        path = folder / f"{name}.card"
        make_card(msgspec.structs.replace(person, card=msgspec.structs.replace(person.card, **card)), path)
        return path

    with in_memory() as folder:
        yield made


@pytest.fixture
def run() -> Run:
    """Results of a run; everything is known and allowed unless the test says otherwise."""

    def ran(
        path: Path,
        groups: str = "",
        *,
        file: str = "",
        pin: bytes | None = PIN,
        roots: Roots | None = None,
        destructive: bool = True,
        reader: Callable[[str], VirtualReader] = VirtualReader,
    ) -> list[Result]:
        """`groups` and `file`, where given, leave out other groups and the checks of other files."""
        opened = reader(str(path))
        subject = read_subject(opened.connect())
        tables = subject.tables
        keys = subject.keys(simulated_roots(tables) if roots is None else roots)
        digits = None if pin is None else bytearray(pin)
        tester = Tester(digits, keys, destructive=destructive, random=secrets.token_bytes)
        cases = [
            case
            for case in all_cases(tables)
            if (not groups or case.group in groups.split()) and (not file or file in case.id or "_EF" not in case.id)
        ]
        return list(run_cases(opened, tables, cases, tester, time.monotonic))

    return ran
