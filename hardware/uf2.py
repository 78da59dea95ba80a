"""UF2 files: what the boot ROM of a Pico takes on its BOOTSEL drive, 256 bytes of flash a block.

Source: the UF2 specification (microsoft/uf2), the RP2040 datasheet, 2.8.4.2, and the RP2350 datasheet, 5.5 and E10.
"""

import struct
from typing import NamedTuple

MAGIC_START, MAGIC_SECOND, MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
FAMILY_PRESENT = 0x00002000
PAYLOAD = 256
BLOCK = 512
SECTOR = 4096
"""What the boot ROM erases before it writes every 16th block by number, at that block's address."""
HEADER = "<8I"
DATA_SIZE = 476

RP2350 = 0xE48BFF59
FAMILIES = {0xE48BFF56: "RP2040", RP2350: "RP2350"}

_ABSOLUTE, _EXTENSION = 0xE48BFF57, 0x00008000
_FIRST_FIELDS = (MAGIC_START, MAGIC_SECOND, FAMILY_PRESENT | _EXTENSION, 0x10FFFF00, PAYLOAD, 0, 2, _ABSOLUTE)
FIRST_OF_RP2350 = (
    struct.pack(HEADER, *_FIRST_FIELDS)
    + (b"\xef" * PAYLOAD + bytes.fromhex("04E35799")).ljust(DATA_SIZE, b"\0")
    + struct.pack("<I", MAGIC_END)
)
"""What the SDK puts before the other blocks for erratum E10: alone of its family, and never of a whole number."""


class Uf2Error(ValueError):
    """No UF2 that a boot ROM would take whole; the text says why."""


class Uf2(NamedTuple):
    """`family` as in `FAMILIES`; `content` is 256 bytes for each flash address, by address."""

    family: int
    content: dict[int, bytes]


def read_uf2(data: bytes) -> Uf2:
    """`Uf2Error` unless every block is whole, of one family, numbered on, aligned, and of its own place.

    `FIRST_OF_RP2350` may be before them.
    """
    data = data.removeprefix(FIRST_OF_RP2350)
    if not data or len(data) % BLOCK:
        raise Uf2Error("no whole number of blocks")
    count = len(data) // BLOCK
    families: set[int] = set()
    content: dict[int, bytes] = {}
    for number in range(count):
        block = data[number * BLOCK : (number + 1) * BLOCK]
        start, second, flags, address, size, at, total, family = struct.unpack_from(HEADER, block)
        (end,) = struct.unpack_from("<I", block, BLOCK - 4)
        if (start, second, end) != (MAGIC_START, MAGIC_SECOND, MAGIC_END):
            raise Uf2Error(f"block {number} is none")
        if not flags & FAMILY_PRESENT or size != PAYLOAD or address % PAYLOAD or (at, total) != (number, count):
            raise Uf2Error(f"block {number} of {count} is numbered {at} of {total}, {size} bytes at {address:08X}")
        if address in content:
            raise Uf2Error(f"{address:08X} is written twice")
        families.add(family)
        content[address] = block[32 : 32 + PAYLOAD]
    if len(families) != 1:
        raise Uf2Error("more than one family")
    return Uf2(families.pop(), dict(sorted(content.items())))


def write_uf2(uf2: Uf2) -> bytes:
    """The file."""
    found = bytearray(FIRST_OF_RP2350 if uf2.family == RP2350 else b"")
    for number, (address, data) in enumerate(sorted(uf2.content.items())):
        header = (MAGIC_START, MAGIC_SECOND, FAMILY_PRESENT, address, PAYLOAD, number, len(uf2.content), uf2.family)
        found += struct.pack(HEADER, *header) + data.ljust(DATA_SIZE, b"\0") + struct.pack("<I", MAGIC_END)
    return bytes(found)


def pages(address: int, data: bytes) -> dict[int, bytes]:
    """`data` from this address on as the content of a `Uf2`; both whole pages."""
    return {address + at: data[at : at + PAYLOAD] for at in range(0, len(data), PAYLOAD)}


def whole_sectors(content: dict[int, bytes]) -> dict[int, bytes]:
    """Without them the boot ROM erases what it wrote before, once there is a gap (RP2040 datasheet, erratum E14)."""
    sectors = sorted({address // SECTOR * SECTOR for address in content})
    blank = {address: page for sector in sectors for address, page in pages(sector, b"\xff" * SECTOR).items()}
    return blank | content
