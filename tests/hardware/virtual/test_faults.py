"""Faults as users give them to a card, and the layer that makes them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hardware.virtual.card import CardFileError, VirtualCard
from hardware.virtual.card_commands import app
from hardware.virtual.chips import chip_at, with_fault
from hardware.virtual.faults import FAULTS
from hardware.virtual.faulty_card import Fault, FaultyCard
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.slot import VirtualSlot
from protocols.iso7816.apdu import CommandApdu
from protocols.iso7816.line import PRESENT
from tests.hardware.virtual.test_slot import Line

SSSE = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
DF04 = "00A4040006D15600000503"
WRONG_PIN, PIN, PIN_STATUS = "0020000003000000", "0020000003135790", "00200000"
FIRST_OF_EF05, FIRST_OF_ISSUER = "00B2012C0A", "00B2012C12"

runner = CliRunner()


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    return make_card(load_person(DEFAULT_PERSON), tmp_path / "employee.card")


def answers(card: VirtualCard, fault: str, *commands: str) -> list[int]:
    chip = with_fault(card, fault)
    chip.reset()
    return [chip.command(CommandApdu.from_bytes(bytes.fromhex(command))).sw for command in commands]


def test_names_are_unique() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_what_is_remembered_ends_with_a_reset(card: VirtualCard) -> None:
    chip = with_fault(card, "counter_stays")
    chip.reset()
    wrong = CommandApdu.from_bytes(bytes.fromhex(WRONG_PIN))
    asked = CommandApdu.from_bytes(bytes.fromhex(PIN_STATUS))
    assert [chip.command(command).sw for command in (asked, wrong, asked)] == [0x63C3, 0x63C3, 0x63C3]
    chip.reset()
    assert chip.command(asked).sw == 0x63C2


def test_a_locked_pin_verifies_only_if_it_was_right_before(card: VirtualCard) -> None:
    wrong = (WRONG_PIN, WRONG_PIN, WRONG_PIN)
    assert answers(card, "locked_pin_verifies", PIN, *wrong, WRONG_PIN, PIN)[-2:] == [0x6983, 0x9000]
    assert answers(card, "locked_pin_verifies", PIN) == [0x6983]


def test_a_fault_in_another_file(card: VirtualCard) -> None:
    assert answers(card, "free_read@DF04_EF05", DF04, FIRST_OF_EF05) == [0x610A, 0x9000]
    assert answers(card, "free_read", DF04, FIRST_OF_EF05) == [0x610A, 0x6982]
    assert answers(card, "missing_record@SSSE_EF05", SSSE, FIRST_OF_ISSUER) == [0x611E, 0x6A83]


@pytest.mark.parametrize(
    "name", ["", "gone", "free_read@", "free_read@DF09_EF05", "free_read@DF01", "atr_tb1@SSSE_EF05"]
)
def test_no_such_fault(tmp_path: Path, card: VirtualCard, name: str) -> None:
    with pytest.raises(KeyError):
        with_fault(card, name)
    path = card.path.rename(tmp_path / f"employee+{name}.card")
    with pytest.raises(CardFileError, match="no fault"):
        chip_at(path)


def test_a_card_file_with_a_fault_in_its_name(tmp_path: Path, card: VirtualCard) -> None:
    assert chip_at(card.path).reset()[2] == 0x00
    path = card.path.rename(tmp_path / "employee+atr_tb1.card")
    assert chip_at(path).reset()[2] == 0x25


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[VirtualSlot]:
    folder = tmp_path / "slot"
    folder.mkdir()
    slot = VirtualSlot(folder, chip_at)
    slot.start()
    yield slot
    slot.stop()


def test_a_fault_in_a_slot(tmp_path: Path, card: VirtualCard, slot: VirtualSlot) -> None:
    card.path.rename(tmp_path / "slot" / "employee+atr_tb1.card")
    line = Line(slot.address)
    try:
        while line.next() != (PRESENT, 1):
            pass
        assert line.reset()[:4] == bytes.fromhex("3B6D2500")
    finally:
        line.close()


def test_run_with_a_fault(card: VirtualCard) -> None:
    commands = f"{DF04}\n{FIRST_OF_EF05}\n"
    ran = runner.invoke(app, ["run", str(card.path), "--fault", "free_read@DF04_EF05"], input=commands)
    assert ran.stdout.splitlines() == ["610A", "00" * 10 + "9000"]
    refused = runner.invoke(app, ["run", str(card.path), "--fault", "gone", "--json"], input=commands)
    assert refused.exit_code == 2
    assert "gone" in json.loads(refused.stdout)["error"]


HEADERS = st.tuples(
    st.sampled_from([0x00, 0x04, 0x80, 0x84, 0xF0]),
    st.sampled_from([0xA4, 0xB2, 0xB0, 0xDC, 0xD6, 0x20, 0x5E, 0x24, 0x84, 0xC0, 0x88, 0x82, 0x1E, 0x16, 0x0A]),
    st.sampled_from([0x00, 0x01, 0x02, 0x04, 0x81, 0xFF]) | st.integers(0, 255),
    st.sampled_from([0x00, 0x01, 0x04, 0x05, 0x06, 0x2C, 0x84]) | st.integers(0, 255),
)
DATA = st.sampled_from(
    [b"", *(bytes.fromhex(text) for text in ("EF05", "EF06", "DF01", "D15600000503", "135790", "135790FF246800"))]
) | st.binary(max_size=20)


def _command(header: tuple[int, int, int, int], data: bytes, le: int | None) -> CommandApdu:
    cla, ins, p1, p2 = header
    return CommandApdu(cla, ins, p1, p2, data, None if data else le)


COMMANDS = st.builds(_command, HEADERS, DATA, st.none() | st.integers(1, 256))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(fault=st.sampled_from(FAULTS), sent=st.lists(COMMANDS, max_size=8))
def test_no_command_breaks_a_fault(
    tmp_path_factory: pytest.TempPathFactory, fault: Fault, sent: list[CommandApdu]
) -> None:
    card = make_card(load_person(DEFAULT_PERSON), tmp_path_factory.getbasetemp() / f"{fault.name}.card")
    chip = FaultyCard(card, card.tables, fault)
    chip.reset()
    for command in sent:
        assert 0x6000 <= chip.command(command).sw <= 0x9FFF


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(COMMANDS, max_size=8))
def test_the_layer_alone_changes_nothing(tmp_path_factory: pytest.TempPathFactory, sent: list[CommandApdu]) -> None:
    folder = tmp_path_factory.getbasetemp()
    plain = make_card(load_person(DEFAULT_PERSON), folder / "plain.card")
    below = make_card(load_person(DEFAULT_PERSON), folder / "below.card")
    chip = FaultyCard(below, below.tables, Fault("none", "无", "none"))
    assert chip.reset() == plain.reset()
    for command in sent:
        found, expected = chip.command(command), plain.command(command)
        assert found.sw == expected.sw
        if command.ins != 0x84:  # a challenge is another each time
            assert found.data == expected.data
