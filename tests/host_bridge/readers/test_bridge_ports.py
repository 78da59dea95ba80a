"""The bridge between a reader and the lines of its slots: lines that misbehave, a reader that goes, the lock."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.processes import SSC, Process, wait_until
from hardware.virtual.reader import CPYTHON, ReaderProcess
from hardware.virtual.slot import VirtualSlot
from host_bridge.commands import reader as app
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.bridge_ports import BridgeError, BridgePorts
from host_bridge.readers.kept_files import KeptFiles
from host_bridge.readers.port_lock import PortLock, holder_of, holders
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderInUse
from host_bridge.readers.serial import SerialReader
from host_bridge.readers.serial_link import open_port
from protocols.ccid.messages import GET_SLOT_STATUS, Command
from protocols.ccid.serial_frame import frame
from protocols.texts.catalogue import texts
from tests.host_bridge.readers.conftest import READ_VERSION, VERSION, WRONG_PIN, pin_of
from tests.host_bridge.readers.hostile_wire import HostileWire, Spoil, well


@pytest.fixture
def interpreter() -> str:
    return CPYTHON


@pytest.fixture
def reader(slot_folder: Path, sam_folder: Path, link: Path) -> Iterator[ReaderProcess]:
    process = ReaderProcess(VirtualSlot(slot_folder), VirtualSlot(sam_folder), link=link, interpreter=CPYTHON)
    process.start()
    yield process
    process.stop()


class Running:
    """A bridge in this process, with lines `card` and `sam`."""

    def __init__(self, port: Path, folder: Path) -> None:
        self.here: list[bool | int | None] = []
        self.card, self.sam = folder / "card", folder / "sam"
        self._ports = BridgePorts(str(port), (self.card, self.sam), self._changed, kept=KeptFiles({}))
        self._thread = threading.Thread(target=self._ports.run)
        self._thread.start()

    def _changed(self, here: bool, holder: ReaderInUse | None) -> None:
        self.here.append(here if holder is None else holder.pid)

    def stop(self) -> None:
        self._ports.stop()
        self._thread.join()

    def wait_here(self, here: bool = True) -> None:
        wait_until("the reader to come or go", lambda: self.here[-1:] == [here])


@pytest.fixture
def wire(reader: ReaderProcess, tmp_path: Path) -> Iterator[HostileWire]:
    with HostileWire(Path(reader.path), tmp_path / "wire") as wire:
        yield wire


@pytest.fixture
def bridge(wire: HostileWire, tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "wire", tmp_path)
    running.wait_here()
    yield running
    running.stop()


@contextlib.contextmanager
def host_on(line: Path) -> Iterator[SerialReader]:
    with contextlib.closing(SerialReader(str(line), total_s=20.0)) as reader:
        yield reader


def test_each_line_is_one_slot(bridge: Running, slot_folder: Path, sam_folder: Path) -> None:
    with host_on(bridge.card) as first, host_on(bridge.sam) as second:
        card, sam = first.connect(), second.connect()
        assert card.atr.to_bytes() == VirtualCard.open(slot_folder / "employee.card").reset()
        assert sam.atr.to_bytes() == VirtualCard.open(sam_folder / "retired.card").reset()
        assert card.transmit(READ_VERSION) == sam.transmit(READ_VERSION) == VERSION
        assert sam.transmit(WRONG_PIN).sw == 0x63C2
    assert pin_of(slot_folder / "employee.card").tries == 3


class Every:
    """Spoils one chunk in `n`."""

    def __init__(self, n: int, how: Spoil) -> None:
        self._n, self._how, self._count = n, how, 0

    def __call__(self, data: bytes) -> bytes:
        self._count += 1
        return data if self._count % self._n else self._how(data)


class First:
    """Spoils the first chunk, and not the next."""

    def __init__(self, how: Spoil) -> None:
        self._hows = [how]

    def __call__(self, data: bytes) -> bytes:
        return self._hows.pop()(data) if self._hows else data


def late(data: bytes) -> bytes:
    """By less than the bridge waits, and more than a frame may pause."""
    time.sleep(0.5)
    return data


def corrupted(data: bytes) -> bytes:
    return data[:-2] + bytes([data[-2] ^ 0x10]) + data[-1:] if len(data) > 2 else data


SPOILED: dict[str, tuple[Spoil, Spoil]] = {
    "answers are corrupted": (Every(3, corrupted), well),
    "answers lose a byte": (Every(6, lambda data: data[:-1]), well),
    "commands are corrupted": (well, Every(3, corrupted)),
    "noise before each answer": (lambda data: b"\r\n>>> " + data, well),
    "answers come late": (Every(3, late), well),
    "all comes byte by byte": (well, well),
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
def test_a_line_that_spoils_bytes_is_hidden_and_nothing_is_done_twice(
    bridge: Running, wire: HostileWire, slot_folder: Path, spoiled: tuple[Spoil, Spoil]
) -> None:
    with host_on(bridge.card) as reader:
        card = reader.connect()
        wire.spoil, wire.spoil_out = spoiled
        wire.piece = 1
        for _ in range(4):
            assert card.transmit(READ_VERSION) == VERSION
        wire.spoil, wire.spoil_out = First(corrupted), well
        assert card.transmit(WRONG_PIN).sw == 0x63C2
    assert pin_of(slot_folder / "employee.card").tries == 2


def test_a_cable_pulled_within_an_answer(bridge: Running, wire: HostileWire) -> None:
    with host_on(bridge.card) as reader:
        card = reader.connect()
        wire.spoil = lambda data: data[: len(data) // 2]
        pulled = threading.Timer(0.3, wire.cut)
        pulled.start()
        with pytest.raises((CardMute, CardRemoved)):
            card.transmit(READ_VERSION)
        pulled.join()
        bridge.wait_here(False)
        assert not reader.card_present()
        with pytest.raises((CardMute, NoCard)):
            reader.connect()
        wire.spoil = well
        wire.plug()
        bridge.wait_here()
        wait_until("the card", reader.card_present)
        assert reader.connect().transmit(READ_VERSION) == VERSION


def test_a_card_is_not_powered_after_the_reader_was_away(bridge: Running, wire: HostileWire) -> None:
    """Though this reader kept its power, and only its line was cut."""
    with host_on(bridge.card) as reader:
        card = reader.connect()
        card.transmit(WRONG_PIN)
        wire.cut()
        bridge.wait_here(False)
        wire.plug()
        bridge.wait_here()
        wait_until("the card", reader.card_present)
        with pytest.raises((CardMute, CardRemoved)):
            card.transmit(READ_VERSION)


def test_a_host_that_does_not_read_holds_up_nobody(bridge: Running) -> None:
    deaf = open_port(str(bridge.sam))
    status = frame(Command(GET_SLOT_STATUS, 0, 0).to_bytes())
    with contextlib.closing(deaf), host_on(bridge.card) as reader:
        card = reader.connect()
        for _ in range(50):
            deaf.write(status * 20)
            assert card.transmit(READ_VERSION) == VERSION
        deaf.reset_input_buffer()
    wait_until("its bytes to be taken", lambda: deaf_is_served(bridge.sam))


def deaf_is_served(line: Path) -> bool:
    with host_on(line) as reader:
        return reader.card_present()


def test_a_line_stays_when_its_host_comes_and_goes(bridge: Running) -> None:
    line = bridge.card.resolve()
    for _ in range(5):
        with host_on(bridge.card) as reader:
            assert reader.connect().transmit(READ_VERSION) == VERSION
    assert bridge.card.resolve() == line


def test_the_port_has_one_owner(bridge: Running, wire: HostileWire, tmp_path: Path) -> None:
    port = tmp_path / "wire"
    holder = holder_of(str(port))
    assert holder is not None
    assert holder.pid == os.getpid()
    with contextlib.closing(open_reader(f"serial:{port}")) as terminal, pytest.raises(ReaderInUse):
        terminal.card_present()
    wire.cut()
    bridge.wait_here(False)
    assert holder_of(str(port)) is None


def test_a_port_that_another_took_while_the_reader_was_away_is_left_to_it(
    bridge: Running, wire: HostileWire, tmp_path: Path
) -> None:
    wire.cut()
    bridge.wait_here(False)
    wire.plug()
    lock = None
    with contextlib.suppress(ReaderInUse):
        lock = PortLock.acquire(str(tmp_path / "wire"))
    if lock is None:  # the bridge was first, as it may be
        bridge.wait_here()
        return
    wait_until("the bridge to find it taken", lambda: bridge.here[-1:] == [os.getpid()])
    lock.release()
    bridge.wait_here()
    with host_on(bridge.card) as reader:
        wait_until("the card", reader.card_present)


def start(port: Path, folder: Path, *more: str) -> Process:
    links = ("--link", str(folder / "card"), "--link", str(folder / "sam"))
    command = [SSC, "reader", "bridge", "--port", str(port), *links, *more, "--json"]
    return Process("bridge", command, folder / "bridge.log")


def test_the_command_says_when_it_is_ready_and_ends_cleanly(reader: ReaderProcess, link: Path, tmp_path: Path) -> None:
    conf = tmp_path / "reader.conf"
    process = start(link, tmp_path, "--profile", "GemPCPinPad", "--reader-conf", str(conf))
    try:
        lines = [str(tmp_path / "card"), str(tmp_path / "sam")]
        assert process.facts == {"ready": True, "port": str(link), "links": lines, "reader": True}
        assert conf.read_text() == "\n".join(
            f'FRIENDLYNAME "SSC {Path(line).name}"\n'
            f"DEVICENAME   {line}:GemPCPinPad\n"
            "LIBPATH      /usr/lib/pcsc/drivers/serial/libccidtwin.so\n"
            for line in lines
        )
        holder = holder_of(str(link))
        assert holder is not None
        assert "reader bridge" in holder.command
        second = CliRunner().invoke(app, ["bridge", "--port", str(link), "--link", str(tmp_path / "second")])
        assert second.exit_code == 1
        assert f"PID {process.pid}" in second.output
        assert second.stdout == "", "refused, so never ready"
        assert not (tmp_path / "second").is_symlink()
        with host_on(tmp_path / "card") as host:
            host.connect()
    finally:
        process.stop(signal.SIGTERM)
    assert not any((tmp_path / name).is_symlink() for name in ("card", "sam"))
    assert "R-042" not in (tmp_path / "bridge.log").read_text(), "it ended, the reader did not leave"
    assert holder_of(str(link)) is None
    with contextlib.closing(open_reader(f"serial:{link}")) as terminal:
        assert terminal.connect().transmit(READ_VERSION) == VERSION


def test_it_is_ready_without_a_reader(tmp_path: Path) -> None:
    process = start(tmp_path / "none", tmp_path)
    try:
        assert process.facts["reader"] is False
        with host_on(tmp_path / "card") as host:
            assert not host.card_present()
    finally:
        process.stop()


@pytest.mark.parametrize("trouble", ["a file of that name", "no folder", "a colon"])
def test_a_link_that_cannot_be_made_is_said(tmp_path: Path, trouble: str) -> None:
    folder = {"a file of that name": tmp_path, "no folder": tmp_path / "none", "a colon": tmp_path / "a:b"}[trouble]
    (tmp_path / "a:b").mkdir()
    (tmp_path / "card").touch()
    result = CliRunner().invoke(app, ["bridge", "--port", "/dev/none", "--link", str(folder / "card")])
    assert result.exit_code == 1
    assert texts()["bridge_not_started"].number in result.output
    assert (tmp_path / "card").exists()


def test_a_link_that_fails_leaves_none_behind(tmp_path: Path) -> None:
    (tmp_path / "sam").touch()
    with pytest.raises(BridgeError):
        BridgePorts("/dev/none", (tmp_path / "card", tmp_path / "sam"), lambda *_: None, kept=KeptFiles({}))
    assert not (tmp_path / "card").is_symlink()


def test_the_line_of_a_bridge_stays_its_own(tmp_path: Path) -> None:
    process = start(tmp_path / "none", tmp_path)
    try:
        line = (tmp_path / "card").readlink()
        with pytest.raises(BridgeError, match=str(process.pid)):
            BridgePorts("/dev/other", (tmp_path / "card",), lambda *_: None, kept=KeptFiles({}))
        assert (tmp_path / "card").readlink() == line
        assert not [holder for holder in holders() if str(tmp_path) in holder.port], "a line is no reader's port"
    finally:
        process.stop()


@pytest.mark.parametrize("leads_to", ["/dev/ttyACM99", "port", "/dev/pts/99999"])
def test_only_a_line_left_by_a_crash_is_replaced(tmp_path: Path, leads_to: str) -> None:
    link = tmp_path / "card"
    link.symlink_to(leads_to)
    made = None
    with contextlib.suppress(BridgeError):
        made = BridgePorts("/dev/none", (link,), lambda *_: None, kept=KeptFiles({}))
    assert (made is not None) == (link.readlink() != Path(leads_to)) == (leads_to == "/dev/pts/99999")
    if made is not None:
        made.stop()
        made.run()
        assert not link.is_symlink()


@pytest.mark.parametrize("links", [("port",), ("card", "card")])
def test_a_line_is_neither_the_port_nor_another_line(tmp_path: Path, links: tuple[str, ...]) -> None:
    with pytest.raises(BridgeError):
        BridgePorts(str(tmp_path / "port"), map(tmp_path.joinpath, links), lambda *_: None, kept=KeptFiles({}))
    assert list(tmp_path.iterdir()) == []
