"""How long a card may take (`reader.md B.1`, `B.3`, `B.4`)."""

from protocols.iso7816.frozen import Frozen

CLOCK_KHZ = 4000
INITIAL_F = 372


class Limits(Frozen):
    """Milliseconds: ATR by its first, each next and all characters; `waiting` per unit of WI at F = 372.

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


def _ceil_ms(clocks: int) -> int:
    return -(-clocks // CLOCK_KHZ)
