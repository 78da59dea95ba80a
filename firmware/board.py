"""What a board is, and which one the firmware runs on."""

import sys

from firmware.contact_line import ContactLine, HostLine
from firmware.indicator import Indicator
from firmware.keypad import Keypad
from firmware.limits import Limits

UNIX = ("linux", "darwin")
PICO = "rp2"


class Board:
    """Its lines, one contact line per slot, the limits that hold on them, and waiting on all at once.

    `name` is that of its folder in `firmware/boards`. `keypad` is None where there is none; `indicator` is then a
    silent one.
    """

    name = "unknown"
    contact_lines: "tuple[ContactLine, ...]"
    host_line: HostLine
    limits: Limits
    keypad: "Keypad | None" = None
    indicator: Indicator

    def wait(self, limit_ms: int) -> None:
        """Until any line has something, or the limit has passed."""
        raise NotImplementedError

    def close(self) -> None:
        """The firmware ends: nothing is left powered, and nothing waits for it to go on."""


def open_board(arguments: "list[str]") -> Board:
    """The board for this machine; `NotImplementedError` where there is none.

    On a Pico the argument is the folder of its pins in `firmware/boards`, without one `pico`.
    """
    if sys.platform in UNIX:
        from firmware.boards.unix.board import UnixBoard

        return UnixBoard(arguments)
    if sys.platform == PICO:
        from firmware.boards.pico.board import PicoBoard

        return PicoBoard(*arguments)
    raise NotImplementedError("no board for " + sys.platform)
