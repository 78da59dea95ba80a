"""What the sheet's sequences of commands get from a card with its keys and challenges, byte for byte."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hardware.virtual.card import CardKey, Pin, VirtualCard
from protocols.iso7816.apdu import CommandApdu
from tests.hardware.virtual.key_terminal import image_of

SHEET: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "sequences.toml").read_text("utf-8")
)


@pytest.mark.parametrize("row", SHEET["sequence"], ids=lambda row: row["name"])
def test_a_sequence(row: dict[str, Any], tmp_path: Path) -> None:
    image = image_of(row["version"], **row["choices"])
    keys = {name: CardKey((SHEET["keys"][row["cipher"]],), 3, 3) for name in ("IRK", "PUK", "RKSSSE", "RK1DF04")}
    image = msgspec.structs.replace(image, keys=keys, pin=Pin("135790", 3, row["tries"]))
    card = VirtualCard.create(tmp_path / "x.card", image, lambda length: bytes.fromhex("0102030405060708")[:length])
    for sent, expected in row["steps"]:
        assert card.command(CommandApdu.from_bytes(bytes.fromhex(sent))).to_bytes().hex().upper() == expected, sent
    digits, tries = row["pin"]
    assert VirtualCard.open(card.path).image.pin == Pin(digits, 3, tries)
