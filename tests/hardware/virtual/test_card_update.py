"""UPDATE RECORD and UPDATE BINARY on a virtual card, and every access rule with its keys (ssc-card.md 3, 4)."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardware.virtual.card import VirtualCard
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands
from tests.hardware.virtual.key_terminal import PIN, KeyTerminal, image_of

SHEET: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "tables.toml").read_text("utf-8")
)
ROWS = [
    {**row, "version": version}
    for version in ("1.00", "2.00", "3.00")
    for row in SHEET["file"]
    if row["version"] == ("1.00" if version == "1.00" else "2.00") and (row["items"] or row["structure"] != "linear")
]
Start = Callable[..., KeyTerminal]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # for speed

    def started(version: str = "2.00", **choices: str) -> KeyTerminal:
        return KeyTerminal(VirtualCard.create(tmp_path / "x.card", image_of(version, **choices)))

    return started


def holding(start: Start, directory: str, *keys: str, version: str = "2.00") -> KeyTerminal:
    """A terminal in a directory of a new card, with the rights of these keys."""
    terminal = start(version)
    terminal.enter(directory)
    assert [terminal.authenticate(key) for key in keys] == ["9000"] * len(keys)
    return terminal


def records(terminal: KeyTerminal, name: str, ef: str) -> list[str]:
    """What the card file holds."""
    return list(VirtualCard.open(terminal.card.path).image.files[f"{name} {ef}"])


def read_rule(row: dict[str, Any]) -> str:
    return "RKSSSE" if (row["version"], row["where"]) == ("3.00", "SSSE EF06") else str(row["read"])


def rights_in(rule: str) -> list[set[str]]:
    """The least sets of rights that satisfy a rule of the sheet."""
    return [] if rule == "never" else [set(each.split(" and ")) - {"free"} for each in rule.split(" or ")]


def with_rights(terminal: KeyTerminal, directory: str, rights: set[str]) -> None:
    terminal.card.reset()
    terminal.enter(directory)
    if "PIN" in rights:
        assert terminal.send(PIN) == "9000"
    for name in sorted(rights - {"PIN"}):
        assert terminal.authenticate(name) == "9000"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['version']} {row['where']}")
def test_every_file_opens_to_just_the_rights_of_its_rules(start: Start, row: dict[str, Any]) -> None:
    terminal, (name, ef) = start(row["version"]), row["where"].split()
    keys = [key.name for key in terminal.files.keys.rows if key.directory == name and key.external and key.id]
    commands_of = {
        "transparent": ("00B0000001", "00D600000101"),
        "cyclic": ("00B2010400", "00DC0003" + "01" + "00"),
    }.get(row["structure"], ("00B2010400", "00DC0104" + "01" + "00"))
    for rule, apdu in ((read_rule(row), commands_of[0]), (row["update"], commands_of[1])):
        enough = rights_in(rule)
        tried: list[set[str]] = [set(), {"PIN"}, *({key} for key in keys), *({"PIN", key} for key in keys)]
        for rights in tried:
            with_rights(terminal, name, rights)
            terminal.send(f"00A4020002{ef}")
            opened = terminal.send(apdu)[-4:] != "6982"
            assert opened == any(each <= rights for each in enough), (rule, rights)


def test_a_record_by_number_tag_and_sfi(start: Start) -> None:
    terminal = holding(start, "SSSE", "UKSSSE")
    for command, value in (
        (commands.update_record(4, bytes.fromhex("0A0132"), sfi=6), "32"),
        (commands.update_record(4, bytes.fromhex("0A0131")), "31"),
        (commands.update_tag(bytes.fromhex("0A0139")), "39"),
        (commands.update_tag(bytes.fromhex("0A0132"), sfi=6), "32"),
    ):
        assert terminal.send(command) == "9000"
        assert terminal.send("00B20A3003") == f"0A01{value}9000"
        assert records(terminal, "SSSE", "EF06")[3] == f"0A01{value}"


def test_by_tag_moves_the_pointer_and_by_number_does_not(start: Start) -> None:
    terminal = holding(start, "SSSE", "UKSSSE")
    terminal.send("00A4020002EF06")
    assert terminal.send(commands.update_record(1, bytes(2), mode=commands.NUMBER)) == "6700"
    assert terminal.send("00DC0004030A0132") == "6A83"
    assert terminal.send(commands.update_tag(bytes.fromhex("0A0132"))) == "9000"
    assert terminal.send("00DC0504030B0102") == "9000"
    assert terminal.send("00DC0004030A0139") == "9000"
    assert records(terminal, "SSSE", "EF06")[3] == "0A0139"


def test_records_with_the_same_tag(start: Start) -> None:
    """ssc-card.md 3.5: tag 99 is there four times in DF02 EF15."""
    terminal = holding(start, "DF02", "UK5DF02")
    before = records(terminal, "DF02", "EF15")
    blank, new = before[0], before[0][:-2] + "77"
    assert before[:4] == [blank] * 4
    terminal.send("00A4020002EF15")
    for mode, expected in ((0b001, 3), (0b000, 0), (0b010, 1), (0b011, 0)):
        changed = new[:-2] + f"{mode:02X}"
        assert terminal.send(CommandApdu(0x00, 0xDC, 0x99, mode, bytes.fromhex(changed))) == "9000"
        assert records(terminal, "DF02", "EF15")[expected] == changed


def test_what_is_not_there_is_appended(start: Start) -> None:
    """ssc-card.md 4.1: a number or identifier that does not exist."""
    terminal = holding(start, "SSSE", "UKSSSE")
    assert terminal.send("00A4020002EF06") == "9000"
    assert terminal.send(commands.update_tag(bytes.fromhex("F1021234"))) == "9000"
    assert terminal.send(commands.update_record(200, bytes.fromhex("F20156"))) == "9000"
    assert records(terminal, "SSSE", "EF06")[7:] == ["F1021234", "F20156"]
    assert terminal.send("00B2F10004") == "F10212349000"
    assert terminal.send("00B2090403") == "F201569000"


def test_a_full_file(start: Start) -> None:
    terminal = holding(start, "SSSE", "UKSSSE")
    terminal.send("00A4020002EF06")
    for _ in range(0xFE - 7):
        assert terminal.send("00DCFE0402F300") == "9000"
    assert terminal.send("00DCF40002F400") == "6A84"
    assert terminal.send("00DCFE0402F500") == "9000"
    assert len(records(terminal, "SSSE", "EF06")) == 0xFE


def test_a_cyclic_file_begins_with_the_newest_and_loses_the_oldest(start: Start) -> None:
    """ssc-card.md 3.7: DF04 EF15, 3 bytes, at least 8 records."""
    terminal = holding(start, "DF04", "UK2DF04")
    for number in range(1, 11):
        assert terminal.send(commands.append_cyclic(bytes((0, number, 0x31)), sfi=0x15)) == "9000"
    assert records(terminal, "DF04", "EF15") == [f"00{number:02X}31" for number in range(10, 2, -1)]
    for apdu, sw in (
        ("00DC000302000B", "6700"),
        ("00DC0003040000B031", "6700"),
        ("00DC010303000B31", "6981"),
        ("00DC010403000B31", "6981"),
        ("00DC000003000B31", "6981"),
    ):
        assert terminal.send(apdu) == sw


def test_binary(start: Start) -> None:
    terminal = holding(start, "SSSE", "UKSSSE", "RKSSSE")
    assert terminal.send(commands.update_binary_sfi(8, 0x10, b"\xaa\xbb")) == "9000"
    assert terminal.send(commands.update_binary(0x0FFE, b"\xcc\xdd")) == "9000"
    assert records(terminal, "SSSE", "EF08") == ["00" * 16 + "AABB" + "00" * (0x0FFE - 18) + "CCDD"]
    assert terminal.send("00B0000F04") == "00AABB009000"
    assert terminal.send(commands.update_binary(0x0010, bytes(2))) == "9000"
    assert terminal.send(commands.update_binary(0x0FFE, bytes(2))) == "9000"
    assert records(terminal, "SSSE", "EF08") == []


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("00DC0104030A0132", "6986"),
        ("00DC013C030A0132", "6981"),
        ("00DC014C030A0132", "6A82"),
        ("00DC01F403610100", "6982"),
        ("00DC0135030A0132", "6A86"),
        ("00DC0136030A0132", "6A86"),
        ("00DCFF34030A0132", "6A86"),
        ("00DC043400", "6700"),
        ("00DC0434010A", "6A85"),
        ("00DC0434040A0132FF", "6A85"),
        ("00DC0B30030A0132", "6A85"),
        ("00DC0434040A023132", "6A84"),
        ("00DC0434020A00", "6700"),
        ("80DC0434030A0132", "6E00"),
        ("84DC0434030A0132", "6E00"),
        ("00D6000001AA", "6986"),
        ("00D6860001AA", "6981"),
        ("00D6890001AA", "6A82"),
        ("00D6E70001AA", "6A86"),
        ("00D6800001AA", "6A86"),
        ("00D6870000", "6700"),
    ],
)
def test_update_errors_change_nothing(start: Start, apdu: str, sw: str) -> None:
    terminal = holding(start, "SSSE", "UKSSSE")
    before = VirtualCard.open(terminal.card.path).image.files
    assert terminal.send(apdu) == sw
    assert VirtualCard.open(terminal.card.path).image.files == before


def test_binary_outside_the_file(start: Start) -> None:
    terminal = holding(start, "SSSE", "UKSSSE")
    terminal.send("00A4020002EF07")
    for apdu, sw in (("00D6030001AA", "6B00"), ("00D6FF0001AA", "6A86"), ("00D602FF02AABB", "6700")):
        assert terminal.send(apdu) == sw
    assert terminal.send("00D602FF01AA") == "9000"


@pytest.mark.parametrize("version", ["1.00", "2.00", "3.00"])
def test_updates_with_a_mac(start: Start, version: str) -> None:
    terminal = holding(start, "SSSE", "UKSSSE", version=version)
    record = commands.update_tag(bytes.fromhex("0A0132"), sfi=6)
    assert terminal.maced(record, "STK", wrong=True) == "6988"
    assert terminal.maced(record, "UKSSSE") == "6988"
    assert terminal.maced(record, "STK") == "9000"
    assert terminal.send("04DC0A30070A0132CCCCCCCC") == "6984"
    terminal.challenge()
    assert terminal.send("04DC0A30020A01") == "6700"
    assert terminal.maced(commands.update_binary_sfi(7, 0, b"\xaa"), "STK") == "9000"
    assert records(terminal, "SSSE", "EF07") == ["AA"]
    assert "0A0132" in records(terminal, "SSSE", "EF06")
    terminal.enter("DF04")
    assert terminal.maced(commands.update_tag(bytes.fromhex("8F0132"), sfi=5), "STKDF04") == "6982"
    assert terminal.authenticate("UK1DF04") == "9000"
    assert terminal.maced(commands.update_tag(bytes.fromhex("8F0132"), sfi=5), "STKDF04") == "9000"
