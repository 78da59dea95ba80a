"""The card's side of T=1, block by block."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.virtual.block_side import BlockSide, Work
from protocols.iso7816.t1 import Block, crc, lrc

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/iso7816/t1_card.json").read_text())
SCENARIOS = {scenario["name"]: scenario for scenario in VECTORS["scenarios"]}
IFSC = 8


def on_line(text: str, has_crc: bool) -> bytes:
    """A block of the vectors with its EDC, or with a wrong one."""
    head = bytes.fromhex(text.removeprefix("~"))
    edc = (crc if has_crc else lrc)(head)
    return head + (bytes(byte ^ 0xFF for byte in edc) if text.startswith("~") else edc)


def say(card: BlockSide, block: bytes) -> bytes:
    answers = [card.take(value) for value in block]
    assert not any(answers[:-1]), "only a whole block is answered"
    return answers[-1]


@pytest.mark.parametrize("has_crc", [False, True], ids=["LRC", "CRC"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, has_crc: bool) -> None:
    scenario: dict[str, Any] = SCENARIOS[name]
    command, response = bytes.fromhex(scenario["command"]), bytes.fromhex(scenario["response"])

    def perform(apdu: bytes) -> Work:
        assert apdu == command
        return Work(response, scenario.get("extension", 0))

    card = BlockSide(has_crc, IFSC, perform)
    for asked, said in scenario["steps"]:
        assert say(card, on_line(asked, has_crc)).hex() == on_line(said, has_crc).hex(), asked


def test_a_chip_that_does_not_answer_sends_no_block() -> None:
    card = BlockSide(False, IFSC, lambda _: None)
    assert say(card, on_line("000005 00B2030406", False)) == b""


@given(st.lists(st.binary(max_size=20)), st.booleans())
def test_whatever_comes_every_answer_is_a_block_and_resynchronising_helps(noise: list[bytes], has_crc: bool) -> None:
    card = BlockSide(has_crc, IFSC, lambda apdu: Work(apdu[::-1] + b"\x90\x00"))
    for data in noise:
        for value in data:
            answer = card.take(value)
            assert not answer or Block.from_bytes(answer, has_crc)
    while not card.take(0):
        pass
    assert say(card, on_line("00C000", has_crc)) == on_line("00E000", has_crc)
    assert say(card, on_line("000003 010203", has_crc)) == on_line("000005 030201 9000", has_crc)
