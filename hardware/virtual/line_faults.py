"""How a virtual card misbehaves on the contact line: rules as data, applied to the characters it sends."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from protocols.iso7816.atr import CLASS_A, classes_of
from protocols.iso7816.pps import DEFAULT_FI_DI

Phase = Literal["atr", "pps", "command", "block"]
Deed = Literal["insert", "replace", "damage", "pause", "mute", "pull", "single", "refuse", "extend", "overcurrent"]
MAX_EXTENSION = 255


class FaultsError(ValueError):
    """No fault script; the text says where."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule. `at` counts the characters the card sends in a phase, from 0; every command is a phase.

    In T=1 every block that the card sends is one, and of what a rule of a command does there is only `extend`.

    insert: `characters` before it, `count` times, 0 without end, `ms` before each. replace: `characters` in its place.
    damage: its parity stays wrong. pause: `ms` before it. mute: nothing from it on, until the next reset. pull: the
    card leaves. single: every byte of the command has a procedure byte of its own. refuse: the PPS gets an answer
    without PPS1. extend: in T=1 the card asks for `count` times the block waiting time before it answers. overcurrent:
    the card draws too much and loses its power.
    A rule holds in `times` phases after the first `spared` ones (0: in all), at `speed` and in `classes` (such as `AB`)
    alone where those are given.
    """

    phase: Phase
    does: Deed
    at: int = 0
    characters: str = msgspec.field(default="", name="bytes")
    count: int = 1
    ms: int = 0
    spared: int = 0
    times: int = 0
    speed: int | None = None
    classes: str = "ABC"

    def __post_init__(self) -> None:
        try:
            bytes.fromhex(self.characters)
        except ValueError as error:
            raise ValueError(f"bytes: {error}") from None
        try:
            classes_of(self.classes)
        except ValueError:
            raise ValueError("classes: letters of ABC") from None
        if self.does == "extend" and not (self.phase == "command" and 1 <= self.count <= MAX_EXTENSION):
            raise ValueError("extend: 1 to 255 times, in a command")

    def holds(self, phases: int, speed: int, icc_class: int) -> bool:
        """In the n-th phase of its kind, from 0, at this speed, supplied so."""
        in_time = phases >= self.spared and (not self.times or phases < self.spared + self.times)
        return in_time and self.speed in (None, speed) and bool(classes_of(self.classes) & icc_class)


class Sent(NamedTuple):
    """Characters that the card sends, at its speed, `pause_ms` after those before."""

    characters: bytes
    speed: int
    pause_ms: int = 0
    damaged: bool = False
    endless: bool = False
    pulled: bool = False
    overcurrent: bool = False


class _Script(msgspec.Struct, forbid_unknown_fields=True):
    fault: list[Fault] = []


def load_faults(path: Path) -> tuple[Fault, ...]:
    """The `[[fault]]` tables of a TOML file; `FaultsError`."""
    try:
        return tuple(msgspec.toml.decode(path.read_bytes(), type=_Script).fault)
    except OSError as error:
        raise FaultsError(f"{path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FaultsError(f"{path}: {error}") from None


class Faults:
    """Applies rules to what one card sends. `icc_class` is what it is supplied with.

    `phases` of each kind, `power_ons` and the `resets` since the last of these are counted; `speed` is that of the
    last phase.
    """

    def __init__(self, rules: Iterable[Fault] = ()) -> None:
        self._script = self._rules = tuple(rules)
        self.phases: Counter[Phase] = Counter()
        self.power_ons = 0
        self.resets = 0
        self.speed = DEFAULT_FI_DI
        self._phase: Phase = "atr"
        self._holding: tuple[Fault, ...] = ()
        self._at = 0
        self._mute = False
        self.icc_class = CLASS_A

    @property
    def single(self) -> bool:
        """Whether the command that began is done byte by byte."""
        return any(rule.does == "single" for rule in self._holding)

    @property
    def refuses(self) -> bool:
        """Whether the card agrees to no PPS now."""
        return any(rule.does == "refuse" for rule in self._holding)

    @property
    def extension(self) -> int:
        """How many block waiting times the card asks for in the command that began, 0 for none."""
        return max((rule.count for rule in self._holding if rule.does == "extend"), default=0)

    def arm(self, rule: Fault) -> None:
        """One more rule; its `spared` phases count from now."""
        self._rules += (msgspec.structs.replace(rule, spared=self.phases[rule.phase] + rule.spared),)

    def calm(self) -> None:
        """The rules of the beginning alone."""
        self._rules = self._script

    def power_on(self) -> None:
        """VCC has risen."""
        self.power_ons += 1
        self.resets = 0

    def begin(self, phase: Phase, speed: int) -> None:
        """What is applied next belongs to a new phase."""
        if phase == "atr":
            self._mute = False
            self.resets += 1
        count = self.phases[phase]
        self.phases[phase] += 1
        self.speed = speed
        rules = [rule for rule in self._rules if rule.phase == phase]
        self._holding = tuple(rule for rule in rules if rule.holds(count, speed, self.icc_class))
        self._at = 0

    def apply(self, characters: bytes, speed: int) -> Iterator[Sent]:
        """What becomes of them."""
        for value in characters:
            rules = [rule for rule in self._holding if rule.at == self._at]
            self._at += 1
            pause_ms, sent, damaged = 0, bytes([value]), False
            for rule in rules:
                match rule.does:
                    case "insert":
                        yield from _inserted(rule, speed)
                        self._mute = self._mute or not rule.count
                    case "replace":
                        sent = bytes.fromhex(rule.characters)
                    case "damage":
                        damaged = True
                    case "pause":
                        pause_ms += rule.ms
                    case "mute":
                        self._mute = True
                    case "pull":
                        self._mute = True
                        yield Sent(b"", speed, pulled=True)
                    case "overcurrent":
                        self._mute = True
                        yield Sent(b"", speed, overcurrent=True)
                    case "single" | "refuse" | "extend":
                        pass
            if not self._mute and sent:
                yield Sent(sent, speed, pause_ms, damaged)


def _inserted(rule: Fault, speed: int) -> Iterator[Sent]:
    characters = bytes.fromhex(rule.characters)
    if rule.ms and rule.count:
        yield from (Sent(characters, speed, rule.ms) for _ in range(rule.count))
    else:
        yield Sent(characters * max(rule.count, 1), speed, endless=not rule.count)
