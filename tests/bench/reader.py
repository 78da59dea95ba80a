"""The reader measured: `python -m tests.bench.reader [--json]`.

Ends with 3 where `SSC_UF2` names no MicroPython UF2: the ratios to the line-rate limit of `reader.md E.1` are measured
on the emulated chip alone. Nothing stands in their place.

- `ratios`, with that UF2: by TA1 @ MHz; `tests/bench/line_rate.py`, also `beyond_line_us`.
- `firmware`: one APDU of `reader.md E.1` through the firmware between two lines in memory. `us` under the unix port of
  MicroPython, `allocated` bytes there; `cpython_bytecodes` and `cpython_lines` of the same files under CPython, because
  the unix port cannot be asked for its steps.
- `host`: one APDU of a virtual card through our driver (`serial`) and through pyscard, pcscd and libccidtwin (`pcsc`),
  and what each takes beyond the same bytes written to and read from the pty (`raw`), by turns.
- `recovery`: from the error that a damaged character makes to the next answer: power on, SELECT, READ RECORD. One that
  is refused and sent again costs what `pio` says, and no error.
- `pio`: what the state machine does when, exact; `tests/bench/pio_timing.py`.

Each figure is the median of its rounds, `…_range` the least and the greatest; a round is the median of its APDUs, the
mean of the three commands. `us` and `ms` say the unit. The cards are simulated and take no time; nothing here is a time
of the RP2040's processor.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.processes import Process, wait_until
from hardware.virtual.reader import find_micropython
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardConnection, CardMute
from host_bridge.readers.serial import SerialReader
from protocols.ccid.messages import ICC_POWER_ON, SET_PARAMETERS, XFR_BLOCK, Command
from protocols.ccid.serial_frame import MESSAGE, FrameParser, frame
from protocols.iso7816.apdu import CommandApdu
from tests.bench import line_rate, pio_timing
from tests.bench.figures import told
from tests.pcscd import Pcscd, card_present, missing_parts, use_own_socket

ROOT = Path(__file__).parents[2]
STEPS = Path(__file__).with_name("firmware_steps.py")
ROUNDS = 9
APDUS = 30
FIRMWARE_APDUS = 300
NO_RATIOS = 3
BASE = "SSC_UF2"
WITHOUT_RATIOS = (
    f"没有测量比率：只能在模拟芯片上测量，需要 {BASE} 指明 MicroPython 固件 · "
    f"no ratios: they are measured only with the firmware on the emulated chip, which needs a MicroPython UF2 in {BASE}"
)
TRIO = (
    CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF")),
    CommandApdu.from_bytes(bytes.fromhex("00B2032C06")),
    CommandApdu(0x00, 0x20, 0x00, 0x00),
)
PARAMETERS = bytes.fromhex("11000A0000")
DAMAGED = '[[fault]]\nphase = "command"\ndoes = "damage"\nat = 4\ntimes = 1\nspared = {spared}\n'
PROFILE = "GemPCTwin"

Figures = dict[str, Any]
Spend = Callable[[], float]


def measure_firmware(count: int) -> Figures:
    """By command; without MicroPython only what CPython tells."""
    found: Figures = {}
    interpreters = {"cpython": sys.executable, "micropython": find_micropython()}
    for interpreter, program in interpreters.items():
        if program is None:
            continue
        environment = {**os.environ, "MICROPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
        done = subprocess.run([program, STEPS, str(count)], capture_output=True, check=True, env=environment)
        for name, facts in json.loads(done.stdout).items():
            command = found.setdefault(name, {})
            spent = facts.pop("us")
            if interpreter == "micropython":
                command |= facts | told("us", [statistics.median(spent[part::ROUNDS]) for part in range(ROUNDS)])
            else:
                command |= {f"cpython_{key}": value for key, value in facts.items()}
    return found


def median_of_trio(ask: Callable[[int], object]) -> float:
    """Seconds per APDU: of each command the median, of the three the mean; `ask` does the n-th of the trio."""
    spent: list[list[float]] = [[] for _ in TRIO]
    for _ in range(APDUS):
        for number, times in enumerate(spent):
            began = time.perf_counter()
            ask(number)
            times.append(time.perf_counter() - began)
    return statistics.fmean(map(statistics.median, spent))


class RawPty:
    """The same bytes as our driver's, without it: frames made before, and reads until as many bytes came."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self._sequence = 0
        self._ask(Command(ICC_POWER_ON, 0, 0))
        self._ask(Command(SET_PARAMETERS, 0, 1, PARAMETERS, bytes(3)))
        self._sizes = [len(self._ask(self._command(apdu))) for apdu in TRIO]

    def close(self) -> None:
        os.close(self._fd)

    def spend(self) -> float:
        """Seconds per APDU of one round."""
        frames = iter([frame(self._command(apdu).to_bytes()) for _ in range(APDUS) for apdu in TRIO])

        def ask(number: int) -> None:
            os.write(self._fd, next(frames))
            left = self._sizes[number]
            while left:
                left -= len(os.read(self._fd, left))

        return median_of_trio(ask)

    def _command(self, apdu: CommandApdu) -> Command:
        self._sequence = (self._sequence + 1) & 0xFF
        return Command(XFR_BLOCK, 0, self._sequence, apdu.to_tpdu())

    def _ask(self, command: Command) -> bytes:
        """Echo and answer, as they came."""
        os.write(self._fd, frame(command.to_bytes()))
        parser, came, messages = FrameParser(from_reader=True), b"", 0
        while messages < 2:
            data = os.read(self._fd, 1024)
            came += data
            messages += sum(kind == MESSAGE for kind, _ in parser.feed(data))
        return came


def spend_with(connection: CardConnection) -> float:
    """Seconds per APDU of one round."""
    return median_of_trio(lambda number: connection.transmit(TRIO[number]))


@contextmanager
def virtual_reader(folder: Path, name: str, *options: str) -> Iterator[Path]:
    """Our firmware in a process of its own, with a card; its pty."""
    slot = folder / name
    slot.mkdir()
    make_card(load_person(DEFAULT_PERSON), slot / "bench.card")
    command = [sys.executable, "-m", "ssc", "virtual", "reader", "run", "--slot", str(slot), *options]
    process = Process(name, command, folder / f"{name}.log")
    try:
        yield Path(process.facts["path"])
    finally:
        process.stop()


def measure_host(folder: Path) -> Figures:
    """The paths of one APDU by turns; `without` says what the machine lacks for pcscd."""
    with ExitStack() as stack:
        raw = stack.enter_context(closing(RawPty(stack.enter_context(virtual_reader(folder, "raw")))))
        serial = open_reader(f"serial:{stack.enter_context(virtual_reader(folder, 'serial'))}")
        stack.callback(serial.close)
        paths: dict[str, Spend] = {"raw": raw.spend, "serial": partial(spend_with, serial.connect())}
        missing = missing_parts()
        if not missing:
            use_own_socket()
            pcscd = stack.enter_context(Pcscd(folder))
            name = pcscd.start_serial(stack.enter_context(virtual_reader(folder, "pcsc")), PROFILE)
            wait_until("the card", lambda: card_present(name))
            pcsc = open_reader(f"pcsc:{name}")
            stack.callback(pcsc.close)
            paths["pcsc"] = partial(spend_with, pcsc.connect())
        for spend in paths.values():
            spend()
        rounds = [{name: spend() * 1000 for name, spend in paths.items()} for _ in range(ROUNDS)]
    found: Figures = {"without": missing}
    for path in paths:
        found |= told(f"{path}_ms", [each[path] for each in rounds])
        if path != "raw":
            found |= told(f"{path}_beyond_raw_ms", [each[path] - each["raw"] for each in rounds])
    return found


def measure_recovery(folder: Path) -> Figures:
    """One command in four has a damaged character: SELECT, READ RECORD, and both again once it failed."""
    script = folder / "damaged.toml"
    script.write_text("".join(DAMAGED.format(spared=4 * number + 1) for number in range(ROUNDS)))
    select, read, _ = TRIO
    spent = []
    with (
        virtual_reader(folder, "recovery", "--faults", str(script)) as path,
        closing(SerialReader(str(path))) as reader,
    ):
        for _ in range(ROUNDS):
            connection = reader.connect()
            connection.transmit(select)
            try:
                connection.transmit(read)
            except CardMute:
                began = time.perf_counter()
            else:
                raise AssertionError("a damaged character was taken for a good one")
            connection = reader.connect()
            connection.transmit(select)
            connection.transmit(read)
            spent.append((time.perf_counter() - began) * 1000)
    return told("host_ms", spent)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was measured, and on standard error what was not."""
    base = os.environ.get(BASE)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="输出 JSON · print JSON")
    as_json = parser.parse_args(arguments).json
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "firmware": measure_firmware(FIRMWARE_APDUS),
            "host": measure_host(folder),
            "recovery": measure_recovery(folder),
            "pio": pio_timing.measure(),
        }
    if base:
        found |= line_rate.measure(Path(base))
    print(json.dumps(found, indent=None if as_json else 2))
    if base:
        return 0
    print(WITHOUT_RATIOS, file=sys.stderr)
    return NO_RATIOS


if __name__ == "__main__":
    sys.exit(main())
