"""Runs on the relay harness, a second Pico beside the reader under test: copy it there as `main.py`.

Outputs are high while the card is in and while the reader has power: GP2 for the card's switch, GP3 for the reader's
power, one relay or load switch on each. Over the USB console: `card 0`, `card 1`, `power 0` or `power 1` and a newline;
the answer is `ok`, or `?` for anything else. At the start both are 1.
"""

# mypy: disable-error-code="import-not-found"

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PINS = {"card": 2, "power": 3}


def serve(
    read_line: "Callable[[], str]", write: "Callable[[str], object]", outputs: "dict[str, Callable[[int], object]]"
) -> None:
    """Until there is no more line. `outputs` are called with 0 or 1, by name."""
    for output in outputs.values():
        output(1)
    while True:
        line = read_line()
        if not line:
            return
        words = line.split()
        if len(words) == 2 and words[0] in outputs and words[1] in ("0", "1"):
            outputs[words[0]](int(words[1]))
            write("ok\n")
        else:
            write("?\n")


def main() -> None:
    from machine import Pin

    serve(sys.stdin.readline, sys.stdout.write, {name: Pin(number, Pin.OUT) for name, number in PINS.items()})


if __name__ == "__main__":
    main()
