"""`ssc reader info` and `ssc reader log` against the running firmware."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hardware.virtual.line_faults import Fault
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.ccid_names import ERRORS
from host_bridge.readers.commands import app
from host_bridge.readers.reader import CardMute
from host_bridge.readers.serial_link import SerialLink
from protocols.ccid import messages
from protocols.ccid.messages import MECHANICAL
from protocols.iso7816.apdu import CommandApdu
from tests.host_bridge.readers.conftest import StartReader
from tests.pcscd import Pcscd, demand

ROOT = Path(__file__).parents[3]
MUTE_AFTER_ATR = Fault(phase="command", does="mute", at=0)


def said(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def told(*arguments: str) -> Any:
    return json.loads(said(*arguments, "--json"))


def test_info_tells_version_board_and_every_file(start_reader: StartReader, link: Path) -> None:
    start_reader()
    found = told("info", f"serial:{link}")
    assert (found["ours"], found["board"], found["file_slot"]) == (True, "unix", None)
    assert found["version"] == "0.1.0"
    lines = b""
    for each in found["files"]:
        content = (ROOT / each["path"]).read_bytes()
        assert (each["size"], each["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        lines += f"{len(content)} {each['sha256']}  {each['path']}\n".encode()
    assert found["digest"] == hashlib.sha256(lines).hexdigest()
    paths = {each["path"] for each in found["files"]}
    assert {"firmware/main.py", "firmware/boards/unix/board.py", "protocols/ccid/service.py"} <= paths
    assert not [path for path in paths if "sscard" in path]
    shown = said("info", f"serial:{link}", "--files")
    assert all(each["sha256"] in shown for each in found["files"])
    assert "不可更新 · not updatable" in shown


def test_exchanges_and_errors_are_counted_and_logged(start_reader: StartReader, link: Path) -> None:
    start_reader(None, MUTE_AFTER_ATR)
    reader = open_reader(f"serial:{link}")
    connection = reader.connect()
    with pytest.raises(CardMute):
        connection.transmit(CommandApdu(0x00, 0xB2, 0x03, 0x04, le=6))
    reader.close()
    found = told("info", f"serial:{link}")
    assert found["slots"] == [
        {"exchanges": 1, "characters": None, "restarts": 1, "revived": 1, "errors": {"FE": 1}},
    ]
    assert "断电重启 · restarts of a stuck card 1, 恢复 · revived 1" in said("info", f"serial:{link}")
    events = told("log", f"serial:{link}")
    assert [(each["number"], each["event"]) for each in events] == [
        (0, "started"),
        (1, "card_in"),
        (2, "command_refused"),
    ]
    assert (events[2]["command"], events[2]["error"], events[2]["slot"]) == ("XfrBlock", "FE", 0)
    assert events[0]["up_ms"] <= events[1]["up_ms"] <= events[2]["up_ms"]
    assert "XfrBlock FE 卡不回应 · mute card" in said("log", f"serial:{link}")


def test_a_log_keeps_the_newest(start_reader: StartReader, link: Path) -> None:
    start_reader()
    port = SerialLink(str(link))
    for _ in range(70):
        port.ask(MECHANICAL)
    port.close()
    events = told("log", f"serial:{link}")
    assert [each["number"] for each in events] == list(range(72 - 64, 72))


@pytest.mark.parametrize("command", ["info", "log"])
@pytest.mark.parametrize(
    ("address", "key"),
    [("virtual:2.00", "reader_address_wrong"), ("serial:", "reader_address_wrong"), ("serial:/x", "card_reader_away")],
)
def test_what_cannot_be_asked_says_why(command: str, address: str, key: str) -> None:
    assert json.loads(said(command, address, "--json", code=1))["error"]["key"] == key


@pytest.mark.parametrize("escapes", [False, True], ids=["refused by the driver", "allowed"])
def test_info_asks_behind_pcscd_too(start_reader: StartReader, link: Path, tmp_path: Path, escapes: bool) -> None:
    demand()
    start_reader()
    (tmp_path / "pcscd").mkdir()
    with Pcscd(tmp_path / "pcscd") as daemon:
        address = f"pcsc:{daemon.start_serial(link, 'GemPCTwin', escapes=escapes)}"
        found = told("info", address)
        assert found["ours"] is escapes
        if escapes:
            assert (found["board"], len(found["slots"])) == ("unix", 1)
        else:
            assert found["version"] == "0.0.0", "libccidtwin knows no more of a serial reader"
            assert json.loads(said("log", address, "--json", code=1))["error"]["key"] == "reader_not_ours"


def test_every_error_of_a_slot_has_words() -> None:
    slot_errors = {value for name, value in vars(messages).items() if name.startswith("ERROR_") and value >= 0xE0}
    assert slot_errors <= set(ERRORS)
