"""The reader against the line-rate limit of `reader.md E.1`: the firmware on an emulated RP2040, a card at pin level.

A ratio is the time of SELECT, READ 32 and VERIFY on the contact line by that of a card and a reader that never wait:
each from the leading edge of the command's first character until 12 etu after that of the answer's last one, and the
two changes of direction between them. What a command takes beside is `beyond_line_us`.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from firmware.boards.pico import pins
from hardware.virtual.card_side import CardSide
from hardware.virtual.line_faults import Faults
from host_bridge.readers.reader import CardConnection
from host_bridge.readers.serial import SerialReader
from protocols.iso7816.apdu import CommandApdu
from protocols.iso7816.pps import f_and_d
from tests.bench.figures import told
from tests.firmware.pio.bench import ScriptedChip
from tests.firmware.pio.lines import leading_edges
from tests.rigs.emulated.host_port import HostPort
from tests.rigs.emulated.image import copy_sources, make_image
from tests.rigs.emulated.pico import HZ, EmulatedPico

LIMIT_ETU = 888
CHARACTER_ETU = 12
BETWEEN_ETU = 2 * (16 - CHARACTER_ETU)
ROUNDS = 9
RECORD = "55" * 32
COMMANDS = {
    "select": ("00A4040007F0F0F0F0F0F0F0", "9000"),
    "read_record": ("00B2010420", RECORD + "9000"),
    "verify": ("0020000008FFFFFFFFFFFFFFFF", "9000"),
}


class Rate(NamedTuple):
    """TA1, CLK in kHz and how many of the system's clocks make one of CLK."""

    ta1: int
    clock_khz: int
    system_clocks: int

    @property
    def etu(self) -> float:
        """In system clocks."""
        f, d = f_and_d(self.ta1)
        return f / d * self.system_clocks


RATES = {
    "11@4": Rate(0x11, 4000, 32),
    "13@4": Rate(0x13, 4000, 32),
    "95@4": Rate(0x95, 4000, 32),
    "96@4": Rate(0x96, 4000, 32),
    "97@5": Rate(0x97, 5000, 25),
}


@contextmanager
def _image(base: Path, clock_khz: int) -> Iterator[bytes]:
    """With the firmware built for this CLK."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_sources(folder, "firmware/limits.py", "CLOCK_KHZ = 4000", f"CLOCK_KHZ = {clock_khz}")
        make_image(base, folder / "reader.uf2", folder)
        yield (folder / "reader.uf2").read_bytes()


def measure(base: Path, names: list[str] | None = None) -> dict[str, Any]:
    """`ratios` and their ranges by rate; `beyond_line_us` is the rest of an APDU between the host's two bytes."""
    found: dict[str, Any] = {"ratios": {}, "ratios_range": {}, "beyond_line_us": {}, "limit_etu": LIMIT_ETU}
    for name in names or RATES:
        ratios, beyond = _rounds(base, RATES[name])
        figures = told("ratio", ratios)
        found["ratios"][name], found["ratios_range"][name] = figures["ratio"], figures["ratio_range"]
        found["beyond_line_us"][name] = round(statistics.median(beyond), 1)
    return found


def _rounds(base: Path, rate: Rate) -> tuple[list[float], list[float]]:
    """Of each round the ratio, and microseconds of an APDU that are not on the line."""
    with _image(base, rate.clock_khz) as image:
        pico = EmulatedPico(image)
    socket = pico.socket(pins, 0)
    socket.clocks = rate.system_clocks
    chip = ScriptedChip(_atr(rate.ta1), dict(COMMANDS.values()))
    card = socket.put(CardSide(chip, Faults(()), chip.command), rate.clock_khz)
    port = HostPort(pico)
    reader = SerialReader(f"emulated-{os.getpid()}", open_port=lambda _: port, monotonic=lambda: pico.seconds)
    pico.boot()
    while not reader.card_present():
        pico.run()
    connection = reader.connect()
    ratios, beyond = [], []
    for _ in range(ROUNDS):
        clocks = BETWEEN_ETU * rate.etu
        for apdu, answer in COMMANDS.values():
            socket.line.edges.clear()
            _ask(connection, apdu, answer)
            edges = leading_edges(socket.line.edges, round(rate.etu))
            on_line = edges[-1] - edges[0] + CHARACTER_ETU * rate.etu
            clocks += on_line
            beyond.append((port.answered - port.sent - on_line) / HZ * 1e6)
        ratios.append(clocks / (LIMIT_ETU * rate.etu))
    reader.close()
    assert card.refused == card.resent == 0
    return ratios, beyond


def _ask(connection: CardConnection, apdu: str, answer: str) -> None:
    found = connection.transmit(CommandApdu.from_bytes(bytes.fromhex(apdu))).to_bytes()
    assert found == bytes.fromhex(answer), found.hex()


def _atr(ta1: int) -> bytes:
    """T=0 with this TA1 and two historical bytes."""
    return bytes([0x3B, 0x12, ta1, 0x42, 0x53])


if __name__ == "__main__":
    print(measure(Path(sys.argv[1]), sys.argv[2:]))
