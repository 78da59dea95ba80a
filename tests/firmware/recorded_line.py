"""A contact line within the test, with a clock of its own: what the slot does to it is recorded in order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from firmware.contact_line import CharacterDamaged, ContactLine
from firmware.limits import CLOCK_KHZ
from protocols.iso7816.atr import EVERY_CLASS
from protocols.iso7816.line import RUNNING


class Pause(NamedTuple):
    """Nothing for so many milliseconds."""

    ms: int


Heard = Sequence[int | Pause | None]
"""Characters of the card; None is a damaged one."""


class RecordedLine(ContactLine):
    """A card that answers to reset as `atrs` says for its class or reset by reset, and then with `answers` in turn.

    Only waiting takes time, by the clock of the line: `now_ms`.
    """

    def __init__(
        self, atrs: Mapping[int, bytes] | list[Heard] | bytes, answers: Iterable[Heard] = (), classes: int = EVERY_CLASS
    ):
        self.present, self.classes = True, classes
        self._atrs = atrs
        self._answers = list(answers)
        self._held: list[int | Pause | None] = []
        self._class = 0
        self._leaving = self._present_then = self._dark = False
        self.left_ms = self.sent_then = 0
        """When the card left, and how much had been sent to it then."""
        self.done: list[tuple[str, int]] = []
        """`class`, `contacts`, `wait` (clocks) and so on, each with its value, in order."""
        self.sent: list[bytes] = []
        self.now_ms = 0
        self.off_ms: list[int] = []
        """When the contacts went off."""

    def values(self, what: str) -> list[int]:
        """Those of one kind."""
        return [value for kind, value in self.done if kind == what]

    def monotonic(self) -> float:
        """In place of the machine's, in seconds."""
        return (self.now_ms + 0.5) / 1000

    def leaves(self, *, present: bool, dark: bool = False) -> None:
        """Once what it sends has been read, or while it is dark; another card is there at once, or none."""
        self._leaving, self._present_then, self._dark = True, present, dark

    def _leave(self) -> None:
        self.gone, self.present, self._leaving = True, self._present_then, False
        self.left_ms, self.sent_then = self.now_ms, len(self.sent)

    def poll(self) -> None:
        """Nothing happens by itself."""

    def set_class(self, icc_class: int) -> None:
        self._class = icc_class
        self.done.append(("class", icc_class))

    def set_contacts(self, contacts: int) -> None:
        self.done.append(("contacts", contacts))
        self.off_ms += [] if contacts else [self.now_ms]
        self._held = []
        if contacts == RUNNING:
            self._held = list(self._answer_to_reset())

    def _answer_to_reset(self) -> Heard:
        if isinstance(self._atrs, bytes):
            return self._atrs
        if isinstance(self._atrs, list):
            return self._atrs.pop(0) if self._atrs else b""
        return self._atrs.get(self._class, b"")

    def set_speed(self, fi_di: int, extra_guard: int) -> None:
        self.done.append(("speed", fi_di))
        self.done.append(("guard", extra_guard))

    def set_error_signal(self, on: bool) -> None:
        self.done.append(("error signal", on))

    def wait_clocks(self, count: int) -> None:
        self.done.append(("wait", count))
        self.now_ms += count // CLOCK_KHZ
        if self._leaving and self._dark and not self.values("contacts")[-1]:
            self._leave()

    def send(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))
        self._held += self._answers.pop(0) if self._answers else []

    def receive(self, count: int, limit_ms: int) -> bytes:
        if self._leaving and not self._held and not self._dark:
            self._leave()
        if self.gone or not self._held:
            self.now_ms += 0 if self.gone else limit_ms
            return b""
        first = self._held[0]
        if isinstance(first, Pause):
            self.now_ms += min(first.ms, limit_ms)
            self._held[:1] = [Pause(first.ms - limit_ms)] if first.ms > limit_ms else []
            return b"" if first.ms > limit_ms else self.receive(count, limit_ms - first.ms)
        if first is None:
            self._held.pop(0)
            raise CharacterDamaged()
        taken = bytearray()
        while self._held and isinstance(self._held[0], int) and len(taken) < count:
            taken.append(self._held[0])
            self._held.pop(0)
        return bytes(taken)

    def drop_received(self) -> None:
        self._held = []
