"""CHANGE PIN on a virtual card (ssc-card.md 4.1, 5, 9.4)."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hardware.virtual.card import CardFileError, Pin, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from protocols.iso7816.apdu import CommandApdu

CHANGE = "805E010007135790FF654321"
SSSE = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    return VirtualCard.create(tmp_path / "employee.card", card_image(load_person(DEFAULT_PERSON)))


def send(card: VirtualCard, apdu: str) -> str:
    return card.command(CommandApdu.from_bytes(bytes.fromhex(apdu))).to_bytes().hex().upper()


def change(old: str, new: str) -> str:
    data = f"{old}FF{new}"
    return f"805E0100{len(data) // 2:02X}{data}"


def pin_on_disk(card: VirtualCard) -> Pin | None:
    return VirtualCard.open(card.path).image.pin


def test_changing_as_9_4_does(card: VirtualCard) -> None:
    assert send(card, SSSE) == "611E"
    assert send(card, "0020000003000000") == "63C2"
    assert send(card, CHANGE) == "9000"
    assert pin_on_disk(card) == Pin("654321", 3, 3)
    assert send(card, "0020000003135790") == "63C2"
    assert send(card, "0020000003654321") == "9000"


def test_the_right_to_read_outlives_the_change(card: VirtualCard) -> None:
    """ssc-card.md 4.1: PIN-verified state is held until power-off; without it a change gives none."""
    send(card, "00A4040006D15600000503")
    assert send(card, change("135790", "654321")) == "9000"
    assert send(card, "00B28C2803") == "6982"
    assert send(card, "0020000003654321") == "9000"
    assert send(card, change("654321", "135790")) == "9000"
    assert send(card, "00B28C2803") == "8C01119000"


def test_a_wrong_old_pin_costs_a_try_and_the_right_to_read(card: VirtualCard) -> None:
    assert send(card, "0020000003135790") == "9000"
    assert [send(card, change("135791", "654321")) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    assert pin_on_disk(card) == Pin("135790", 3, 0)
    assert send(card, CHANGE) == "6983"
    send(card, "00A4040006D15600000503")
    assert send(card, "00B2012C0A") == "6982"


@pytest.mark.parametrize(("old", "new", "digits"), [("135790", "1234", "1234"), ("135790", "12345F", "12345")])
def test_pins_of_other_lengths(card: VirtualCard, old: str, new: str, digits: str) -> None:
    assert send(card, change(old, new)) == "9000"
    assert pin_on_disk(card) == Pin(digits, 3, 3)
    assert send(card, change(new, old)) == "9000"
    assert pin_on_disk(card) == Pin("135790", 3, 3)


def test_the_longest_pins(card: VirtualCard) -> None:
    assert send(card, change("135790", "1234567890123456")) == "9000"
    assert send(card, change("1234567890123456", "6543210987654321")) == "9000"
    assert pin_on_disk(card) == Pin("6543210987654321", 3, 3)


def test_no_pin_after_and_none_before(card: VirtualCard) -> None:
    assert send(card, change("135790", "")) == "9000"
    assert pin_on_disk(card) is None
    assert send(card, "0020000000") == "9000"
    assert send(card, change("135790", "654321")) == "63C0"
    assert send(card, change("", "654321")) == "9000"
    assert pin_on_disk(card) == Pin("654321", 3, 3)
    assert send(card, change("", "135790")) == "63C2"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("805E000007135790FF654321", "6A86"),
        ("805E010107135790FF654321", "6A86"),
        ("005E010007135790FF654321", "6E00"),
        ("845E010007135790FF654321", "6E00"),
        ("805E01000235FF", "6700"),
        ("805E010000", "6700"),
        ("805E010012" + "12" * 18, "6700"),
        ("805E010006135790654321", "6A80"),
        (change("135790", "65"), "6A80"),
        (change("135790", "123F"), "6A80"),
        (change("135790", "12FF34"), "6A80"),
        (change("135790", "12345A"), "6A80"),
        (change("135790", "1F3456"), "6A80"),
        (change("13", "654321"), "6A80"),
    ],
)
def test_errors_use_no_try(card: VirtualCard, apdu: str, sw: str) -> None:
    assert send(card, apdu) == sw
    assert pin_on_disk(card) == Pin("135790", 3, 3)


def test_a_card_pulled_in_mid_change_has_one_pin_or_the_other_and_gives_no_try_back(
    card: VirtualCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(2):
        card.save()
        replaced: list[Path] = []
        real = Path.replace

        def replace(
            source: Path, target: Path, step: int = step, replaced: list[Path] = replaced, real: Any = real
        ) -> Path:
            if len(replaced) == step:
                raise OSError("pulled")
            replaced.append(target)
            return Path(real(source, target))

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            with pytest.raises(CardFileError):
                send(card, CHANGE)
        assert pin_on_disk(card) == Pin("135790", 3, 3 - step)
        card = VirtualCard.open(card.path)
    assert send(card, CHANGE) == "9000"


def test_secrets_are_not_shown(card: VirtualCard) -> None:
    assert "135790" not in repr(card.image)
    assert repr(msgspec.structs.replace(card.image, files={}).pin) == "Pin(3 of 3 tries)"
