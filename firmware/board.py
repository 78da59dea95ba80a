"""What a board is, and which one the firmware runs on."""

import sys

from firmware.contact_line import ContactLine, HostLine
from firmware.slot import Limits

UNIX = ("linux", "darwin")


class Board:
    """Both lines, the limits that hold on them, and waiting on both at once."""

    contact_line: ContactLine
    host_line: HostLine
    limits: Limits

    def wait(self, limit_ms: int) -> None:
        """Until either line has something, or the limit has passed."""
        raise NotImplementedError


def open_board(arguments: "list[str]") -> Board:
    """The board for this machine; `NotImplementedError` where there is none."""
    if sys.platform in UNIX:
        from firmware.boards.unix.board import UnixBoard

        return UnixBoard(arguments)
    raise NotImplementedError("no board for " + sys.platform)
