"""What a check is, and how it ends: passed, failed with a finding, or skipped for want of an ability."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from protocols.iso7816.apdu import CommandApdu, ResponseApdu

Outcome = Literal["passed", "failed", "skipped"]

DESTRUCTIVE = "--destructive"
"""The tester's right to write to the card, to lock its PIN and to block it."""

_NAMES = {
    0x16: "CARD BLOCK",
    0x1E: "APPLICATION BLOCK",
    0x20: "VERIFY",
    0x24: "PIN CHANGE/UNBLOCK",
    0x5E: "CHANGE PIN",
    0x82: "EXTERNAL AUTHENTICATION",
    0x84: "GET CHALLENGE",
    0x88: "INTERNAL AUTHENTICATION",
    0xA4: "SELECT",
    0xB0: "READ BINARY",
    0xB2: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xD6: "UPDATE BINARY",
    0xDC: "UPDATE RECORD",
}


class Suite(NamedTuple):
    """What is checked, in both languages; its groups in the order in which they run; the sheet with its facts."""

    name: str
    zh: str
    en: str
    groups: Mapping[str, tuple[str, str]]
    sheet: str


class Finding(NamedTuple):
    """Where it was not as expected; holds headers, lengths and status words, no data of a card."""

    step: str
    expected: str
    answered: str


class Reason(NamedTuple):
    """Why a check was skipped, in both languages; `missing` is the right or ability that is lacking, if that is it."""

    zh: str
    en: str
    missing: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it says no more than the name of what is missing."""
        return bool(self.missing) and self.en == f"missing {self.missing}"


class Unexpected(Exception):
    """It did not do what the check expects."""

    def __init__(self, step: str, expected: str, answered: str) -> None:
        self.finding = Finding(step, expected, answered)
        super().__init__(f"{step}: {answered} instead of {expected}")


class Unable(Exception):
    """Card, reader or tester lack what the check needs."""

    def __init__(self, zh: str, en: str, missing: str = "") -> None:
        self.reason = Reason(zh, en, missing)
        super().__init__(en)


class Lacking(Unable):
    """The tester lacks a right: PIN, a key name, or a rule over them."""

    def __init__(self, right: str) -> None:
        super().__init__(f"缺少 {right}", f"missing {right}", right)


class Case(NamedTuple):
    """One check. `fact` is where it is told, `needs` are rules over the tester's rights: PIN, key names, DESTRUCTIVE.

    `check` gets what its suite checks; it returns what it measured, if anything, and raises `Unexpected` or `Unable`.
    """

    id: str
    zh: str
    en: str
    fact: str
    check: Callable[..., str | None]
    needs: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]


class Result(NamedTuple):
    """How one case ended; `finding` where it failed, `reason` where it was skipped, `measured` in words."""

    case: Case
    outcome: Outcome
    seconds: float
    finding: Finding | None = None
    reason: Reason | None = None
    measured: str = ""


def step_name(command: CommandApdu) -> str:
    """A command without its data: `READ RECORD 00B2010412`."""
    header = command.to_tpdu()[:5].hex().upper()
    return f"{_NAMES.get(command.ins, '')} {header}".lstrip()


def answer_name(answer: ResponseApdu) -> str:
    """A status word and how much came with it: `9000 + 18`."""
    return f"{answer.sw:04X}" + (f" + {len(answer.data)}" if answer.data else "")


def status_names(sws: tuple[int, ...]) -> str:
    """Status words to choose from: `6700 / 6A86`."""
    return " / ".join(f"{sw:04X}" for sw in sws)
