"""How long a simulated site needs after kill -9 of a part: `python -m tests.bench.recovery [--times 5]`.

Real processes: reader firmware, terminal, mosquitto, server, started through `ssc`. Seconds from the kill, the part
started again at once: `recover_terminal_s` to the first bill that the new terminal has journalled, its card read anew;
`recover_server_s` and `recover_broker_s` to the first receipt. Median, and beside it the least and the greatest.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from hardware.virtual.morning import load_morning
from hardware.virtual.site import Site
from tests.bench.figures import told

ROOT = Path(__file__).parents[2]
ROOMS = ("protocols", "hardware", "host_bridge", "server")
BILL = {"med_type": "11", "lines": [{"code": "F3004", "cnt": "1"}]}
CARD = "spare"
STEADY_S = 11.0
"""A connection that held ten seconds counts as one that worked (`host_bridge/link/backoff.py`)."""


class Recovered(NamedTuple):
    """Seconds on the wall, and of the processor that the new process had by then: its own part of them."""

    seconds: float
    cpu: float | None = None


class Bench:
    """One counter with its centre; every measurement ends as it began, all uploaded and the card out."""

    def __init__(self, folder: Path) -> None:
        self._site = Site(folder, load_morning().counter[:1])
        (self._counter,) = self._site.counters.values()

    def start(self) -> None:
        self._site.start()

    def stop(self) -> None:
        self._site.stop()

    def terminal(self) -> Recovered:
        """The card stays in; the new process reads it, takes the bill and settles."""
        self._insert()
        began = time.monotonic()
        self._counter.processes["terminal"].stop(signal.SIGKILL)
        self._counter.start_terminal()
        self._wait("the card to be read", lambda state: state["stage"] == "bill")
        self._settle()
        spent = Recovered(time.monotonic() - began, cpu_s(self._counter.processes["terminal"].pid))
        self._end()
        return spent

    def server(self) -> Recovered:
        """A bill is settled while the server is away."""
        self._insert()
        centre = self._site.centre
        assert centre is not None
        began = time.monotonic()
        centre.stop(signal.SIGKILL)
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(self._site.start_centre)
            self._settle()
            self._receipted()
            seconds = time.monotonic() - began
            starting.result()
        assert self._site.centre is not None
        spent = Recovered(seconds, cpu_s(self._site.centre.pid))
        self._end()
        return spent

    def broker(self) -> Recovered:
        """A bill is settled while the broker is away; the one that comes back knows nothing."""
        self._insert()
        time.sleep(STEADY_S)
        began = time.monotonic()
        os.kill(int((self._site.broker_folder / "broker.pid").read_text()), signal.SIGKILL)
        self._site.stop_broker()
        self._site.start_broker()
        self._settle()
        self._receipted()
        spent = Recovered(time.monotonic() - began)
        self._end()
        return spent

    def _insert(self) -> None:
        self._wait("an idle counter", lambda state: state["stage"] == "idle")
        self._wait("the centre", lambda state: state["centre"]["state"] == "ready")
        self._site.insert(self._counter.terminal, CARD)
        self._wait("the card to be read", lambda state: state["stage"] == "bill")

    def _settle(self) -> None:
        self._counter.post("bill", BILL)
        state = self._counter.post("settle", {})
        if state["stage"] != "done":
            raise RuntimeError(f"not settled: {state['stage']}")

    def _receipted(self) -> None:
        self._wait("the receipt", lambda state: state["upload"]["backlog"] == 0)

    def _end(self) -> None:
        self._receipted()
        self._site.remove(self._counter.terminal, CARD)

    def _wait(self, what: str, condition: Callable[[dict[str, Any]], bool]) -> None:
        self._counter.wait(what, condition, 60)


def cpu_s(pid: int) -> float:
    """Processor seconds of a process, user and system (proc(5), stat 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compile_rooms() -> None:
    """As `.ci/setup` does: where Python may not write bytecode, every start would compile the product anew."""
    command = [sys.executable, "-m", "compileall", "-q", *ROOMS]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""}, check=True)


def measure(times: int) -> dict[str, float | list[float]]:
    """All three, in turn."""
    compile_rooms()
    with tempfile.TemporaryDirectory(prefix="ssc-bench-") as folder:
        bench = Bench(Path(folder) / "site")
        parts = {"terminal": bench.terminal, "server": bench.server, "broker": bench.broker}
        recovered: dict[str, list[Recovered]] = {name: [] for name in parts}
        try:
            bench.start()
            for _ in range(times):
                for name, part in parts.items():
                    recovered[name].append(part())
        finally:
            bench.stop()
    found: dict[str, float | list[float]] = {}
    for name, each in recovered.items():
        found |= told(f"recover_{name}_s", [spent.seconds for spent in each])
        if cpu := [spent.cpu for spent in each if spent.cpu is not None]:
            found |= told(f"recover_{name}_cpu_s", cpu)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Seconds from kill -9 of a part until the site works again.")
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    print(json.dumps(measure(given.times) | {"cores": os.cpu_count(), "load_before": round(load, 2)}))


if __name__ == "__main__":
    main()
