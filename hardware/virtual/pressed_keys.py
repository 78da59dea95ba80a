"""Keys that somebody presses on a simulated PIN pad, by name: the ten digits and those below."""

import contextlib
from collections.abc import Callable
from pathlib import Path

OK, CLEAR, CANCEL = "ok", "clear", "cancel"

Keys = Callable[[], str | None]
"""The next key, None while none is pressed; returns at once."""


class FileKeys:
    """Keys from a file that somebody writes: digits with `ok` after each line, or `clear` or `cancel`; taken once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[str] = []

    def __call__(self) -> str | None:
        if not self._waiting:
            with contextlib.suppress(OSError):
                lines = self._path.read_text(encoding="ascii", errors="replace").splitlines()
                self._path.unlink()
                self._waiting = [key for line in lines for key in _keys_of(line.strip())]
        return self._waiting.pop(0) if self._waiting else None


def _keys_of(line: str) -> list[str]:
    if line in (CLEAR, CANCEL):
        return [line]
    return [*(key for key in line if key.isdecimal() and key.isascii()), OK]
