"""Reader addresses, and who holds a port."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host_bridge.conformance.reader.ccid_port import open_ccid_port
from host_bridge.readers.addresses import AddressError, list_serial_readers, open_reader
from host_bridge.readers.commands import app
from host_bridge.readers.port_lock import PortLock, holder_of, lock_folder
from host_bridge.readers.reader import ReaderInUse, ReaderUnavailable
from host_bridge.readers.serial_link import open_port

HOLD = """
import sys
from host_bridge.readers.port_lock import PortLock
lock = PortLock.acquire(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def port() -> Iterator[str]:
    """A pty that nothing answers on."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


@pytest.fixture
def hold() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Another process that holds a port until its stdin closes."""
    started: list[subprocess.Popen[str]] = []

    def start(path: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path, "--as-a-terminal"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("serial:/dev/ttyACM0", "serial:/dev/ttyACM0"),
        ("serial:/dev/serial/by-id/usb-x:y-if02", "serial:/dev/serial/by-id/usb-x:y-if02"),
        ("serial:/dev/ttyACM0#1", "serial:/dev/ttyACM0#1"),
        ("serial:/dev/ttyACM0#0", "serial:/dev/ttyACM0"),
    ],
)
def test_a_reader_knows_its_address(address: str, same: str) -> None:
    assert open_reader(address).address == same


def test_a_card_file_is_a_reader(tmp_path: Path) -> None:
    reader = open_reader(f"virtual:{tmp_path / 'employee.card'}")
    assert not reader.card_present()


@pytest.mark.parametrize(
    "address",
    ["", "serial", "serial:", ":/dev/ttyACM0", "usb:1", "serial:/dev/x#a", "serial:/dev/x#-1", "serial:/dev/x#16"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        open_reader(address)


def test_a_port_held_by_another_process_is_in_use(port: str, hold: Callable[[str], subprocess.Popen[str]]) -> None:
    process = hold(port)
    with pytest.raises(ReaderInUse) as caught:
        open_reader(f"serial:{port}").card_present()
    assert (caught.value.port, caught.value.pid) == (port, process.pid)
    assert "--as-a-terminal" in caught.value.command
    process.kill()
    process.wait()
    assert holder_of(port) is None
    PortLock.acquire(port).release()


def test_every_link_to_a_port_is_the_same_port(
    port: str, tmp_path: Path, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    link = tmp_path / "reader"
    link.symlink_to(port)
    process = hold(str(link))
    holder = holder_of(port)
    assert holder is not None
    assert holder.pid == process.pid


def test_the_same_process_does_not_get_it_twice_either(port: str) -> None:
    lock = PortLock.acquire(port)
    with pytest.raises(ReaderInUse) as caught:
        PortLock.acquire(port)
    assert caught.value.pid == os.getpid()
    lock.release()
    lock.release()
    PortLock.acquire(port).release()


def test_a_port_that_a_stranger_opened_exclusively_is_in_use(port: str) -> None:
    stranger = open_port(port)
    reader = open_reader(f"serial:{port}")
    with pytest.raises(ReaderInUse) as caught:
        reader.card_present()
    assert caught.value.pid is None
    with pytest.raises(ReaderInUse), open_ccid_port(port):
        pass
    stranger.close()
    assert holder_of(port) is None


def test_a_reader_that_failed_to_open_leaves_no_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    with pytest.raises(ReaderUnavailable):
        open_reader(f"serial:{path}").card_present()
    assert holder_of(path) is None


def test_a_lock_file_of_any_content_is_survived(port: str) -> None:
    lock = PortLock.acquire(port)
    for path in lock_folder().glob(f"ssc-reader-{Path(port).name}-*.lock"):
        path.write_bytes(b"\xff\n\x00")
    holder = holder_of(port)
    assert holder is not None
    assert holder.pid is None
    with pytest.raises(ReaderInUse):
        PortLock.acquire(port)
    lock.release()


def test_the_list_names_the_holder_without_opening(port: str, hold: Callable[[str], subprocess.Popen[str]]) -> None:
    process = hold(port)
    (found,) = [each for each in list_serial_readers() if each.address == f"serial:{port}"]
    assert found.holder is not None
    assert found.holder.pid == process.pid
    shown = CliRunner().invoke(app, ["list", "--json"])
    assert shown.exit_code == 0
    (entry,) = [each for each in json.loads(shown.stdout) if each["address"] == f"serial:{port}"]
    assert entry["in_use_by"]["pid"] == process.pid
    table = CliRunner().invoke(app, ["list"])
    assert f"PID {process.pid}" in " ".join(table.stdout.split())
