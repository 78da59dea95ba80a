"""`rp2.asm_pio` on CPython: the same decorator, for the instructions of the RP2040 datasheet 3.4.

An assembled program is a `Program`; `as_rp2` is the module that a firmware file imports.
"""

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, Self

MAX_DELAY = 31
BLOCK = 0x20

PINS, X, Y, NULL, PINDIRS, STATUS, ISR, OSR = range(8)
OPERANDS = {"pins": PINS, "x": X, "y": Y, "null": NULL, "pindirs": PINDIRS, "status": STATUS, "isr": ISR, "osr": OSR}
CONDITIONS = {"not_x": 1, "x_dec": 2, "not_y": 3, "y_dec": 4, "x_not_y": 5, "pin": 6, "not_osre": 7}


class PIO:
    """The constants of `rp2.PIO`."""

    IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH = range(4)
    SHIFT_LEFT, SHIFT_RIGHT = range(2)


class Program(NamedTuple):
    """Opcodes, where they wrap from and to, and the settings given to the decorator."""

    words: tuple[int, ...]
    wrap_target: int
    wrap: int
    settings: dict[str, int]


class Instruction:
    """One opcode; `instruction[5]` delays it by 5 cycles."""

    def __init__(self, word: int, target: str | None = None) -> None:
        self.word, self.target = word, target

    def __getitem__(self, delay: int) -> Self:
        if not 0 <= delay <= MAX_DELAY:
            raise ValueError(f"delay {delay}")
        self.word |= delay << 8
        return self


class Listing:
    """What the functions of a program write to."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.labels: dict[str, int] = {}
        self.target = 0
        self.end: int | None = None

    def names(self) -> dict[str, Any]:
        methods = (
            "label",
            "wrap_target",
            "wrap",
            "jmp",
            "wait",
            "in_",
            "out",
            "push",
            "pull",
            "mov",
            "irq",
            "set",
            "nop",
        )
        names: dict[str, Any] = {name: getattr(self, name) for name in methods}
        return (
            names
            | OPERANDS
            | CONDITIONS
            | {
                "block": 0,
                "noblock": BLOCK,
                "invert": lambda source: source | 0x08,
                "rel": lambda index: index | 0x10,
            }
        )

    def program(self, settings: dict[str, int]) -> Program:
        words = [each.word | (self.labels[each.target] if each.target else 0) for each in self.instructions]
        return Program(tuple(words), self.target, len(words) - 1 if self.end is None else self.end, settings)

    def label(self, name: str) -> None:
        self.labels[name] = len(self.instructions)

    def wrap_target(self) -> None:
        self.target = len(self.instructions)

    def wrap(self) -> None:
        self.end = len(self.instructions) - 1

    def jmp(self, condition: int | str, target: str | None = None) -> Instruction:
        if isinstance(condition, str):
            return self._add(0x0000, condition)
        return self._add(0x0000 | condition << 5, target)

    def wait(self, polarity: int, source: int, index: int) -> Instruction:
        if source != CONDITIONS["pin"]:
            raise ValueError("only pins are waited for here")
        return self._add(0x2020 | polarity << 7 | index)

    def in_(self, source: int, count: int) -> Instruction:
        return self._add(0x4000 | source << 5 | count & 0x1F)

    def out(self, destination: int, count: int) -> Instruction:
        return self._add(0x6000 | destination << 5 | count & 0x1F)

    def push(self, blocking: int = 0) -> Instruction:
        return self._add(0x8000 | blocking ^ BLOCK)

    def pull(self, blocking: int = 0) -> Instruction:
        return self._add(0x8080 | blocking ^ BLOCK)

    def mov(self, destination: int, source: int) -> Instruction:
        return self._add(0xA000 | destination << 5 | source)

    def irq(self, blocking: int, index: int) -> Instruction:
        return self._add(0xC000 | blocking ^ BLOCK | index)

    def set(self, destination: int, value: int) -> Instruction:
        return self._add(0xE000 | destination << 5 | value)

    def nop(self) -> Instruction:
        return self.mov(Y, Y)

    def _add(self, word: int, target: str | None = None) -> Instruction:
        self.instructions.append(Instruction(word, target))
        return self.instructions[-1]


def asm_pio(**settings: int) -> Callable[[FunctionType], Program]:
    """Runs the function with the assembler's names in place of its globals."""

    def assemble(function: FunctionType) -> Program:
        listing = Listing()
        FunctionType(function.__code__, listing.names(), argdefs=function.__defaults__)()
        return listing.program(settings)

    return assemble


def asm_pio_encode(instruction: str, sideset_count: int) -> int:
    """One instruction as `StateMachine.exec` takes it."""
    if sideset_count:
        raise ValueError("no side-set here")
    listing = Listing()
    eval(instruction, listing.names())  # noqa: S307 - of the firmware's own source
    return listing.program({}).words[0]


def as_rp2() -> ModuleType:
    """A module `rp2` with the assembler alone."""
    module: Any = ModuleType("rp2")
    module.PIO, module.asm_pio, module.asm_pio_encode = PIO, asm_pio, asm_pio_encode
    return module  # type: ignore[no-any-return]
