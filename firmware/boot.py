"""Starts the firmware of one of two file slots: `a/` and `b/`, beside this file, which lies there as `main.py`.

It is the one file that no update touches. The file `arguments`, where there is one, holds those of the firmware.
The file `state` says what to start: confirmed slot, slot on trial or `-`, starts the trial has left, starts in all,
why this start, and what would be the reason of the next one.
"""

import os
import sys
import time

if __name__ == "__main__":
    # Every frame of a host begins with Ctrl-C, and one that asks while the firmware starts must not end it.
    try:
        from micropython import kbd_intr  # type: ignore[import-not-found]

        kbd_intr(-1)
    except ImportError:
        pass

ARGUMENTS = "arguments"
STATE = "state"
NEW_STATE = "state.new"
NO_SLOT = "-"
SLOTS = ("a", "b")
RESTART = 75  # exit code, where there is an operating system
PAUSE_S = 1  # before the start after a failure

# Reasons of a start; any other is the name of the exception that ended the firmware
POWER, WATCHDOG, ASKED, UPDATED, REVERTED = "power", "watchdog", "restart", "update", "reverted"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any


class State:
    """What the file says; the first start ever has none."""

    def __init__(  # noqa: PLR0917
        self,
        confirmed: str = "a",
        trial: str = NO_SLOT,
        starts_left: int = 0,
        starts: int = 0,
        reason: str = POWER,
        next_reason: str = POWER,
    ) -> None:
        self.confirmed = confirmed
        self.trial = trial
        self.starts_left = starts_left
        self.starts = starts
        self.reason = reason
        self.next_reason = next_reason

    @property
    def running(self) -> str:
        return self.confirmed if self.trial == NO_SLOT else self.trial

    def to_text(self) -> str:
        return "%s %s %d %d %s %s\n" % (
            self.confirmed,
            self.trial,
            self.starts_left,
            self.starts,
            self.reason,
            self.next_reason,
        )

    @classmethod
    def from_text(cls, text: str) -> "State":
        """`ValueError` where it makes no sense."""
        confirmed, trial, starts_left, starts, reason, next_reason = text.split()
        if confirmed not in SLOTS or (trial not in SLOTS and trial != NO_SLOT):
            raise ValueError("no such slot")
        return cls(confirmed, trial, int(starts_left), int(starts), reason, next_reason)


def load(open_file: "Callable[[str, str], IO[Any]]", root: str) -> State:
    """The first start's where there is none."""
    try:
        with open_file(root + STATE, "r") as file:
            return State.from_text(file.read())
    except (OSError, ValueError):
        return State()


def store(
    open_file: "Callable[[str, str], IO[Any]]", rename: "Callable[[str, str], None]", root: str, state: State
) -> None:
    """The old or the new one is there at any moment; `OSError`."""
    with open_file(root + NEW_STATE, "w") as file:
        file.write(state.to_text())
    rename(root + NEW_STATE, root + STATE)


def begin(
    open_file: "Callable[[str, str], IO[Any]]",
    rename: "Callable[[str, str], None]",
    root: str,
    cause: str = POWER,
) -> str:
    """Count this start; the slot to run. A trial without starts left is over; one that cannot be counted is none.

    `cause` is what the chip says of a start that no firmware announced.
    """
    state = load(open_file, root)
    state.starts += 1
    state.reason = cause if state.next_reason == POWER else state.next_reason
    state.next_reason = POWER
    if state.trial != NO_SLOT:
        if state.starts_left:
            state.starts_left -= 1
        else:
            state.trial, state.reason = NO_SLOT, REVERTED
    try:
        store(open_file, rename, root, state)
    except OSError:
        return state.confirmed
    return state.running


def told(root: str) -> "list[str]":
    """What the firmware is told where no command line does."""
    try:
        with open(root + ARGUMENTS) as file:
            return file.read().split()
    except OSError:
        return []


def _cause() -> str:
    try:
        from machine import WDT_RESET, reset_cause  # type: ignore[import-not-found]
    except ImportError:
        return POWER
    return WATCHDOG if reset_cause() == WDT_RESET else POWER


def _note_failure(root: str, name: str) -> None:
    """For the next start; where that cannot be written, it starts all the same."""
    sys.stderr.write("the firmware ended: " + name + "\n")
    state = load(open, root)
    state.next_reason = name
    try:
        store(open, os.rename, root, state)
    except OSError:
        pass


def run(arguments: "list[str]", root: str) -> None:
    """Until the firmware wants to be started anew, or fails."""
    sys.path.insert(0, root + begin(open, os.rename, root, _cause()))
    try:
        from firmware.main import main

        main(arguments, root)
    except Exception as error:
        _note_failure(root, type(error).__name__)
        time.sleep(PAUSE_S)
    try:
        from machine import reset
    except ImportError:
        sys.exit(RESTART)
    reset()


if __name__ == "__main__":
    name = globals().get("__file__", os.getcwd() + "/")  # none where a board runs it from the root of its flash
    where = name[: name.rfind("/") + 1].replace("//", "/")
    run(sys.argv[1:] or told(where), where)
