"""The reader's main loop."""

import sys

from firmware.board import open_board
from firmware.ccid_device import QUIET_MS, CcidDevice
from firmware.contact_line import LineLost
from firmware.files import FileSystem
from firmware.pin_pad import PinPad
from firmware.service import Service

BELOW = "firmware/main"  # where this file lies in the folder that the firmware runs from


def main(arguments: "list[str]") -> None:
    """Serve until a line is lost."""
    board = open_board(arguments)
    service = Service(board, FileSystem(), __file__[: __file__.rfind(BELOW)])
    pad = None if board.keypad is None else PinPad(board.keypad, board.indicator, board.wait)
    device = CcidDevice(board.host_line, board.contact_lines, board.limits, service, pad)
    while True:
        board.wait(board.indicator.due_ms(QUIET_MS))
        board.indicator.poll()
        device.serve()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LineLost as error:
        sys.stderr.write("reader stops: " + str(error) + "\n")
        sys.exit(1)
