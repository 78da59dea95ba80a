"""What the bench rung stands on: the device is found by its serial number, the relay harness does as it is told."""

import contextlib
import os
import pty
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import CPYTHON, MICROPYTHON, ReaderProcess, firmware_command
from hardware.virtual.slot import VirtualSlot
from host_bridge.readers.port_lock import PortLock
from host_bridge.readers.reader import CardRemoved, ReaderUnavailable
from tests.firmware.rig import demand
from tests.rigs import bench
from tests.rigs.bench import Relay, RelayError, UsbWithRelay, find, port_of
from tests.rigs.rungs import Options, Wanted
from tests.rigs.test_card import SELECT_SSSE

SWITCHES = """
import sys
import relay_main
sys.stderr.write("ready\\n")
def output(name):
    return lambda on: sys.stderr.write("%s %d\\n" % (name, on))
relay_main.serve(sys.stdin.readline, sys.stdout.write, {name: output(name) for name in relay_main.PINS})
"""


class Port(NamedTuple):
    device: str
    serial_number: str | None


def test_of_two_interfaces_the_second_is_the_reader(tmp_path: Path) -> None:
    """By the name that stays when the reader loses its power."""
    for name in ("ttyACM0", "ttyACM1", "ttyACM2"):
        (tmp_path / name).touch()
    links = [tmp_path / f"usb-reader-if0{number}" for number in (0, 2)]
    for link, name in zip(links, ("ttyACM1", "ttyACM0"), strict=True):
        link.symlink_to(tmp_path / name)
    ports = [
        Port(str(tmp_path / "ttyACM2"), "other"),
        Port(str(tmp_path / "ttyACM0"), "E6614"),
        Port(str(tmp_path / "ttyACM1"), "E6614"),
        Port("/dev/ttyS0", None),
    ]
    assert port_of("E6614", ports, links) == str(links[1])
    assert port_of("E6614", ports, ()) == str(tmp_path / "ttyACM1")
    assert port_of("E9999", ports, links) is None


def test_the_device_is_asked_for_and_must_be_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [Port(str(port), "E6614")])
    assert find(None).trouble == "no --device SERIAL"
    assert find("E9999").trouble == "no device with serial number E9999"
    assert find("E6614") == (str(port), "")
    lock = PortLock.acquire(str(port))
    try:
        assert f"in use by PID {os.getpid()}" in find("E6614").trouble
    finally:
        lock.release()


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The harness under MicroPython behind a pty, and the file that its outputs write to."""
    demand(MICROPYTHON)
    _, (interpreter, *_) = firmware_command(MICROPYTHON)
    master, slave = pty.openpty()
    tty.setraw(slave)
    switched = tmp_path / "switched"
    with switched.open("wb") as errors:
        process = subprocess.Popen(
            [interpreter, "-c", SWITCHES],
            stdin=master,
            stdout=master,
            stderr=errors,
            env={**os.environ, "MICROPYPATH": str(Path(__file__).parent)},
        )
    os.close(master)
    wait_until("the harness", lambda: switched.read_text().count("\n") == 3)
    yield os.ttyname(slave), switched
    process.kill()
    process.wait()
    os.close(slave)


def test_the_relay_switches_card_and_power(harness: tuple[str, Path]) -> None:
    port, switched = harness
    with contextlib.closing(Relay(port)) as relay:
        for output, on in (("card", False), ("power", False), ("power", True), ("card", True)):
            relay.set(output, on)
        with pytest.raises(RelayError):
            relay.set("coffee", True)
        relay.set("card", False)
    told = switched.read_text().split("\n")[1:-1]
    assert sorted(told[:2]) == ["card 1", "power 1"]
    assert told[2:] == ["card 0", "power 0", "power 1", "card 1", "card 0"]


class Hands:
    """In the relay's place: they move the card's file, and stop and start the virtual reader."""

    def __init__(self, slot: Path, link: Path) -> None:
        self._slot, self._link = slot, link
        self._process: ReaderProcess | None = None
        self.set("power", True)

    def __call__(self, port: str) -> "Hands":
        assert port == "/dev/relay"
        return self

    def set(self, output: str, on: bool) -> None:
        inside, outside = self._slot / "employee.card", self._slot.parent / "employee.card"
        if output == "card":
            (outside if on else inside).rename(inside if on else outside)
        elif on and self._process is None:
            self._process = ReaderProcess(VirtualSlot(self._slot), link=self._link, interpreter=CPYTHON)
            self._process.start()
        elif not on and self._process is not None:
            self._process.stop()
            self._process = None

    def close(self) -> None:
        self.set("power", False)


def test_the_rig_on_the_bench_removes_inserts_and_power_cuts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same steps as on any rung, on a reader found by its serial number."""
    slot, by_id = tmp_path / "socket", tmp_path / "by-id"
    slot.mkdir()
    by_id.mkdir()
    make_card(load_person(DEFAULT_PERSON), slot / "employee.card")
    hands = Hands(slot, by_id / "usb-reader-if02")
    monkeypatch.setattr(bench, "BY_ID", by_id)
    monkeypatch.setattr(bench, "Relay", hands)
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [Port(str(by_id / "usb-reader-if02"), "E6614")])
    options = Options("E6614", "/dev/relay")
    assert UsbWithRelay.trouble(options) is None
    (tmp_path / "unused.card").touch()
    with contextlib.ExitStack() as stack:
        rig = UsbWithRelay(stack, tmp_path, tmp_path / "unused.card", Wanted(), options)
        assert rig.firmware.startswith("ssc-terminal reader")
        reader = rig.open()
        connection = reader.connect()
        rig.remove()
        with pytest.raises(CardRemoved):
            connection.transmit(SELECT_SSSE)
        rig.insert()
        wait_until("the card", reader.card_present)
        connection = reader.connect()
        rig.cut_power()
        with pytest.raises(ReaderUnavailable):
            connection.transmit(SELECT_SSSE)
        rig.restore_power()
        assert reader.connect().transmit(SELECT_SSSE).sw == 0x611E
        rig.remove()
    assert (slot / "employee.card").exists()
