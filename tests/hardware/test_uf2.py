"""UF2 files, block by block (microsoft/uf2 README, RP2040 datasheet 2.8.4.2, RP2350 datasheet 5.5 and E10)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.uf2 import Uf2, Uf2Error, pages, read_uf2, write_uf2

RP2040, RP2350, ABSOLUTE = 0xE48BFF56, 0xE48BFF59, 0xE48BFF57


def block(number: int, count: int, address: int, data: bytes = bytes(256), **other: int) -> bytes:
    """As the specification's table has it, by hand; `other` replaces a field by name."""
    fields = {"start": 0x0A324655, "second": 0x9E5D5157, "flags": 0x2000, "address": address, "size": 256}
    fields |= {"number": number, "count": count, "family": RP2040} | other
    end = fields.pop("end", 0x0AB16F30)
    return struct.pack("<8I", *fields.values()) + data + bytes(476 - 256) + struct.pack("<I", end)


def test_blocks_are_as_specified() -> None:
    content = {0x10000000: b"a" * 256, 0x10000100: b"b" * 256}
    wanted = block(0, 2, 0x10000000, b"a" * 256) + block(1, 2, 0x10000100, b"b" * 256)
    assert write_uf2(Uf2(RP2040, content)) == wanted
    assert read_uf2(wanted) == Uf2(RP2040, content)


def first_of_rp2350() -> bytes:
    """As picotool's `--abs-block` makes it: EF at the end of 16 MB, and an extension tag behind the data."""
    found = block(0, 2, 0x10FFFF00, b"\xef" * 256, family=ABSOLUTE, flags=0xA000)
    return found[:288] + bytes.fromhex("04E35799") + found[292:]


def test_one_for_an_rp2350_begins_with_the_block_of_erratum_e10() -> None:
    uf2 = Uf2(RP2350, {0x10000000: b"a" * 256})
    alone = block(0, 1, 0x10000000, b"a" * 256, family=RP2350)
    assert write_uf2(uf2) == first_of_rp2350() + alone
    assert read_uf2(first_of_rp2350() + alone) == read_uf2(alone) == uf2


@given(
    st.dictionaries(
        st.integers(0, 2**16).map(lambda n: n * 256), st.binary(min_size=256, max_size=256), min_size=1, max_size=8
    )
)
def test_what_is_written_is_read(content: dict[int, bytes]) -> None:
    assert read_uf2(write_uf2(Uf2(RP2040, content))) == Uf2(RP2040, content)


UNFIT = {
    "nothing": b"",
    "half a block": block(0, 1, 0)[:300],
    "first magic": block(0, 1, 0, start=1),
    "second magic": block(0, 1, 0, second=1),
    "last magic": block(0, 1, 0, end=1),
    "no family": block(0, 1, 0, flags=0),
    "another size": block(0, 1, 0, size=476),
    "not aligned": block(0, 1, 128),
    "a block missing": block(0, 2, 0),
    "numbered from one": block(1, 1, 0),
    "in another order": block(1, 2, 0) + block(0, 2, 256),
    "one place twice": block(0, 2, 0) + block(1, 2, 0),
    "the block of erratum E10 alone": first_of_rp2350(),
    "the block of erratum E10 at the end": block(0, 1, 0, family=RP2350) + first_of_rp2350(),
    "two families": block(0, 2, 0) + block(1, 2, 256, family=1),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_a_boot_rom_would_not_take_whole_is_refused(name: str) -> None:
    with pytest.raises(Uf2Error):
        read_uf2(UNFIT[name])


@given(st.binary(max_size=1100))
def test_any_bytes_are_a_uf2_or_none(data: bytes) -> None:
    with pytest.raises(Uf2Error):
        read_uf2(data)


def test_pages_follow_each_other() -> None:
    assert pages(0x1000, b"a" * 256 + b"b" * 256) == {0x1000: b"a" * 256, 0x1100: b"b" * 256}
