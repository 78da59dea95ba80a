"""What tests of the firmware and of the drivers share: interpreters, and cards that misbehave by the character."""

import platform
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.reader import CPYTHON, MICROPYTHON, find_micropython
from hardware.virtual.served_line import ServedLine
from host_bridge.readers.serial_link import open_port
from protocols.ccid.messages import Answer, Command
from protocols.ccid.serial_frame import MESSAGE, FrameParser, frame
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.line import (
    CHARACTER,
    CLASS,
    CONTACTS,
    PRESENT,
    RUNNING,
    SPEED,
    LineParser,
    characters,
    message,
)
from tests.needs import need

INTERPRETERS = (MICROPYTHON, CPYTHON)
BARE_BOARD = "classes=B"
"""Setting of the unix board for tests that are not about classes: a mute card is mute in one."""
WITHIN_S = 20.0
BABBLE_EVERY_S = 0.005
ATR = bytes.fromhex("3B6D0000008154310086609901010203 04")
READ = bytes.fromhex("00B2030406")
ANSWER = bytes.fromhex("B20304322E30309000")


def demand(interpreter: str) -> str:
    """Skips where there is no MicroPython; in CI on x86-64, where a wheel exists, that is a failure."""
    if interpreter == MICROPYTHON and find_micropython() is None:
        if platform.machine() != "x86_64":
            pytest.skip("no micropython for this machine")
        need("no micropython, though its wheel exists for x86-64")
    return interpreter


class ScriptedCard:
    """Sends `atrs` one per reset (the last again and again) and `replies[n]` after the n-th character.

    `always` is sent without end once `replies` has nothing more to wait for; `pulled_after` characters it leaves.
    """

    def __init__(
        self,
        replies: Mapping[int, bytes],
        *,
        atrs: tuple[bytes, ...] = (ATR,),
        always: bytes = b"",
        pulled_after: int | None = None,
    ) -> None:
        self.replies, self.atrs, self.always, self.pulled_after = replies, atrs, always, pulled_after
        self.taken = bytearray()
        self.resets = 0

    def reset(self) -> bytes:
        self.taken.clear()
        self.resets += 1
        return self.atrs[min(self.resets, len(self.atrs)) - 1]

    def take(self, value: int) -> bytes:
        self.taken.append(value)
        return self.replies.get(len(self.taken), b"")

    def babble(self) -> bytes:
        return self.always if self.resets and len(self.taken) >= max(self.replies, default=0) else b""


def well() -> ScriptedCard:
    """Answers READ RECORD once as it should."""
    return ScriptedCard({5: ANSWER})


class ScriptedSlot(ServedLine):
    """A contact line whose card does as its script says; `put` changes the card.

    `contacts` is what was driven, `speeds` each Fi and Di that was set, `classes` each class.
    """

    def __init__(self, card: ScriptedCard) -> None:
        super().__init__("scripted slot")
        self.card: ScriptedCard | None = card
        self._parser = LineParser()
        self._busy = threading.Lock()
        self._running = False
        self.contacts: list[int] = []
        self.speeds: list[int] = []
        self.classes: list[int] = []

    def put(self, card: ScriptedCard) -> None:
        self.pull()
        with self._busy:
            self.card = card
            self._send(message(PRESENT, 1))

    def pull(self) -> None:
        """Harmless when there is none."""
        with self._busy:
            if self.card is not None:
                self._send(message(PRESENT, 0))
            self.card = None

    def _go_on(self) -> float:
        with self._busy:
            if self.card is not None and self._running:
                self._send(characters(self.card.babble()))
        return BABBLE_EVERY_S

    def _begin(self) -> None:
        with self._busy:
            self._send(message(PRESENT, 1))

    def _take(self, data: bytes) -> None:
        with self._busy:
            for kind, value in self._parser.feed(data):
                self._take_message(kind, value)

    def _take_message(self, kind: int, value: int) -> None:
        if kind == CONTACTS:
            rises = value == RUNNING and not self._running
            self._running = value == RUNNING
            self.contacts.append(value)
            self._send(message(CONTACTS, value))
            if rises and self.card is not None:
                self._send(characters(self.card.reset()))
        elif kind == SPEED:
            self.speeds.append(value)
        elif kind == CLASS:
            self.classes.append(value)
        elif kind == CHARACTER and self.card is not None:
            self._send(characters(self.card.take(value)))
            if len(self.card.taken) == self.card.pulled_after:
                self.card = None
                self._send(message(PRESENT, 0))


class ChipWithAtr:
    """A virtual card that answers to reset with something else."""

    def __init__(self, path: Path, atr: bytes | None) -> None:
        self._card, self._atr = VirtualCard.open(path), atr

    def reset(self) -> bytes:
        own = self._card.reset()
        return own if self._atr is None else self._atr

    def takes_data(self, ins: int) -> bool:
        return self._card.takes_data(ins)

    def command(self, command: CommandApdu) -> ResponseApdu:
        return self._card.command(command)


class Host:
    """A host that sees every byte: one command at a time, or several without waiting."""

    def __init__(self, path: str) -> None:
        self._port = open_port(path)
        self._seq = 0
        self._parser = FrameParser(from_reader=True)
        self._found: list[tuple[int, bytes]] = []

    def close(self) -> None:
        self._port.close()

    def send(self, kind: int, data: str = "", slot: int = 0, special: str = "000000") -> Command:
        """`data` and `special` in hex."""
        self._seq = self._seq + 1 & 0xFF
        command = Command(kind, slot, self._seq, bytes.fromhex(data), bytes.fromhex(special))
        self._port.write(frame(command.to_bytes()))
        return command

    def send_again(self, command: Command) -> None:
        """Byte for byte."""
        self._port.write(frame(command.to_bytes()))

    def write(self, data: bytes) -> None:
        """Bytes that need be no frame."""
        self._port.write(data)

    def next(self) -> tuple[int, bytes]:
        """Kind and bytes of what comes next."""
        deadline = time.monotonic() + WITHIN_S
        while not self._found:
            assert time.monotonic() < deadline, "the reader says nothing"
            self._found += self._parser.feed(self._port.read(1))
        return self._found.pop(0)

    def heard(self) -> tuple[list[int], Answer]:
        """Kinds of all that came before the next answer, echoes as `MESSAGE`; then that answer."""
        kinds = list[int]()
        while True:
            kind, found = self.next()
            if kind == MESSAGE and found[0] & 0x80:
                return kinds, Answer.from_bytes(found)
            kinds.append(kind)

    def ask(self, kind: int, data: str = "", slot: int = 0, special: str = "000000") -> Answer:
        """The answer to a command, which is one to this command."""
        command = self.send(kind, data, slot, special)
        _, answer = self.heard()
        assert (answer.seq, answer.slot) == (command.seq, command.slot)
        return answer
