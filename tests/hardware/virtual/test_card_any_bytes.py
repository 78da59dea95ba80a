"""Whatever a card is sent, it answers with a status word of the command's list, and keeps what only keys may change."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.virtual.card import CardFileError, CardImage, VirtualCard
from protocols.iso7816.apdu import CommandApdu
from tests.hardware.virtual.error_sets import COMMANDS, allowed
from tests.hardware.virtual.key_terminal import KeyTerminal, image_of

VERSIONS = ("1.00", "2.00", "3.00")
RIGHTS = ("RKSSSE", "UKSSSE", "BK", "PUK", "UK1DF04", "RK1DF04", "LKDF04", "UK2DF04")

interesting = st.sampled_from(
    [0, 1, 2, 3, 4, 5, 6, 8, 0x0A, 0x28, 0x2C, 0x2D, 0x34, 0x3C, 0x80, 0x81, 0x84, 0x87, 0xFF]
)
a_byte = st.one_of(st.integers(0, 255), interesting)
texts = "EF05 EF06 EF07 EF08 EF15 DF01 DF04 3F00 D15600000503 123456 135790 135790FF654321 0A0132 8F0132 000031"
data = st.one_of(st.binary(max_size=24), st.sampled_from([bytes.fromhex(text) for text in texts.split()]))


@st.composite
def apdus(draw: st.DrawFn) -> CommandApdu:
    """Commands that mostly begin as one of the list."""
    ins = draw(st.one_of(st.sampled_from(list(COMMANDS)), st.integers(0, 255)))
    cla = draw(st.one_of(st.just(COMMANDS.get(ins, ("", 0))[1]), st.sampled_from((0x00, 0x04, 0x80, 0x84, 0xFF))))
    le = draw(st.one_of(st.none(), st.integers(1, 256), st.sampled_from((4, 8, 16))))
    return CommandApdu(cla, ins, draw(a_byte), draw(a_byte), draw(data), le)


@pytest.fixture(scope="module")
def images() -> dict[str, CardImage]:
    return {version: image_of(version) for version in VERSIONS}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(version=st.sampled_from(VERSIONS), sequence=st.lists(st.one_of(apdus(), st.sampled_from(RIGHTS)), max_size=30))
def test_any_commands(
    tmp_path: Path, images: dict[str, CardImage], version: str, sequence: list[CommandApdu | str]
) -> None:
    """Names in the sequence are keys that a terminal proves to have; the rest is not even told apart from noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # for speed
        card = VirtualCard.create(tmp_path / "x.card", images[version])
        terminal = KeyTerminal(card)
        for step in sequence:
            if isinstance(step, str):
                if step in card.image.keys:
                    terminal.enter("DF04" if step.endswith("DF04") else "SSSE")
                    assert terminal.authenticate(step) in ("9000", "6983")
                continue
            before = card.image
            answer = card.command(step)
            assert allowed(step.ins, answer.sw), f"{step!r} {answer.sw:04X}"
            assert not answer.data or answer.sw == 0x9000 or answer.sw >> 8 == 0x61
            after = card.image
            assert (after.blocked, after.card_blocked, after.atr) == ((), False, before.atr)
            if answer.sw >> 8 not in (0x90, 0x63):
                assert after == before
            if before.pin is not None and after.pin is not None:
                least = before.pin.tries - 1
                assert least <= after.pin.tries <= (after.pin.limit if answer.sw == 0x9000 else before.pin.tries)
        assert VirtualCard.open(card.path).image == card.image


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 20),
    st.text(max_size=6),
    st.binary(max_size=20).map(bytes.hex),
    st.just([]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), version=st.sampled_from(VERSIONS), sequence=st.lists(apdus(), max_size=5))
def test_a_card_file_with_anything_else_in_one_place_is_a_card_or_none(
    tmp_path: Path, images: dict[str, CardImage], data: st.DataObject, version: str, sequence: list[CommandApdu]
) -> None:
    document: Any = json.loads(msgspec.json.encode(images[version]))
    place, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
    place[key] = data.draw(values)
    (tmp_path / "x.card").write_text(json.dumps(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        try:
            card = VirtualCard.open(tmp_path / "x.card")
        except CardFileError:
            return
        card.reset()
        for command in sequence:
            assert 0x6000 < card.command(command).sw <= 0x9303
