"""The test card: what it answers, and how it misbehaves on the contact line."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.commands import virtual
from hardware.virtual.chips import chip_at
from hardware.virtual.reader import CPYTHON, ReaderProcess
from hardware.virtual.slot import VirtualSlot
from hardware.virtual.test_card import TestCard
from host_bridge.readers.reader import CardMute, CardRemoved
from host_bridge.readers.serial import SerialConnection, SerialReader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.test_card import (
    ATR,
    Arming,
    Told,
    calm,
    give,
    give_back,
    pattern,
    status_only,
    take,
    tell,
)

runner = CliRunner()
OK = ResponseApdu(b"", 0x9000)
NO_LINE = ResponseApdu(b"", 0x6985)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[SerialReader]:
    """Ours, with a test card in its slot."""
    TestCard.create(tmp_path / "card.test")
    process = ReaderProcess(VirtualSlot(tmp_path, chip_at), interpreter=CPYTHON, limits=("slack=150", "atr_start=50"))
    process.start()
    with closing(SerialReader(process.path)) as opened:
        yield opened
    process.stop()


def told(connection: SerialConnection) -> Told:
    return Told.from_bytes(connection.transmit(tell()).data)


def arm(connection: SerialConnection, rule: Arming) -> None:
    assert connection.transmit(rule.to_command()) == OK


ANSWERS = [
    (status_only(0x6381), ResponseApdu(b"", 0x6381)),
    (give(1), ResponseApdu(pattern(1), 0x9000)),
    (give(256, 0x6282), ResponseApdu(pattern(256), 0x6282)),
    (take(bytes(range(255))), OK),
    (give_back(254), ResponseApdu(b"", 0x6CFF)),
    (give_back(255), ResponseApdu(bytes(range(255)), 0x9000)),
    (take(b"\x07\x08", 0x6102), ResponseApdu(b"", 0x6102)),
    (CommandApdu(0x00, 0xC0, 0, 0, le=2), ResponseApdu(b"\x07\x08", 0x9000)),
    (CommandApdu(0x00, 0xC0, 0, 0, le=2), NO_LINE),
    (CommandApdu(0x00, 0xA4, 0, 0, b"\x3f\x00"), OK),
    (CommandApdu(0x80, 0x7E, 0, 0), ResponseApdu(b"", 0x6D00)),
    (CommandApdu(0x90, 0x10, 0, 0), ResponseApdu(b"", 0x6E00)),
]


def test_it_answers_as_told(reader: SerialReader) -> None:
    direct, connection = TestCard(), reader.connect()
    for command, answer in ANSWERS:
        assert connection.transmit(command) == answer
        assert direct.command(command) == answer


def test_it_counts_on_the_line(reader: SerialReader) -> None:
    first = told(reader.connect())
    assert first == Told(True, first.power_ons, 1, first.pps, 1, 0x96, ATR)
    connection = reader.connect()
    connection.reset()
    connection.reset()
    assert told(connection) == Told(True, first.power_ons + 1, 3, first.pps + 3, 2, 0x96, ATR)


def test_it_misbehaves_in_one_command(reader: SerialReader) -> None:
    connection = reader.connect()
    arm(connection, Arming("command", "insert", at=2, count=10, ms=5, characters=b"\x60", spared=1))
    arm(connection, Arming("command", "single"))
    for _ in range(2):
        assert connection.transmit(give(5)) == ResponseApdu(pattern(5), 0x9000)
    arm(connection, Arming("command", "damage", at=3))
    with pytest.raises(CardMute, match="unreadable"):
        connection.transmit(give(5))
    assert reader.connect().transmit(give(5)) == ResponseApdu(pattern(5), 0x9000)


def test_it_refuses_a_pps_until_calm(reader: SerialReader) -> None:
    arm(reader.connect(), Arming("pps", "refuse", times=9))
    connection = reader.connect()
    assert told(connection).fi_di == 0x11
    assert connection.transmit(calm()) == OK
    assert told(reader.connect()).fi_di == 0x96


def test_it_leaves_the_slot(reader: SerialReader) -> None:
    connection = reader.connect()
    arm(connection, Arming("command", "pull", at=4))
    with pytest.raises(CardRemoved):
        connection.transmit(give(9))


def test_without_a_line_it_cannot_misbehave() -> None:
    card = TestCard()
    assert card.command(Arming("command", "mute").to_command()) == NO_LINE
    assert card.command(calm()) == NO_LINE
    assert not Told.from_bytes(card.command(tell()).data).on_line


def test_the_command_line_makes_and_runs_one(tmp_path: Path) -> None:
    path = tmp_path / "new.test"
    made = runner.invoke(virtual, ["card", "make-test", "--output", str(path), "--json"])
    assert (made.exit_code, json.loads(made.stdout)) == (0, {"card": str(path)})
    assert json.loads(path.read_text()) == {"atr": "3B9F9640015353432D544553542D434152442D31"}
    ran = runner.invoke(virtual, ["card", "run", str(path)], input="8012900003\n")
    assert ran.stdout == "0DB45B9000\n"


@pytest.mark.parametrize("content", ["", "{}", '{"atr": "3B"}', '{"atr": "zz"}'])
def test_a_file_that_makes_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.test"
    path.write_text(content)
    assert runner.invoke(virtual, ["card", "run", str(path)], input="").exit_code == 2
    refused = runner.invoke(virtual, ["card", "make-test", "--output", str(tmp_path / "wrong.card"), "--json"])
    assert refused.exit_code == 2
    assert list(json.loads(refused.stdout)) == ["error"]
