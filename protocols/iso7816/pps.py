"""Protocol and parameters selection, and what Fi and Di stand for (ISO/IEC 7816-3; `reader.md B.3`)."""

from protocols.iso7816.xor import xor

PPSS = 0xFF
MIN_SIZE, MAX_SIZE = 3, 6
HAS_PPS1 = 0x10
DEFAULT_FI_DI = 0x11

_F = (372, 372, 558, 744, 1116, 1488, 1860, 0, 0, 512, 768, 1024, 1536, 2048, 0, 0)
_D = (0, 1, 2, 4, 8, 16, 32, 64, 12, 20, 0, 0, 0, 0, 0, 0)


class PpsError(ValueError):
    """The card's answer fits neither its rules nor the request."""


def f_and_d(fi_di: int) -> "tuple[int, int]":
    """F and D of an octet as in TA1: F/D clocks are one etu. 0 where reserved."""
    return _F[fi_di >> 4], _D[fi_di & 0x0F]


def is_speed(fi_di: int) -> bool:
    """Whether neither half is reserved."""
    return 0 not in f_and_d(fi_di)


def bits_per_s(fi_di: int, clock_khz: int) -> int:
    """Rounded down."""
    f, d = f_and_d(fi_di)
    return clock_khz * 1000 * d // f


def slower(fi_di: int) -> int:
    """The next lower D of 1, 2, 4 … 64 with the same F; the default speed below the lowest."""
    d = _D[fi_di & 0x0F]
    lower = [di for di in range(1, 8) if _D[di] < d]
    return fi_di & 0xF0 | lower[-1] if lower else DEFAULT_FI_DI


def pps_request(protocol: int, fi_di: int) -> bytes:
    """PPSS, PPS0, PPS1, PCK."""
    head = bytes([PPSS, HAS_PPS1 | protocol, fi_di])
    return head + bytes([xor(head)])


def is_pps(data: "bytes | bytearray | memoryview") -> bool:
    """Whether this is a whole PPS, request or answer."""
    return len(data) >= MIN_SIZE and data[0] == PPSS and pps_size(data) == len(data) and xor(data) == 0


def pps_size(data: "bytes | bytearray | memoryview") -> int:
    """How long the PPS beginning with `data` is, as far as `data` tells; complete when it equals `len(data)`."""
    if len(data) < 2:
        return 2
    return MIN_SIZE + (data[1] >> 4 & 1) + (data[1] >> 5 & 1) + (data[1] >> 6 & 1)


def agreed_speed(request: "bytes | bytearray | memoryview", answer: "bytes | bytearray") -> int:
    """The Fi and Di that hold from now on: those asked for, or the default where the answer has no PPS1.

    Raises `PpsError` for an answer that is none, is to another request, or says something else.
    """
    if not is_pps(answer) or answer[1] & 0x0F != request[1] & 0x0F or answer[1] & ~request[1] & 0x70:
        raise PpsError("no answer to this PPS")
    if not answer[1] & HAS_PPS1:
        return DEFAULT_FI_DI
    if answer[2] != request[2]:
        raise PpsError("PPS1 altered")
    return answer[2]
