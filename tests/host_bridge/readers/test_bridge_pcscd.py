"""Stock pcscd on the bridge's lines: the reader comes and goes, pcscd stays (`reader.md A.6`)."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.keypad import VirtualKeypad
from hardware.virtual.line_faults import Fault
from hardware.virtual.people import GALLERY, load_person, make_card
from hardware.virtual.processes import SSC, Process, wait_until
from hardware.virtual.reader import MICROPYTHON, ReaderProcess
from hardware.virtual.slot import VirtualSlot
from host_bridge.card.errors import PinWrong
from host_bridge.card.pin_entry import PinRules, verify_at_pad
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardMute, CardRemoved, Reader, ReaderUnavailable
from tests.firmware.rig import demand as demand_interpreter
from tests.host_bridge.readers.conftest import READ_VERSION, VERSION, StartReader, opened, pin_of
from tests.pcscd import Pcscd, card_present, demand

SLOW = [Fault("command", "pause", at, ms=800, times=1) for at in (0, 2, 4)]
"""Within WWT, 893 ms (`reader.md B.4`), and 2.4 s in all."""

Start = Callable[..., ReaderProcess]


class Bench:
    """A reader with two slots, its bridge, and pcscd; `names` are the slots' as pcscd says them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, interpreter: str) -> None:
        self._folder, self._stack, self._interpreter = folder, stack, interpreter
        self.port, self.conf = folder / "reader", folder / "reader.conf"
        self.slots = folder / "card slot", folder / "sam slot"
        for slot, person in zip(self.slots, ("employee", "retired"), strict=True):
            slot.mkdir()
            make_card(load_person(GALLERY / f"{person}.toml"), slot / f"{person}.card")
        (folder / "pcscd").mkdir()
        self.pcscd = stack.enter_context(Pcscd(folder / "pcscd"))
        self.reader = self.plug()
        self.bridge = self.start_bridge()
        self.names = self.pcscd.start_with(self.conf.read_text())

    def plug(self, *faults: Fault) -> ReaderProcess:
        """`faults` are of the first slot's cards."""
        slots = VirtualSlot(self.slots[0], faults=faults), VirtualSlot(self.slots[1])
        self.reader = ReaderProcess(*slots, link=self.port, interpreter=self._interpreter)
        self.reader.start()
        self._stack.callback(self.reader.stop)
        return self.reader

    def start_bridge(self) -> Process:
        self.bridge = Process("bridge", self.command, self._folder / "bridge.log")
        self._stack.callback(self.bridge.stop)
        return self.bridge

    @property
    def command(self) -> list[str]:
        links = [f"--link={self._folder / name}" for name in ("card", "sam")]
        return [SSC, "reader", "bridge", f"--port={self.port}", *links, f"--reader-conf={self.conf}", "--json"]

    def wait_cards(self, *present: bool) -> None:
        wait_until("the cards", lambda: [card_present(name) for name in self.names] == list(present))

    def open(self, slot: int = 0) -> Reader:
        reader = open_reader(f"pcsc:{self.names[slot]}")
        self._stack.callback(reader.close)
        return reader


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    demand()
    interpreter = demand_interpreter("micropython" if sys.platform == "linux" else "cpython")
    with contextlib.ExitStack() as stack:
        yield Bench(tmp_path, stack, interpreter)


def said_by(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout + done.stderr


def test_two_slots_are_two_readers(bench: Bench) -> None:
    assert bench.names == ["SSC card 00 00", "SSC sam 01 00"]
    bench.wait_cards(True, True)
    atrs = [VirtualCard.open(path).reset() for slot in bench.slots for path in slot.iterdir()]
    cards = [bench.open(slot).connect() for slot in (0, 1)]
    assert [card.atr.to_bytes() for card in cards] == atrs
    for _ in range(5):
        for card in cards:
            assert card.transmit(READ_VERSION) == VERSION
    for card in cards:
        card.disconnect()
    listed = said_by("opensc-tool", "--list-readers") + said_by("pcsc_scan", "-r")
    for name, atr in zip(bench.names, atrs, strict=True):
        assert listed.count(name) == 2
        assert atr.hex(":") in said_by("opensc-tool", "--reader", name, "--atr").lower()
        sent = said_by("opensc-tool", "--reader", name, "--send-apdu", "00A404000F7378312E73682EC9E7BBE1B1A3D5CF")
        assert "SW1=0x61, SW2=0x1E" in sent or "SW1=0x90, SW2=0x00" in sent


def test_a_reader_unplugged_and_back_just_works(bench: Bench) -> None:
    bench.wait_cards(True, True)
    reader = bench.open()
    for away_seen in (True, True, False):
        connection = reader.connect()
        assert connection.transmit(READ_VERSION) == VERSION
        bench.reader.stop()
        if away_seen:
            bench.wait_cards(False, False)
        bench.plug()
        with pytest.raises((CardRemoved, CardMute, ReaderUnavailable)):
            connection.transmit(READ_VERSION)
        if not away_seen:
            bench.wait_cards(False, False)
        bench.wait_cards(True, True)


def test_cards_come_and_go_also_while_the_reader_is_away(bench: Bench) -> None:
    card, sam = bench.slots[0] / "employee.card", bench.slots[1] / "retired.card"
    bench.wait_cards(True, True)
    card.rename(card.with_suffix(".out"))
    bench.wait_cards(False, True)
    card.with_suffix(".out").rename(card)
    bench.wait_cards(True, True)
    bench.reader.stop()
    sam.rename(sam.with_suffix(".out"))
    bench.wait_cards(False, False)
    bench.plug()
    bench.wait_cards(True, False)
    assert bench.open().connect().transmit(READ_VERSION) == VERSION


def test_a_slow_card_starves_nobody(bench: Bench) -> None:
    """2.4 s for a command in one slot: the other slot's commands wait and are answered."""
    bench.reader.stop()
    bench.plug(*SLOW)
    bench.wait_cards(False, False)
    bench.wait_cards(True, True)
    slow, other = bench.open(0).connect(), bench.open(1).connect()
    command = f"from tests.host_bridge.readers.test_bridge_pcscd import ask; ask({bench.names[1]!r})"
    other.disconnect()
    asking = subprocess.Popen([sys.executable, "-c", command], cwd=Path(__file__).parents[3])
    assert slow.transmit(READ_VERSION) == VERSION
    assert asking.wait(30) == 0


def ask(name: str) -> None:
    """A program of its own that reads a card."""
    reader = open_reader(f"pcsc:{name}")
    connection = reader.connect()
    for _ in range(3):
        assert connection.transmit(READ_VERSION) == VERSION
    reader.close()


@pytest.mark.parametrize("interpreter", [MICROPYTHON], indirect=True)
def test_a_pin_is_entered_at_the_reader_behind_the_bridge(
    tmp_path: Path, start_reader: StartReader, link: Path, card: Path, keypad: VirtualKeypad
) -> None:
    """Its features are passed on, and time for the keys."""
    demand()
    (tmp_path / "pcscd").mkdir()
    start_reader(keypad=keypad)
    conf = tmp_path / "reader.conf"
    options = [f"--port={link}", f"--link={tmp_path / 'card'}", f"--reader-conf={conf}", "--profile=GemPCPinPad"]
    with contextlib.ExitStack() as stack:
        bridge = Process("bridge", [SSC, "reader", "bridge", *options, "--json"], tmp_path / "bridge.log")
        stack.callback(bridge.stop)
        (name,) = stack.enter_context(Pcscd(tmp_path / "pcscd")).start_with(conf.read_text())
        wait_until("the card", lambda: card_present(name))
        reader = open_reader(f"pcsc:{name}")
        stack.callback(reader.close)
        session, pad = opened(reader)
        keypad.press("9999", "ok")
        with pytest.raises(PinWrong):
            verify_at_pad(session, pad, PinRules())
        pin = pin_of(card)
        assert pin.tries == 2
        keypad.press(pin.digits, "ok")
        verify_at_pad(session, pad, PinRules())
        assert session.read_file("DF04", "EF05")


def test_without_its_bridge_pcscd_wants_to_be_started_anew(bench: Bench) -> None:
    """The ptys end with the bridge: pcscd calls its readers unavailable, and does not look for them again."""
    bench.wait_cards(True, True)
    bench.bridge.stop()
    reader = bench.open()
    wait_until("pcscd to notice", lambda: unavailable(reader))
    bench.start_bridge()
    assert unavailable(reader)
    bench.pcscd.stop()
    bench.names = bench.pcscd.start_with(bench.conf.read_text())
    bench.wait_cards(True, True)
    assert bench.open().connect().transmit(READ_VERSION) == VERSION


HAND_OVER = """
import fcntl, os, sys
at = sys.argv.index("--")
high = [fcntl.fcntl(int(file), fcntl.F_DUPFD, 100) for file in sys.argv[1:at]]
for number, file in enumerate(high, 3):
    os.dup2(file, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(at - 1))
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
"""
"""Makes the files 3 and up, as `sd_listen_fds(3)` says."""


class ServiceManager:
    """Keeps the files of a service as systemd does, and starts it with them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notify"
        self._stack = contextlib.ExitStack()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.settimeout(30.0)
        self._kept: dict[str, int] = {}

    def start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Returns when the service says that it is ready."""
        files = list(self._kept.values())
        names = ":".join(self._kept)
        environ = {**os.environ, "NOTIFY_SOCKET": str(self._path), "LISTEN_FDNAMES": names}
        process = subprocess.Popen(
            [sys.executable, "-c", HAND_OVER, *map(str, files), "--", *command],
            env=environ,
            pass_fds=files,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        while (told := self._hear()) != "READY=1":
            assert told.startswith("FDSTORE=1\nFDNAME=")
        return process

    def _hear(self) -> str:
        state, files, _, _ = socket.recv_fds(self._socket, 4096, 1)
        for file in files:
            if self._kept.setdefault(state.decode().rpartition("=")[2], file) != file:
                os.close(file)  # it has that already
        return state.decode()

    def close(self) -> None:
        self._stack.close()
        self._socket.close()
        for file in self._kept.values():
            os.close(file)


def test_a_bridge_that_crashed_comes_back_under_pcscd(bench: Bench, tmp_path: Path) -> None:
    """With its ptys kept by the service manager: pcscd stays, and its cards were removed and put in again."""
    bench.wait_cards(True, True)
    bench.bridge.stop()
    bench.pcscd.stop()
    with contextlib.closing(ServiceManager(tmp_path)) as manager:
        process = manager.start(bench.command)
        bench.names = bench.pcscd.start_with(bench.conf.read_text())
        bench.wait_cards(True, True)
        connection = bench.open().connect()
        assert connection.transmit(READ_VERSION) == VERSION
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        process = manager.start(bench.command)
        with pytest.raises((CardRemoved, CardMute, ReaderUnavailable)):
            connection.transmit(READ_VERSION)
        bench.wait_cards(True, True)
        assert bench.open().connect().transmit(READ_VERSION) == VERSION
        bench.pcscd.stop()
        process.terminate()
        assert process.wait(30) == 0


def unavailable(reader: Reader) -> bool:
    try:
        reader.card_present()
    except ReaderUnavailable:
        return True
    return False
