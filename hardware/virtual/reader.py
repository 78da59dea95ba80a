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

from hardware.firmware_files import BOOT_ON_BOARD

ROOT = Path(__file__).parents[2]
RESTART = 75
"""Exit code of firmware that wants to be started anew (`firmware.boot`)."""
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


def firmware_command(interpreter: str | None, files: Path | None = None) -> tuple[str, list[str]]:
    """The interpreter's name and the command that runs the firmware; `ReaderStartError` where it is missing.

    None takes MicroPython, or this CPython where no MicroPython is installed. `files` is the folder of the reader's
    own files; None runs those of this program.
    """
    found = find_micropython()
    if interpreter == MICROPYTHON and found is None:
        raise ReaderStartError("no micropython beside this Python or on the path")
    main = ["-m", "firmware.main"] if files is None else [str(files / BOOT_ON_BOARD)]
    if found is None or interpreter == CPYTHON:
        return CPYTHON, [sys.executable, "-B", *main]
    return MICROPYTHON, [found, *main]


def install_files(folder: Path, image: dict[str, bytes]) -> None:
    """What a board holds when it was flashed; what is there is replaced."""
    for path, data in image.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


class FarEnd(Protocol):
    """Of a line of the unix board: `hardware.virtual.slot.VirtualSlot`, `hardware.virtual.keypad.VirtualKeypad`."""

    address: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wait_connected(self, timeout_s: float) -> bool: ...


class ReaderProcess:
    """One reader: `path` is what a host opens. Whoever calls `keep_running` starts it anew where it asks for that."""

    def __init__(
        self,
        *slots: FarEnd,
        keypad: FarEnd | None = None,
        link: Path | None = None,
        interpreter: str | None = None,
        limits: Sequence[str] = (),
        files: Path | None = None,
    ) -> None:
        """`link` will point to the pty; `limits` are for the unix board, and so is `classes=AB`.

        `files` as `install_files` left them. `ReaderStartError` as `firmware_command`.
        """
        self._ends = slots if keypad is None else (*slots, keypad)
        keypads = () if keypad is None else (f"keypad={keypad.address}",)
        self._arguments = [*(slot.address for slot in slots), *keypads, *limits]
        self._link, self._files = link, files
        self.interpreter, self._command = firmware_command(interpreter, files)
        self._master: int | None = None
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
            if self._link is not None:
                make_link(self._link, self.path)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int | None:
        """Process id of the firmware."""
        return None if self._process is None else self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def keep_running(self) -> bool:
        """As `running`, after a restart that the firmware asked for."""
        if self._process is None or self._process.poll() != RESTART:
            return self.running()
        self._run()
        return True

    def restart(self) -> None:
        """As when its power goes and comes back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._run()

    def stop(self) -> None:
        """End the firmware, take the link away, close the lines; harmless when stopped."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._link is not None:
            remove_link(self._link, self.path)
        for descriptor in (self._master, self._slave):
            if descriptor is not None:
                os.close(descriptor)
        self._master = self._slave = None
        for end in self._ends:
            end.stop()

    def _start_firmware(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        try:
            self._run()
        finally:
            if self._files is None:  # it never comes back: who has the port open is to notice
                os.close(self._master)
                self._master = None

    def _run(self) -> None:
        ours = {"MICROPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)} if self._files is None else {}
        others = {name: value for name, value in os.environ.items() if name not in {"MICROPYPATH", "PYTHONPATH"}}
        self._process = subprocess.Popen(
            [*self._command, *self._arguments],
            stdin=self._master,
            stdout=self._master,
            cwd=self._files or ROOT,
            env=others | ours,
            start_new_session=True,
        )


def make_link(link: Path, target: str) -> None:
    """Point to a pty; `ReaderStartError` where something else is there."""
    if link.exists() and not link.is_symlink():
        raise ReaderStartError(f"{link} is there and is no link")
    new = link.with_name(f".{link.name}.{os.getpid()}")
    new.symlink_to(target)
    new.replace(link)


def remove_link(link: Path, target: str) -> None:
    """Unless it points elsewhere by now."""
    if link.is_symlink() and link.readlink() == Path(target):
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
