"""The parameters of a slot: `abProtocolDataStructure`, and data rate and clock (CCID 1.1, 6.1.7 and 6.1.14)."""

from protocols.iso7816.frozen import Frozen
from protocols.iso7816.pps import is_speed
from protocols.iso7816.t1 import MAX_INF

T0, T1 = 0, 1  # bProtocolNum
AT_PROTOCOL = 7  # offset in the message, which bError names
AT_FI_DI = 10
AT_TCCKS = 11
AT_WAITING_INTEGER = 13
AT_BWI_CWI = 13
AT_CLOCK_STOP = 14
AT_IFSC = 15
AT_CLOCK = 10
AT_DATA_RATE = 14
T0_SIZE = 5
T1_SIZE = 7
TCCKS_T1 = 0x10  # bits 7-1 of bmTCCKST1 in direct convention; bit 0: CRC
MAX_BWI = 9
RATE_SIZE = 8
MAX_CLOCK_STOP = 3


class ParameterError(ValueError):
    """A parameter that cannot be set; `offset` is where it lies in the message, 1 for a wrong length."""

    def __init__(self, offset: int) -> None:
        super().__init__("bad parameter at %d" % offset)
        self.offset = offset


class T0Parameters(Frozen):
    """`fi_di` as in TA1, `extra_guard` as TC1, `waiting_integer` as TC2."""

    PROTOCOL = T0
    FIELDS = ("fi_di", "extra_guard", "waiting_integer", "clock_stop")
    fi_di: int
    extra_guard: int
    waiting_integer: int
    clock_stop: int

    def __init__(self, fi_di: int, extra_guard: int, waiting_integer: int, clock_stop: int = 0) -> None:
        self._freeze(fi_di, extra_guard, waiting_integer, clock_stop)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "T0Parameters":
        """`ParameterError` for a wrong length, reserved values, and inverse convention."""
        if len(data) != T0_SIZE:
            raise ParameterError(1)
        fi_di, tccks, extra_guard, waiting_integer, clock_stop = data
        if not is_speed(fi_di):
            raise ParameterError(AT_FI_DI)
        if tccks != 0:
            raise ParameterError(AT_TCCKS)
        if waiting_integer == 0:
            raise ParameterError(AT_WAITING_INTEGER)
        if clock_stop > MAX_CLOCK_STOP:
            raise ParameterError(AT_CLOCK_STOP)
        return cls(fi_di, extra_guard, waiting_integer, clock_stop)

    def to_bytes(self) -> bytes:
        return bytes([self.fi_di, 0, self.extra_guard, self.waiting_integer, self.clock_stop])

    def at_speed(self, fi_di: int) -> "T0Parameters":
        """The same but for the speed."""
        return T0Parameters(fi_di, self.extra_guard, self.waiting_integer, self.clock_stop)


class T1Parameters(Frozen):
    """`fi_di` as in TA1, `extra_guard` as TC1, `bwi_cwi` and `ifsc` as the first TB and TA for T=1."""

    PROTOCOL = T1
    FIELDS = ("fi_di", "has_crc", "extra_guard", "bwi_cwi", "clock_stop", "ifsc", "nad")
    fi_di: int
    has_crc: bool
    extra_guard: int
    bwi_cwi: int
    clock_stop: int
    ifsc: int
    nad: int

    def __init__(  # noqa: PLR0917
        self, fi_di: int, has_crc: bool, extra_guard: int, bwi_cwi: int, clock_stop: int, ifsc: int, nad: int = 0
    ) -> None:
        self._freeze(fi_di, has_crc, extra_guard, bwi_cwi, clock_stop, ifsc, nad)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "T1Parameters":
        """`ParameterError` for a wrong length, reserved values, and inverse convention."""
        if len(data) != T1_SIZE:
            raise ParameterError(1)
        fi_di, tccks, extra_guard, bwi_cwi, clock_stop, ifsc, nad = data
        if not is_speed(fi_di):
            raise ParameterError(AT_FI_DI)
        if tccks & 0xFE != TCCKS_T1:
            raise ParameterError(AT_TCCKS)
        if bwi_cwi >> 4 > MAX_BWI:
            raise ParameterError(AT_BWI_CWI)
        if clock_stop > MAX_CLOCK_STOP:
            raise ParameterError(AT_CLOCK_STOP)
        if not 1 <= ifsc <= MAX_INF:
            raise ParameterError(AT_IFSC)
        return cls(fi_di, bool(tccks & 1), extra_guard, bwi_cwi, clock_stop, ifsc, nad)

    def to_bytes(self) -> bytes:
        tccks = TCCKS_T1 | self.has_crc
        return bytes([self.fi_di, tccks, self.extra_guard, self.bwi_cwi, self.clock_stop, self.ifsc, self.nad])

    def at_speed(self, fi_di: int) -> "T1Parameters":
        """The same but for the speed."""
        return T1Parameters(fi_di, self.has_crc, self.extra_guard, self.bwi_cwi, self.clock_stop, self.ifsc, self.nad)


def rate_from_bytes(data: "bytes | bytearray") -> "tuple[int, int]":
    """Clock in kHz and data rate in bit/s; `ParameterError` for another length."""
    if len(data) != RATE_SIZE:
        raise ParameterError(1)
    return int.from_bytes(data[:4], "little"), int.from_bytes(data[4:], "little")


def rate_to_bytes(clock_khz: int, bits_per_s: int) -> bytes:
    return clock_khz.to_bytes(4, "little") + bits_per_s.to_bytes(4, "little")
