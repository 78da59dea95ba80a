"""`ssc reader trace` against the running firmware."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from host_bridge.readers.addresses import open_reader
from host_bridge.readers.commands import app
from protocols.iso7816.apdu import CommandApdu
from tests.host_bridge.readers.conftest import StartReader

VERIFY = CommandApdu(0x00, 0x20, 0x00, 0x00, bytes.fromhex("778899"))
READ = CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=6)
SELECT = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))


def said(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["trace", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def told(*arguments: str) -> Any:
    return json.loads(said(*arguments, "--json"))


@pytest.fixture
def address(start_reader: StartReader, link: Path) -> str:
    start_reader()
    return f"serial:{link}"


def use_card(address: str) -> list[int]:
    """The status words."""
    reader = open_reader(address)
    connection = reader.connect()
    found = [connection.transmit(command).sw for command in (SELECT, READ, VERIFY)]
    reader.close()
    return found


def test_exchanges_are_shown_without_their_data(address: str) -> None:
    assert told(address, "--start", "60") == {"recording_s": 60}
    words = use_card(address)
    found = told(address)
    assert found["lost"] == 0
    assert [(each["header"], each["sent"], each["received"]) for each in found["exchanges"]] == [
        ("00A404000F", 15, 0),
        ("00B2032C06", 0, 6),
        ("00200000**", None, 0),
    ]
    assert [int(each["sw"], 16) for each in found["exchanges"]] == words
    times = [each["time_us"] for each in found["characters"]]
    assert times == sorted(times)
    atr = [each["value"] for each in found["characters"] if each["role"] == "atr"]
    assert (atr[0], len(atr)) == ("3B", 17)
    assert {each["value"] for each in found["characters"] if each["role"] == "data"} >= {"73", None}
    shown = said(address)
    assert "00 20 00 00 ** [**] → 63C2" in shown
    assert "0 → **\n" in shown
    assert "0 ← B2 ** ** ** ** ** ** 90 00\n" in shown
    for digits in ("77", "88", "99"):
        assert f"→ {digits}" not in shown


def test_it_ends_when_told_and_by_itself(address: str) -> None:
    use_card(address)
    assert told(address)["characters"] == [], "off by default"
    assert "没有记录" in said(address)
    told(address, "--start", "60")
    use_card(address)
    count = len(told(address, "--stop")["characters"])
    use_card(address)
    assert len(told(address)["characters"]) == count > 0
    told(address, "--start", "1")
    deadline = time.monotonic() + 20
    before = -1
    while (now := len(told(address)["characters"])) != before:
        assert time.monotonic() < deadline
        before = now
        use_card(address)
    assert now > 0


@pytest.mark.parametrize("seconds", ["0", "301"])
def test_it_is_bounded(seconds: str) -> None:
    said("serial:/dev/none", "--start", seconds, code=2)


def test_it_is_started_or_stopped() -> None:
    assert "--stop" in said("serial:/dev/none", "--start", "5", "--stop", code=2)
