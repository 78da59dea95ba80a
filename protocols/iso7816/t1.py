"""Blocks of T=1: prologue NAD PCB LEN, information field, error detection code (`reader.md B.5`, `A.5`)."""

from protocols.iso7816.frozen import Frozen
from protocols.iso7816.xor import xor

PROLOGUE_SIZE = 3
MAX_INF = 254
DEFAULT_IFS = 32  # longest information field until told otherwise
LRC_SIZE, CRC_SIZE = 1, 2
MAX_BLOCK = PROLOGUE_SIZE + MAX_INF + CRC_SIZE

# Kinds by the two highest bits of PCB
I_BLOCK, R_BLOCK, S_BLOCK = range(3)
I_SEQUENCE, I_MORE = 0x40, 0x20  # N(S), M
R_SEQUENCE, R_EDC, R_OTHER = 0x10, 0x01, 0x02  # N(R) and what was wrong
S_RESPONSE = 0x20
RESYNCH, IFS, ABORT, WTX = 0xC0, 0xC1, 0xC2, 0xC3  # PCB of the requests

_CRC_POLYNOMIAL = 0x8408
_CRC_START = 0xFFFF


class BlockError(ValueError):
    """Not a whole block, or its error detection code is wrong."""


def lrc(data: "bytes | bytearray | memoryview") -> bytes:
    """XOR of all bytes."""
    return bytes([xor(data)])


def crc(data: "bytes | bytearray | memoryview") -> bytes:
    """As libccid has it: reflected polynomial, start FFFF, no inversion at the end, high byte first."""
    check = _CRC_START
    for byte in data:
        check ^= byte
        for _ in range(8):
            check = check >> 1 ^ _CRC_POLYNOMIAL if check & 1 else check >> 1
    return bytes([check >> 8, check & 0xFF])


def edc_size(has_crc: bool) -> int:
    return CRC_SIZE if has_crc else LRC_SIZE


def block_size(data: "bytes | bytearray | memoryview", has_crc: bool) -> int:
    """How long the block beginning with `data` is, as far as `data` tells; complete when it equals `len(data)`."""
    if len(data) < PROLOGUE_SIZE:
        return PROLOGUE_SIZE
    return PROLOGUE_SIZE + data[2] + edc_size(has_crc)


class Block(Frozen):
    """Its `repr` shows no information field: it may be a PIN."""

    FIELDS = ("nad", "pcb", "inf")
    nad: int
    pcb: int
    inf: bytes

    def __init__(self, nad: int, pcb: int, inf: "bytes | bytearray | memoryview" = b"") -> None:
        if len(inf) > MAX_INF:
            raise BlockError("too long")
        self._freeze(nad, pcb, bytes(inf))

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray | memoryview", has_crc: bool) -> "Block":
        """The whole block; `BlockError`."""
        end = len(data) - edc_size(has_crc)
        if end < PROLOGUE_SIZE or block_size(data, has_crc) != len(data):
            raise BlockError("LEN does not fit")
        if (crc if has_crc else lrc)(data[:end]) != bytes(data[end:]):
            raise BlockError("wrong EDC")
        return cls(data[0], data[1], data[PROLOGUE_SIZE:end])

    def to_bytes(self, has_crc: bool) -> bytes:
        head = bytes([self.nad, self.pcb, len(self.inf)]) + self.inf
        return head + (crc if has_crc else lrc)(head)

    @property
    def kind(self) -> int:
        """`I_BLOCK`, `R_BLOCK` or `S_BLOCK`."""
        if not self.pcb & 0x80:
            return I_BLOCK
        return S_BLOCK if self.pcb & 0x40 else R_BLOCK

    def __repr__(self) -> str:
        return "Block(%02X %02X, %d bytes)" % (self.nad, self.pcb, len(self.inf))
