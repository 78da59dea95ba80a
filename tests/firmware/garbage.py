"""What the firmware leaves to be collected: one JSON object on standard output, in bytes. Runs under MicroPython.

`idle`: of turns of the main loop without a command, `scan`: of the keypad without a key, `command`: the most of an
exchange with as much data as a card takes or gives.
"""

import gc
import json

from firmware.keypad import Keypad, KeyScanner
from tests.bench.firmware_steps import EXCHANGES, OK, Bench, allocated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 100
LONGEST = {
    "read_most": (bytes([0x00, 0xB0, 0x00, 0x00, 0]), (b"\xb0" + b"\x55" * 256 + OK,), b"\x55" * 256 + OK),
    "send_most": (bytes([0x00, 0xDC, 0x01, 0x04, 255]) + b"\x55" * 255, (b"\xdc", OK), OK),
}


class NoKeys(Keypad):
    def columns(self, row: int) -> int:
        return 0


def left_by(turn: "Callable[[], object]") -> int:
    """Of many turns."""
    turn()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()  # type: ignore[attr-defined]
    for _ in range(TURNS):
        turn()
    after = gc.mem_alloc()  # type: ignore[attr-defined]
    gc.enable()
    return int(after - before)


def main() -> "dict[str, int]":
    bench = Bench()
    EXCHANGES.update(LONGEST)
    return {
        "idle": left_by(bench.serve),
        "scan": left_by(KeyScanner(NoKeys()).poll),
        "command": max([allocated(bench, name) for name in LONGEST]),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
