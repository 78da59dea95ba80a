"""The parameters of a slot: `abProtocolDataStructure` for T=0, and data rate and clock (CCID 1.1, 6.1.7 and 6.1.14)."""

from protocols.iso7816.frozen import Frozen
from protocols.iso7816.pps import is_speed

T0 = 0  # bProtocolNum
AT_PROTOCOL = 7  # offset in the message, which bError names
AT_FI_DI = 10
AT_TCCKS = 11
AT_WAITING_INTEGER = 13
AT_CLOCK_STOP = 14
AT_CLOCK = 10
AT_DATA_RATE = 14
T0_SIZE = 5
RATE_SIZE = 8
MAX_CLOCK_STOP = 3


class ParameterError(ValueError):
    """A parameter that cannot be set; `offset` is where it lies in the message, 1 for a wrong length."""

    def __init__(self, offset: int) -> None:
        super().__init__("bad parameter at %d" % offset)
        self.offset = offset


class T0Parameters(Frozen):
    """`fi_di` as in TA1, `extra_guard` as TC1, `waiting_integer` as TC2."""

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


def rate_from_bytes(data: "bytes | bytearray") -> "tuple[int, int]":
    """Clock in kHz and data rate in bit/s; `ParameterError` for another length."""
    if len(data) != RATE_SIZE:
        raise ParameterError(1)
    return int.from_bytes(data[:4], "little"), int.from_bytes(data[4:], "little")


def rate_to_bytes(clock_khz: int, bits_per_s: int) -> bytes:
    return clock_khz.to_bytes(4, "little") + bits_per_s.to_bytes(4, "little")
