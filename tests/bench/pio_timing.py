"""What the characters program does when, in etu or in cycles of 32 to an etu: exact, on rp2040py's PIO block."""

from typing import Any

from firmware.boards.pico import characters
from protocols.iso7816.pps import f_and_d
from tests.firmware.pio.board_files import programs
from tests.firmware.pio.lines import ETU, Reader, bits, drive, leading_edges

RATES = {"11@4": (0x11, 32), "13@4": (0x13, 32), "95@4": (0x95, 32), "96@4": (0x96, 32), "97@5": (0x97, 25)}
"""TA1 @ MHz: Fi and Di, and system clocks to one on CLK: 128 MHz for 4 MHz, 125 MHz for 5 MHz."""
CHARACTER = 0xA4
START = 4 * ETU
REFUSED_AT, REFUSED_UNTIL = 10.5, 11.5
"""etu after the leading edge: the card's error signal (`reader.md B.2`)."""


def measure() -> dict[str, Any]:
    """`…_etu`, `…_cycles` and parts per million."""
    falls, rises = _error_signal()
    return {
        "instructions": len(programs.CHARACTERS.words),
        "received_after_cycles": _received_after(),
        "sent_every_etu": _sent_every(),
        "error_signal_from_etu": falls,
        "error_signal_etu": rises - falls,
        "turnaround_etu": _turnaround(),
        "refused_and_sent_again_after_etu": _sent_again(),
        "etu_error_ppm": {rate: _etu_error(*speed) for rate, speed in RATES.items()},
    }


def _received_after() -> int:
    """From the leading edge of a good character to its word in the FIFO."""
    reader = Reader()
    drive(reader.chip, reader.line, START, bits(CHARACTER))
    reader.chip.run_until(START + 20 * ETU, lambda: bool(reader.machine.received))
    return reader.chip.now - START


def _sent_every() -> float:
    reader = Reader()
    reader.send(CHARACTER, CHARACTER)
    reader.chip.run(30 * ETU)
    first, second = leading_edges(reader.line.edges)
    return (second - first) / ETU


def _error_signal() -> tuple[float, float]:
    """Where it falls and rises after the leading edge of a character with wrong parity."""
    reader = Reader()
    drive(reader.chip, reader.line, START, bits(CHARACTER, damaged=True))
    reader.chip.run_until(START + 20 * ETU)
    falls, rises = (edge.at for edge in reader.line.edges[-2:])
    return (falls - START) / ETU, (rises - START) / ETU


def _turnaround() -> float:
    """Between the leading edges of a received character and of one that waited to be sent."""
    reader = Reader()
    drive(reader.chip, reader.line, START, bits(CHARACTER))
    reader.chip.run_until(START + ETU)
    reader.send(CHARACTER)
    reader.chip.run(40 * ETU)
    return (leading_edges(reader.line.edges)[1] - START) / ETU


def _sent_again() -> float:
    """Between the leading edges of a character that the card refuses and of its repetition."""
    reader = Reader()
    reader.send(CHARACTER)
    reader.chip.run(ETU)
    start = reader.line.edges[0].at
    reader.chip.at(start + round(REFUSED_AT * ETU), lambda: reader.line.pull(True))
    reader.chip.at(start + round(REFUSED_UNTIL * ETU), lambda: reader.line.pull(False))
    reader.chip.run(40 * ETU)
    return (leading_edges(reader.line.edges)[1] - start) / ETU


def _etu_error(fi_di: int, system_clocks: int) -> float:
    """How much longer than F/D clocks an etu is."""
    f, d = f_and_d(fi_di)
    etu = characters.divider(fi_di, system_clocks) / (1 << 16) * characters.CYCLES_PER_ETU / system_clocks
    return round((etu / (f / d) - 1) * 1e6, 1)
