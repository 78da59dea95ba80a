"""The reader's main loop."""

import sys

from firmware.board import Board, open_board
from firmware.ccid_device import CcidDevice
from firmware.collector import Collector
from firmware.contact_line import LineLost
from firmware.files import FileSystem
from firmware.pin_pad import PinPad
from firmware.service import Service
from protocols.ccid.serial_frame import QUIET_MS

BELOW = "firmware/main"  # where this file lies in the folder that the firmware runs from


def main(arguments: "list[str]", root: "str | None" = None) -> None:
    """Serve until a restart is asked for; `SystemExit` where a line is lost.

    `root` is the folder of the file slots (`firmware.boot`), which calls this; keep the signature.
    """
    try:
        board = open_board(arguments)
        try:
            _serve(board, root)
        finally:
            board.close()
    except LineLost as error:
        sys.stderr.write("reader stops: " + str(error) + "\n")
        sys.exit(1)


def _serve(board: Board, root: "str | None") -> None:
    service = Service(board, FileSystem(), __file__[: __file__.rfind(BELOW)], root)
    pad = None if board.keypad is None else PinPad(board.keypad, board.indicator, board.wait)
    device = CcidDevice(board.host_line, board.contact_lines, board.limits, service, pad)
    collector = Collector()
    while not service.restarts:
        board.wait(board.indicator.due_ms(QUIET_MS))
        board.indicator.poll()
        collector.served(device.serve())


if __name__ == "__main__":
    main(sys.argv[1:])
