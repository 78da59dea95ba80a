"""Command APDUs and PIN blocks, byte for byte as hosts send them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands
from protocols.sscard.pin import PinFormatError, pin_block, wipe

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "commands.toml").read_text("utf-8")
)
SSSE = bytes.fromhex("7378312E73682EC9E7BBE1B1A3D5CF")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("select_ssse", commands.select_name(SSSE)),
        ("select_df04", commands.select_name(bytes.fromhex("D15600000503"))),
        ("select_ef05", commands.select_ef(b"\xef\x05")),
        ("select_ef05_p1_00", commands.select_fid(b"\xef\x05")),
        ("read_card_id_by_tag", commands.read_tag(0x01, 0x12)),
        ("read_version_by_tag", commands.read_tag(0x03, 0x06)),
        ("read_name_extension_by_tag", commands.read_tag(0x4E, 0x16)),
        ("read_first_by_number", commands.read_record(1, 0x12)),
        ("read_first_of_sfi_5", commands.read_record(1, 0x12, sfi=5)),
        ("read_first_of_sfi_6", commands.read_record(1, 0x14, sfi=6)),
        ("read_all_of_ef05", commands.read_record(1, 0x40, mode=commands.TO_LAST)),
        ("read_all_of_ef06", commands.read_record(1, 0x5B, mode=commands.TO_LAST)),
        ("verify_123456", commands.verify_pin(pin_block(bytearray(b"123456")))),
        ("verify_status", commands.verify_status()),
        ("read_binary_0", commands.read_binary(0, 256)),
        ("read_binary_0100", commands.read_binary(0x0100, 0x10)),
        ("read_binary_of_sfi_7", commands.read_binary_sfi(7, 0, 0x80)),
        ("get_response_1e", commands.get_response(0x1E)),
    ],
)
def test_bytes(name: str, command: CommandApdu) -> None:
    assert command.to_bytes().hex().upper() == VECTORS[name]


@pytest.mark.parametrize("vector", VECTORS["pin"])
def test_pin_block(vector: dict[str, str]) -> None:
    digits = bytearray(vector["digits"], "ascii")
    assert pin_block(digits) == bytes.fromhex(vector["block"])
    assert digits == vector["digits"].encode()


@given(st.text("0123456789", min_size=4, max_size=16))
def test_a_pin_block_holds_its_digits(digits: str) -> None:
    assert pin_block(bytearray(digits, "ascii")).hex().rstrip("f") == digits


@given(st.binary(max_size=20))
def test_anything_else_is_refused_and_not_repeated(entered: bytes) -> None:
    if 4 <= len(entered) <= 16 and entered.isdigit():
        return
    with pytest.raises(PinFormatError) as caught:
        pin_block(bytearray(entered))
    assert str(caught.value) == "a PIN has 4 to 16 digits"


def test_wiping() -> None:
    buffer = bytearray(b"123456")
    wipe(buffer)
    assert buffer == bytes(6)
