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
PROOF, SOURCE, MAC, ENCRYPTED = b"\xaa" * 8, b"\xbb" * 8, b"\xcc" * 4, bytes.fromhex("7308A1E70339892C")
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
        ("get_challenge_8", commands.get_challenge(8)),
        ("internal_authentication", commands.internal_authentication(PROOF, SOURCE)),
        ("external_authentication_0a", commands.external_authentication(0x0A, PROOF, SOURCE)),
        ("external_authentication_06", commands.external_authentication(0x06, PROOF, SOURCE)),
        ("external_authentication_version_2", commands.external_authentication(0x0A, PROOF, SOURCE, 2)),
        ("change_123456_to_654321", commands.change_pin(b"\x12\x34\x56", b"\x65\x43\x21")),
        ("unblock", commands.with_mac(commands.unblock_pin(), bytes.fromhex("A8E21493"))),
        ("reset", commands.with_mac(commands.reset_pin(ENCRYPTED), bytes.fromhex("DCC39629"))),
        ("reset_16", commands.with_mac(commands.reset_pin(b"\xaa" * 16), MAC)),
        ("application_block", commands.with_mac(commands.application_block(), MAC)),
        ("card_block", commands.with_mac(commands.card_block(), MAC)),
        ("update_record_2_of_ef06", commands.update_record(2, b"\x0a\x01\x32")),
        ("update_record_0a", commands.update_tag(b"\x0a\x01\x32")),
        ("append_cyclic", commands.append_cyclic(b"\x01123\xaa")),
        ("update_binary_0100", commands.update_binary(0x0100, b"\xaa\xbb")),
        ("update_binary_of_sfi_7", commands.update_binary_sfi(7, 0x10, b"\xaa\xbb")),
        ("update_record_with_mac", commands.with_mac(commands.update_record(2, b"\x0a\x01\x32"), MAC)),
    ],
)
def test_bytes(name: str, command: CommandApdu) -> None:
    assert command.to_bytes().hex().upper() == VECTORS[name]


@pytest.mark.parametrize(
    ("name", "command"),
    [("unblock_message", commands.unblock_pin()), ("reset_message", commands.reset_pin(ENCRYPTED))],
)
def test_what_a_mac_goes_over(name: str, command: CommandApdu) -> None:
    assert commands.mac_message(command).hex().upper() == VECTORS[name]


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
