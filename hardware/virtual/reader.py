"""A reader without hardware: the firmware's own files in an interpreter behind a pty, with virtual slots."""

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import time
import tty
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[2]
MICROPYTHON = "micropython"
CPYTHON = "cpython"
LOOK_EVERY_S = 0.05
STARTS_WITHIN_S = 15.0
STOPS_WITHIN_S = 5.0


class ReaderStartError(Exception):
    """The virtual reader cannot run; the text says what is missing."""


def find_micropython() -> str | None:
    """The interpreter beside this one, else on the path."""
    return shutil.which(MICROPYTHON, path=str(Path(sys.executable).parent)) or shutil.which(MICROPYTHON)


def firmware_command(interpreter: str | None) -> tuple[str, list[str]]:
    """The interpreter's name and the command that runs the firmware; `ReaderStartError` where it is missing.

    None takes MicroPython, or this CPython where no MicroPython is installed.
    """
    found = find_micropython()
    if interpreter == MICROPYTHON and found is None:
        raise ReaderStartError("no micropython beside this Python or on the path")
    if found is None or interpreter == CPYTHON:
        return CPYTHON, [sys.executable, "-m", "firmware.main"]
    return MICROPYTHON, [found, "-m", "firmware.main"]


class FarEnd(Protocol):
    """Of a line of the unix board: `hardware.virtual.slot.VirtualSlot`, `hardware.virtual.keypad.VirtualKeypad`."""

    address: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wait_connected(self, timeout_s: float) -> bool: ...


class ReaderProcess:
    """One reader: `path` is what a host opens. It never restarts by itself."""

    def __init__(
        self,
        *slots: FarEnd,
        keypad: FarEnd | None = None,
        link: Path | None = None,
        interpreter: str | None = None,
        limits: Sequence[str] = (),
    ) -> None:
        """`link` will point to the pty; `limits` are for the unix board, and so is `classes=AB`.

        `ReaderStartError` as `firmware_command`.
        """
        self._ends = slots if keypad is None else (*slots, keypad)
        keypads = () if keypad is None else (f"keypad={keypad.address}",)
        self._arguments = [*(slot.address for slot in slots), *keypads, *limits]
        self._link = link
        self.interpreter, self._command = firmware_command(interpreter)
        self._slave: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.path = ""

    def start(self) -> None:
        """Returns when the firmware has found its slots and keys; `ReaderStartError` otherwise."""
        for end in self._ends:
            end.start()
        try:
            self._start_firmware()
            deadline = time.monotonic() + STARTS_WITHIN_S
            while not all(end.wait_connected(LOOK_EVERY_S) for end in self._ends):
                if not self.running() or time.monotonic() > deadline:
                    raise ReaderStartError("the firmware did not start")
            self._make_link()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int | None:
        """Process id of the firmware."""
        return None if self._process is None else self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the firmware, take the link away, close the lines; harmless when stopped."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._remove_link()
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None
        for end in self._ends:
            end.stop()

    def _start_firmware(self) -> None:
        master, self._slave = pty.openpty()
        try:
            tty.setraw(self._slave)
            self.path = os.ttyname(self._slave)
            self._process = subprocess.Popen(
                [*self._command, *self._arguments],
                stdin=master,
                stdout=master,
                cwd=ROOT,
                env={**os.environ, "MICROPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        finally:
            os.close(master)

    def _make_link(self) -> None:
        if self._link is None:
            return
        if self._link.exists() and not self._link.is_symlink():
            raise ReaderStartError(f"{self._link} is there and is no link")
        new = self._link.with_name(f".{self._link.name}.{os.getpid()}")
        new.symlink_to(self.path)
        new.replace(self._link)

    def _remove_link(self) -> None:
        if self._link is not None and self._link.is_symlink() and self._link.readlink() == Path(self.path):
            with contextlib.suppress(FileNotFoundError):
                self._link.unlink()
