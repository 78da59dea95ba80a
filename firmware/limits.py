"""How long a card may take (`reader.md B.1`, `B.3` to `B.5`)."""

from protocols.iso7816.frozen import Frozen
from protocols.iso7816.pps import f_and_d

CLOCK_KHZ = 4000
INITIAL_F = 372


class Limits(Frozen):
    """Milliseconds: ATR by its first, each next and all characters; `waiting` per unit of WI and BWT at F = 372.

    `exchange` is for one command with all its NULL bytes; `slack` is what the line adds to all the others.
    """

    FIELDS = ("atr_start", "atr_gap", "atr_total", "waiting", "exchange", "slack")
    atr_start: int
    atr_gap: int
    atr_total: int
    waiting: int
    exchange: int
    slack: int

    def __init__(self, *values: int) -> None:
        self._freeze(*values)

    def waiting_time(self, f: int, waiting_integer: int) -> int:
        """Between two characters of T=0."""
        return self.waiting * waiting_integer * f // INITIAL_F + self.slack

    def block_waiting_time(self, fi_di: int, bwi: int, extension: int) -> int:
        """Until a block of T=1 begins, in a block waiting time that is `extension` times as long."""
        return ((self.waiting << bwi) + _etu_ms(11, fi_di)) * extension + self.slack

    def character_waiting_time(self, fi_di: int, cwi: int) -> int:
        """Between two characters of a block."""
        return _etu_ms(11 + (1 << cwi), fi_di) + self.slack


def standard_limits(slack: int) -> Limits:
    """Those of ISO/IEC 7816-3; an exchange may take 60 s, which no standard limits."""
    return Limits(
        _ceil_ms(40000),
        _ceil_ms(9600 * INITIAL_F),
        _ceil_ms(19200 * INITIAL_F),
        _ceil_ms(960 * INITIAL_F),
        60000,
        slack,
    )


def _etu_ms(count: int, fi_di: int) -> int:
    f, d = f_and_d(fi_di)
    return _ceil_ms(-(-count * f // d))


def _ceil_ms(clocks: int) -> int:
    return -(-clocks // CLOCK_KHZ)
