from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.virtual.line_faults import load_faults
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.reader import ReaderProcess
from hardware.virtual.slot import VirtualSlot
from host_bridge.readers.serial import SerialReader
from tests.firmware.recorded_line import RecordedLine
from tests.firmware.rig import BARE_BOARD, INTERPRETERS, ChipWithAtr, Host, ScriptedCard, ScriptedSlot, demand

OpenSlot = Callable[..., tuple[SerialReader, ScriptedSlot]]
OpenHost = Callable[..., tuple[Host, ScriptedSlot]]
Misbehave = Callable[..., ReaderProcess]


@pytest.fixture(params=INTERPRETERS)
def interpreter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return demand(name)


@pytest.fixture
def clock_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[RecordedLine], None]:
    """The firmware within this process runs by the clock of a recorded line."""
    return lambda line: monkeypatch.setattr("firmware.ticks.time", line)


@pytest.fixture
def open_slot(interpreter: str) -> Iterator[OpenSlot]:
    """Starts the firmware on a slot with a scripted card; returns the host's reader and the slot."""
    started: list[tuple[ReaderProcess, SerialReader]] = []

    def start(card: ScriptedCard, *limits: str) -> tuple[SerialReader, ScriptedSlot]:
        slot = ScriptedSlot(card)
        process = ReaderProcess(slot, interpreter=interpreter, limits=(BARE_BOARD, *limits))
        process.start()
        reader = SerialReader(process.path, silence_s=3.0)
        started.append((process, reader))
        return reader, slot

    yield start
    for process, reader in started:
        reader.close()
        process.stop()


@pytest.fixture
def open_host(interpreter: str) -> Iterator[OpenHost]:
    """As `open_slot`, but with a host that sees every byte."""
    started: list[tuple[ReaderProcess, Host]] = []

    def start(card: ScriptedCard, *limits: str) -> tuple[Host, ScriptedSlot]:
        slot = ScriptedSlot(card)
        process = ReaderProcess(slot, interpreter=interpreter, limits=(BARE_BOARD, *limits))
        process.start()
        host = Host(process.path)
        started.append((process, host))
        return host, slot

    yield start
    for process, host in started:
        host.close()
        process.stop()


@pytest.fixture
def misbehave(interpreter: str, tmp_path: Path) -> Iterator[Misbehave]:
    """Starts the firmware on a virtual slot whose card keeps to a fault script; with another ATR where one is given."""
    started: list[ReaderProcess] = []

    def start(script: str, *limits: str, atr: bytes | None = None) -> ReaderProcess:
        (tmp_path / "faults.toml").write_text(script)
        folder = tmp_path / "slot"
        folder.mkdir()
        make_card(load_person(DEFAULT_PERSON), folder / "employee.card")
        slot = VirtualSlot(folder, lambda path: ChipWithAtr(path, atr), faults=load_faults(tmp_path / "faults.toml"))
        started.append(ReaderProcess(slot, interpreter=interpreter, limits=(BARE_BOARD, *limits)))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.stop()
