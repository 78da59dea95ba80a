"""What moves the card: a virtual reader's folder, or a person."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

STAYS_S, STAYS_FOR_PCSCD_S = 0.15, 0.6
"""A card is in or out for so long at least: a virtual slot looks every 25 ms, pcscd every 400 (reader.md A.6)."""
PERSON_S = 60.0
FOLDER_S = 5.0


class Hand(Protocol):
    """Puts the card in and takes it out; harmless where it is so already. `patience_s`: how long a move may take."""

    patience_s: float

    def insert(self) -> None: ...

    def remove(self) -> None: ...

    def remove_after(self, seconds: float) -> None:
        """Returns at once; the card leaves about then."""
        ...

    def stay(self) -> None:
        """Leave the card in or out until every slot has seen it."""
        ...


class HandError(Exception):
    """Not exactly one card in the folder, or nobody there; the text says which."""


class FolderHand:
    """The card is the one file of a virtual reader's folder; out of the slot it has a name with a dot."""

    def __init__(
        self,
        folder: Path,
        stays_s: float = STAYS_S,
        patience_s: float = FOLDER_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`HandError`."""
        self.patience_s = patience_s
        self._stays_s = stays_s
        found = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
        if len(found) != 1:
            raise HandError(f"{folder}: {len(found)} files, not one card")
        self._in, self._out = found[0], found[0].with_name(f".{found[0].name}")
        self._sleep = sleep
        self._timer: threading.Timer | None = None

    def insert(self) -> None:
        self._wait()
        if self._out.exists():
            self._out.replace(self._in)

    def remove(self) -> None:
        self._wait()
        self._take_out()

    def remove_after(self, seconds: float) -> None:
        self._wait()
        self._timer = threading.Timer(seconds, self._take_out)
        self._timer.start()

    def stay(self) -> None:
        self._sleep(self._stays_s)

    def _take_out(self) -> None:
        if self._in.exists():
            self._in.replace(self._out)

    def _wait(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.join()


class PersonHand:
    """Somebody who is asked on the terminal."""

    patience_s = PERSON_S

    def __init__(self, say: Callable[[str], None], confirm: Callable[[str], None]) -> None:
        """`confirm` returns when the person has done what it says; `HandError` where nobody does."""
        self._say, self._confirm = say, confirm

    def insert(self) -> None:
        self._confirm("请插入卡，然后按回车 · Put the card in, then press Enter")

    def remove(self) -> None:
        self._confirm("请取出卡，然后按回车 · Take the card out, then press Enter")

    def stay(self) -> None:
        """By the time Enter is pressed it was."""

    def remove_after(self, seconds: float) -> None:  # noqa: ARG002 - people move when they move
        self._say("现在随时把卡拔出 · Now pull the card out, at any moment")
