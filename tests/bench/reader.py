"""Time per APDU through each driver, as JSON: `python -m tests.bench.reader [COUNT]`.

Milliseconds, median and 99th percentile; the card is simulated and takes none. SELECT, READ RECORD and VERIFY
empty are the trio of `reader.md E.1` without a PIN.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import CPYTHON, MICROPYTHON, ReaderProcess, find_micropython
from hardware.virtual.slot import VirtualSlot
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import Reader
from protocols.iso7816.apdu import CommandApdu
from tests.pcscd import READERS, CardInReader, Pcscd, card_present, missing_parts, use_own_socket

COUNT = 300
TRIO = {
    "select": CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF")),
    "read_record": CommandApdu.from_bytes(bytes.fromhex("00B2012C0C")),
    "verify_empty": CommandApdu(0x00, 0x20, 0x00, 0x00),
}


def measure(reader: Reader, count: int) -> dict[str, dict[str, float]]:
    """Per command of the trio: `median_ms`, `p99_ms`."""
    connection = reader.connect()
    spent: dict[str, list[float]] = {name: [] for name in TRIO}
    for _ in range(count):
        for name, command in TRIO.items():
            began = time.perf_counter()
            connection.transmit(command)
            spent[name].append((time.perf_counter() - began) * 1000)
    reader.close()
    return {
        name: {
            "median_ms": round(statistics.median(each), 3),
            "p99_ms": round(statistics.quantiles(each, n=100)[98], 3),
        }
        for name, each in spent.items()
    }


@contextmanager
def serial_reader(folder: Path, interpreter: str) -> Iterator[Reader]:
    process = ReaderProcess(VirtualSlot(folder), interpreter=interpreter)
    process.start()
    try:
        yield open_reader(f"serial:{process.path}")
    finally:
        process.stop()


@contextmanager
def pcsc_reader(folder: Path, card: Path) -> Iterator[Reader]:
    with Pcscd(folder) as pcscd:
        pcscd.start()
        with CardInReader(card, pcscd.ports[0]):
            wait_until("the card", card_present)
            yield open_reader(f"pcsc:{READERS[0]}")


def main(count: int) -> dict[str, object]:
    """All drivers that this machine can run."""
    interpreters = (MICROPYTHON, CPYTHON) if find_micropython() else (CPYTHON,)
    found: dict[str, object] = {"count": count}
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder, "bench.card")
        make_card(load_person(DEFAULT_PERSON), card)
        found["virtual"] = measure(open_reader(f"virtual:{card}"), count)
        for interpreter in interpreters:
            with serial_reader(Path(folder), interpreter) as reader:
                found[f"serial_{interpreter}"] = measure(reader, count)
        if not missing_parts():
            use_own_socket()
            with pcsc_reader(Path(folder), card) as reader:
                found["pcsc"] = measure(reader, count)
    return found


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT), indent=2))
