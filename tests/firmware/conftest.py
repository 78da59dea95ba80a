from collections.abc import Callable, Iterator

import pytest

from hardware.virtual.reader import ReaderProcess
from host_bridge.readers.serial import SerialReader
from tests.firmware.rig import INTERPRETERS, Host, ScriptedCard, ScriptedSlot, demand

OpenSlot = Callable[..., tuple[SerialReader, ScriptedSlot]]
OpenHost = Callable[..., tuple[Host, ScriptedSlot]]


@pytest.fixture(params=INTERPRETERS)
def interpreter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return demand(name)


@pytest.fixture
def open_slot(interpreter: str) -> Iterator[OpenSlot]:
    """Starts the firmware on a slot with a scripted card; returns the host's reader and the slot."""
    started: list[tuple[ReaderProcess, SerialReader]] = []

    def start(card: ScriptedCard, *limits: str) -> tuple[SerialReader, ScriptedSlot]:
        slot = ScriptedSlot(card)
        process = ReaderProcess(slot, interpreter=interpreter, limits=limits)
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
        process = ReaderProcess(slot, interpreter=interpreter, limits=limits)
        process.start()
        host = Host(process.path)
        started.append((process, host))
        return host, slot

    yield start
    for process, host in started:
        host.close()
        process.stop()
