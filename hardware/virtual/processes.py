"""The processes of a simulated site: started through the commands a real site would use, stopped by process id."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

SSC = str(Path(sys.executable).with_name("ssc"))
STARTS_WITHIN_S = 30.0
STOPS_WITHIN_S = 10.0

Met = TypeVar("Met")


class SiteError(Exception):
    """A part of the simulated site did not do what it should; the text names the part and its log."""


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(what: str, condition: Callable[[], Met | None], within_s: float = STARTS_WITHIN_S) -> Met:
    """Poll until `condition` gives something true; `SiteError` naming `what` when it does not in time."""
    deadline = time.monotonic() + within_s
    while True:
        met = condition()
        if met:
            return met
        if time.monotonic() > deadline:
            raise SiteError(f"waited {within_s:.0f} s for {what}")
        time.sleep(0.02)


def ask(*arguments: str) -> Any:
    """Run one `ssc` command that answers with JSON and return its last object."""
    done = subprocess.run([SSC, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteError(f"ssc {' '.join(arguments[:3])} ended with {done.returncode}: {done.stdout}{done.stderr}")
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else None


class Process:
    """One running part. Its errors go to `log`; with `ready`, the first line it prints must be a JSON object."""

    def __init__(self, name: str, command: list[str], log: Path, *, ready: bool = True) -> None:
        self.name, self.log = name, log
        self.facts: dict[str, Any] = {}
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if ready else errors,
                stderr=errors,
                start_new_session=True,
            )
        if ready:
            self.facts = self._first_line()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Signal the part and its children, and wait; what does not stop is killed."""
        if self.running():
            self._signal(how)
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _signal(self, how: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, how)
        except ProcessLookupError:
            return

    def _first_line(self) -> dict[str, Any]:
        output = self._process.stdout
        assert output is not None  # noqa: S101 - asked for above
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            line = output.readline() if selector.select(STARTS_WITHIN_S) else b""
        try:
            facts: dict[str, Any] = json.loads(line)
        except ValueError:
            self.stop(signal.SIGKILL)
            raise SiteError(f"{self.name} did not start: {line!r} {self.log.read_text()[-2000:]}") from None
        return facts
