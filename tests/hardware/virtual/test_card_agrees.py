"""For any keys, challenges and data a terminal's computation and the card's agree, and one other bit is refused."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.virtual.card import CardImage, CardKey, VirtualCard
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands, security
from protocols.sscard.files import card_files
from protocols.sscard.pin import pin_block
from tests.hardware.virtual.key_terminal import image_of

VERSIONS = ("1.00", "2.00", "3.00")
NAMES = ("IRK", "STK", "UKSSSE", "BK", "PUK")
IMAGES: dict[str, CardImage] = {version: image_of(version) for version in VERSIONS}

versions = st.sampled_from(VERSIONS)
blocks = st.binary(min_size=8, max_size=8)
challenges = st.one_of(st.binary(min_size=4, max_size=4), blocks)
seeds = st.binary(min_size=16, max_size=16)
cards = st.tuples(versions, seeds, challenges)
bits = st.integers(0, 63)
pins = st.text("0123456789", min_size=4, max_size=16)
any_card = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


class Host:
    """A terminal that knows the card's keys; the card's challenges are given."""

    def __init__(self, folder: Path, version: str, seed: bytes, challenge: bytes) -> None:
        self.files = card_files(version)
        self.algorithm, self.challenge = self.files.algorithm, challenge
        self.keys = {
            name: bytes(byte ^ place for byte in seed)[: self.files.keys.key(name).length(self.algorithm)]
            for place, name in enumerate(NAMES)
        }
        kept = {name: CardKey((value.hex(),), 3, 3) for name, value in self.keys.items()}
        image = msgspec.structs.replace(IMAGES[version], keys=kept)
        self.card = VirtualCard.create(folder / "x.card", image, lambda _: challenge)

    def session(self, name: str) -> bytes:
        assert self.card.command(commands.get_challenge(len(self.challenge))).data == self.challenge
        return security.session_key(self.algorithm, self.keys[name], self.challenge)

    def authenticate(self, name: str, source: bytes, flip: int | None = None) -> int:
        proof = security.authentication_data(self.algorithm, self.session(name), source)
        key_id = self.files.keys.key(name).id or 0
        return self.card.command(commands.external_authentication(key_id, flipped(proof, flip), source)).sw

    def maced(self, command: CommandApdu, flip: int | None = None) -> int:
        mac = security.command_mac(self.algorithm, self.session("STK"), commands.mac_message(command))
        return self.card.command(commands.with_mac(command, flipped(mac, flip))).sw


def flipped(data: bytes, bit: int | None) -> bytes:
    """The data with one other bit."""
    if bit is None:
        return data
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


@any_card
@given(versions, seeds, blocks, blocks)
def test_internal_authentication(tmp_path: Path, version: str, seed: bytes, factor: bytes, source: bytes) -> None:
    host = Host(tmp_path, version, seed, bytes(8))
    assert host.card.command(commands.internal_authentication(factor, source)).sw == 0x6108
    session = security.session_key(host.algorithm, host.keys["IRK"], factor)
    expected = security.authentication_data(host.algorithm, session, source)
    assert host.card.command(commands.get_response(8)).data == expected


@any_card
@given(cards, blocks, bits, st.sampled_from(("UKSSSE", "BK", "PUK")))
def test_external_authentication(
    tmp_path: Path, made: tuple[str, bytes, bytes], source: bytes, bit: int, name: str
) -> None:
    host = Host(tmp_path, *made)
    assert host.authenticate(name, source, bit) >> 4 == 0x63C
    assert host.authenticate(name, source) == 0x9000


@any_card
@given(cards, st.binary(min_size=1, max_size=80), bits)
def test_updates_with_a_mac(tmp_path: Path, made: tuple[str, bytes, bytes], content: bytes, bit: int) -> None:
    host = Host(tmp_path, *made)
    assert host.authenticate("UKSSSE", bytes(8)) == 0x9000
    command = commands.update_binary_sfi(7, 0, content)
    assert host.maced(command, bit) == 0x6988
    assert host.maced(command) == 0x9000
    ssse = host.card.tables.directory("SSSE")
    assert host.card.binary(ssse, ssse.file("EF07")).startswith(content)


@any_card
@given(cards, pins, bits)
def test_pin_reset(tmp_path: Path, made: tuple[str, bytes, bytes], digits: str, bit: int) -> None:
    host = Host(tmp_path, *made)
    assert host.authenticate("PUK", bytes(8)) == 0x9000
    session = security.session_key(host.algorithm, host.keys["STK"], host.challenge)
    block = bytes(pin_block(bytearray(digits, "ascii")))
    command = commands.reset_pin(security.encrypt_data(host.algorithm, session, block))
    assert host.maced(command, bit) == 0x6988
    assert host.maced(command) == 0x9000
    assert host.card.command(commands.verify_pin(block)).sw == 0x9000
    assert host.maced(commands.unblock_pin(), bit) == 0x6988
    assert host.maced(commands.unblock_pin()) == 0x9000


@any_card
@given(cards, bits, st.sampled_from((commands.application_block, commands.card_block)))
def test_blocking(tmp_path: Path, made: tuple[str, bytes, bytes], bit: int, block: Callable[[], CommandApdu]) -> None:
    host = Host(tmp_path, *made)
    assert host.authenticate("BK", bytes(8)) == 0x9000
    assert host.maced(block(), bit) == 0x6988
    assert host.maced(block()) == 0x9000
    kept = VirtualCard.open(host.card.path).image
    assert (kept.blocked == ("SSSE",)) is not kept.card_blocked
