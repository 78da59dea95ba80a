"""`ssc virtual reader run`: slot and firmware together."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import CPYTHON, MICROPYTHON, find_micropython, firmware_command
from host_bridge.card.commands import app as card_app
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardMute
from protocols.iso7816.apdu import CommandApdu

WITHIN_S = 30.0
RUN = [sys.executable, "-c", "from hardware.virtual.reader_commands import app; app()", "run"]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([*RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ready_line(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], WITHIN_S)[0], "not ready in time"
    ready: dict[str, object] = json.loads(process.stdout.readline())
    return ready


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_gone(pid: int) -> None:
    status = Path(f"/proc/{pid}/status")
    wait_until("its end", lambda: not status.exists() or "\nState:\tZ" in status.read_text(), WITHIN_S)


def test_a_pin_is_pressed_on_its_keys_from_a_file(start: Start, tmp_path: Path) -> None:
    slot, keys = tmp_path / "slot", tmp_path / "keys"
    slot.mkdir()
    make_card(load_person(DEFAULT_PERSON), slot / "employee.card")
    pin = VirtualCard.open(slot / "employee.card").image.pin
    assert pin is not None
    ready = ready_line(start("--slot", str(slot), "--keys", str(keys)))
    assert ready["keys"] == str(keys)
    keys.write_text(f"{pin.digits}\n")
    command = ["verify-pin", "--reader", f"serial:{ready['path']}", "--json"]
    said = CliRunner().invoke(card_app, command)
    assert json.loads(said.stdout)["verified"] is True, said.output
    assert not keys.exists()


def test_it_says_where_it_is_and_goes_cleanly(start: Start, tmp_path: Path) -> None:
    make_card(load_person(DEFAULT_PERSON), tmp_path / "employee.card")
    link = tmp_path / "reader"
    process = start("--slot", str(tmp_path), "--link", str(link))
    ready = ready_line(process)
    assert ready["ready"] is True
    assert (ready["slot"], ready["sam"]) == (str(tmp_path), None)
    assert ready["interpreter"] == (MICROPYTHON if find_micropython() else CPYTHON)
    assert str(link.readlink()) == ready["path"]
    (firmware,) = children_of(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0
    assert not Path(f"/proc/{firmware}").exists()
    assert not link.is_symlink()


def test_a_second_folder_is_the_second_slot(start: Start, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("slot", "sam")}
    for folder in folders.values():
        folder.mkdir()
    make_card(load_person(DEFAULT_PERSON), folders["sam"] / "employee.card")
    ready = ready_line(start("--slot", str(folders["slot"]), "--sam", str(folders["sam"])))
    assert ready["sam"] == str(folders["sam"])
    for slot, present in (("", False), ("#1", True)):
        with contextlib.closing(open_reader(f"serial:{ready['path']}{slot}")) as reader:
            assert reader.card_present() is present


def test_the_card_keeps_to_its_fault_script(start: Start, tmp_path: Path) -> None:
    make_card(load_person(DEFAULT_PERSON), tmp_path / "employee.card")
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nphase = "atr"\ndoes = "replace"\nbytes = "55"\n')
    ready = ready_line(start("--slot", str(tmp_path), "--faults", str(script)))
    reader = open_reader(f"serial:{ready['path']}")
    with contextlib.closing(reader), pytest.raises(CardMute, match="first character"):
        reader.connect()


def test_it_ends_with_its_firmware_and_says_so(start: Start, tmp_path: Path) -> None:
    process = start("--slot", str(tmp_path))
    ready_line(process)
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert "R-005" in errors


def test_the_firmware_ends_with_it_even_when_it_is_killed(start: Start, tmp_path: Path) -> None:
    process = start("--slot", str(tmp_path))
    ready_line(process)
    (firmware,) = children_of(process.pid)
    process.kill()
    process.wait(WITHIN_S)
    wait_gone(firmware)


def test_no_folder_no_script_and_a_file_in_place_of_the_link_are_refused(start: Start, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    there, nowhere = str(tmp_path), str(tmp_path / "nowhere")
    for arguments in (
        ("--slot", nowhere),
        ("--slot", there, "--sam", nowhere),
        ("--slot", there, "--link", str(taken)),
        ("--slot", there, "--faults", str(taken)),
    ):
        process = start(*arguments)
        output, errors = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 1
        assert output == ""
        assert "R-004" in errors
    assert taken.read_text() == "a file"


def test_cpython_runs_the_same_files_where_micropython_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardware.virtual.reader.find_micropython", lambda: None)
    interpreter, command = firmware_command(None)
    assert (interpreter, command[0]) == (CPYTHON, sys.executable)


def test_a_reader_may_have_a_fault_of_its_own(start: Start, tmp_path: Path) -> None:
    """Every 6Cxx is 6700; the rest is as it was."""
    link = tmp_path / "reader"
    slot = tmp_path / "slot"
    slot.mkdir()
    make_card(load_person(DEFAULT_PERSON), slot / "employee.card")
    arguments = ("--slot", str(slot), "--link", str(link), "--reader-fault", "wrong_length_as_error")
    process = start(*arguments)
    assert ready_line(process)["path"] == str(link.readlink())
    reader = open_reader(f"serial:{link}")
    connection = reader.connect()
    assert connection.transmit(CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=6)).sw == 0x9000
    assert connection.transmit(CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=9)).sw == 0x6700
    reader.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0
    assert not link.is_symlink()


def test_a_fault_that_there_is_not_is_no_reader(start: Start, tmp_path: Path) -> None:
    process = start("--slot", str(tmp_path), "--reader-fault", "gone")
    _, errors = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, "no reader has the fault gone" in errors) == (1, True)
