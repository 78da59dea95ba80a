"""PIN entry at the reader's own keys, command by command (`reader.md A.7`); nothing of it ever leaves the board."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.virtual.keypad import VirtualKeypad, press
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import ReaderProcess
from protocols.ccid.keypad import GREEN, RED
from protocols.ccid.messages import (
    ABORT,
    DATA_BLOCK,
    ESCAPE,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_POWER_ON,
    SECURE,
    SLOT_STATUS,
    XFR_BLOCK,
    Answer,
)
from protocols.ccid.serial_frame import MESSAGE, MORE_TIME
from tests.firmware.conftest import OpenHost
from tests.firmware.rig import ATR, Host, ScriptedCard, ScriptedSlot
from tests.needs import need

OpenPad = Callable[..., tuple[Host, ScriptedSlot, VirtualKeypad]]

FEATURES, WAS_FORBIDDEN = "6A", "53534331"
FORBIDDEN, NOT_COMPARED = b"\x01", b"\x02"
UNSUPPORTED, PROTOCOL, CANCELLED, TIMED_OUT, MUTE, ABORTED = 0x00, 0xF6, 0xEF, 0xF0, 0xFE, 0xFF
HOLD_S = 0.006

VERIFY = "00 00 810000 1004 02 00 0000 00 000000 00200000"
"""VERIFY of 4 to 16 packed digits, as long as they are (ssc-card.md 5)."""
VERIFY_AT_TIMEOUT = "00 02 810000 1004 06 00 0000 00 000000 00200000"
VERIFY_AT_SIX = "00 00 810000 0604 01 00 0000 00 000000 00200000"
VERIFY_ASCII = "00 00 820800 0804 02 01 0904 00 000000 0020000108FFFFFFFFFFFFFFFF"
CHANGE = "01 00 810000 00 01 1006 03 02 00 0000 00 000000 805E010001FF"
"""CHANGE PIN (ssc-card.md 9.4): the old PIN, then twice a new one of 6 to 16."""
CHANGE_TO_FOUR = CHANGE.replace("1006", "0804")
SET = "01 00 820800 00 00 0804 00 02 00 0000 00 000000 0024010108FFFFFFFFFFFFFFFF"
"""A new PIN, entered once, without the old one."""


class Chip(ScriptedCard):
    """Takes any command with data, and answers each with its status word; `commands` in hex."""

    def __init__(self, sw: str = "9000", atr: bytes = ATR) -> None:
        super().__init__({}, atrs=(atr,))
        self.sw = sw
        self.commands: list[str] = []
        self.answers = threading.Event()
        self.answers.set()

    def take(self, value: int) -> bytes:
        self.taken.append(value)
        if len(self.taken) < 5 or len(self.taken) < 5 + self.taken[4]:
            return bytes(self.taken[1:2]) if len(self.taken) == 5 else b""
        self.commands.append(self.taken.hex().upper())
        self.taken.clear()
        self.answers.wait(1.0)
        return bytes.fromhex(self.sw)


@pytest.fixture
def started() -> list[ReaderProcess]:
    """The readers of the test."""
    return []


@pytest.fixture
def open_pad(interpreter: str, started: list[ReaderProcess]) -> Iterator[OpenPad]:
    """Starts the firmware with a card and a keypad, and powers the card on."""
    with contextlib.ExitStack() as stack:

        def start(card: ScriptedCard) -> tuple[Host, ScriptedSlot, VirtualKeypad]:
            slot, keypad = ScriptedSlot(card), VirtualKeypad(hold_s=HOLD_S, gap_s=HOLD_S, bounces=0)
            process = ReaderProcess(slot, keypad=keypad, interpreter=interpreter)
            process.start()
            stack.callback(process.stop)
            started.append(process)
            host = Host(process.path)
            stack.callback(host.close)
            host.ask(ICC_POWER_ON)
            return host, slot, keypad

        yield start


def waits(keypad: VirtualKeypad) -> bool:
    return bool(keypad.lamps & GREEN)


def next_answer(host: Host) -> Answer:
    return host.heard()[1]


@pytest.mark.parametrize(
    ("request_", "pressed", "sent"),
    [
        (VERIFY, ["135790", "ok"], "0020000003135790"),
        (VERIFY, ["99", "clear", "432", "back", "21", "ok"], "002000000243 21"),
        (VERIFY_AT_SIX, ["123456"], "0020000003123456"),
        (VERIFY_ASCII, ["123456789", "ok"], "0020000108 3132333435363738"),
        (CHANGE, ["12345", "ok", "654321", "ok", "654321", "ok"], "805E010007 12345F FF 654321"),
        (SET, ["7777", "ok"], "0024010108 37373737FFFFFFFF"),
    ],
)
def test_what_is_entered_reaches_the_card(open_pad: OpenPad, request_: str, pressed: list[str], sent: str) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    keypad.press(*pressed)
    answer = host.ask(SECURE, request_)
    assert (answer.kind, answer.failed, answer.data) == (DATA_BLOCK, False, b"\x90\x00")
    assert card.commands == [sent.replace(" ", "")]


@pytest.mark.parametrize(
    ("request_", "pressed", "error", "data"),
    [
        (VERIFY, ["123", "ok"], 0, "6403"),
        (VERIFY, ["1234", "cancel"], CANCELLED, ""),
        (CHANGE, ["1234", "ok", "12345", "ok"], 0, "6403"),
        (CHANGE, ["1234", "ok", "654321", "ok", "65432", "ok"], 0, "6402"),
        (CHANGE, ["1234", "ok", "cancel"], CANCELLED, ""),
    ],
)
def test_what_comes_to_no_pin_never_reaches_the_card(
    open_pad: OpenPad, request_: str, pressed: list[str], error: int, data: str
) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    keypad.press(*pressed)
    answer = host.ask(SECURE, request_)
    assert (answer.failed, answer.error, answer.data.hex()) == (bool(error), error, data)
    assert card.commands == []
    assert host.ask(XFR_BLOCK, "0020000000").data == b"\x90\x00", "the card is still on"


def remains_in(pid: int | None, pin: str) -> set[str]:
    """The codings in which all digits stand in what this process can write to."""
    codings = {"packed": bytes.fromhex(pin), "binary": bytes(map(int, pin)), "ASCII": pin.encode()}
    found = set[str]()
    try:
        with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
            for start, end in [line.split()[0].split("-") for line in maps if " rw" in line]:
                with contextlib.suppress(OSError):
                    memory.seek(int(start, 16))
                    data = memory.read(int(end, 16) - int(start, 16))
                    found |= {name for name, coded in codings.items() if coded in data}
    except PermissionError:
        need("the right to read the memory of a child")
    return found


def test_nothing_of_a_pin_remains_in_the_memory_of_the_board(open_pad: OpenPad, started: list[ReaderProcess]) -> None:
    host, _, keypad = open_pad(Chip())
    pin = "975318642075"
    keypad.press(pin, "ok")
    assert host.ask(SECURE, VERIFY).data == b"\x90\x00"
    assert remains_in(started[0].pid, pin) == set()
    keypad.press(pin, "cancel")
    host.ask(SECURE, VERIFY)
    assert remains_in(started[0].pid, pin) == set()
    host.ask(XFR_BLOCK, f"0020000006{pin}")
    assert remains_in(started[0].pid, pin) == {"packed"}, "what comes over the line remains, and is found"


def test_time_may_take_the_place_of_ok(open_pad: OpenPad) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    keypad.press("1234")
    assert host.ask(SECURE, VERIFY_AT_TIMEOUT).data == b"\x90\x00"
    assert card.commands == ["00200000021234"]
    keypad.press("123")
    assert host.ask(SECURE, VERIFY_AT_TIMEOUT.replace("00 02", "00 01")).error == TIMED_OUT
    assert len(card.commands) == 1


def test_the_host_is_told_that_the_holder_takes_time(open_pad: OpenPad) -> None:
    host, _, keypad = open_pad(Chip())
    host.send(SECURE, VERIFY)
    kinds = [host.next()[0] for _ in range(3)]
    assert kinds == [MESSAGE, MORE_TIME, MORE_TIME]
    assert waits(keypad)
    keypad.press("1234", "ok")
    assert next_answer(host).data == b"\x90\x00"
    wait_until("the lamps to go out", lambda: keypad.lamps == 0)


def test_abort_ends_an_entry_and_both_are_answered(open_pad: OpenPad) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    entry = host.send(SECURE, VERIFY)
    wait_until("the pad", lambda: waits(keypad))
    abort = host.send(ABORT)
    first, second = next_answer(host), next_answer(host)
    assert (first.kind, first.seq, first.error) == (DATA_BLOCK, entry.seq, ABORTED)
    assert (second.kind, second.seq, second.failed) == (SLOT_STATUS, abort.seq, False)
    assert card.commands == []
    assert host.ask(XFR_BLOCK, "0020000000").data == b"\x90\x00", "the card is still on"


def test_abort_does_not_take_the_pin_back_that_the_card_has(open_pad: OpenPad) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    card.answers.clear()
    keypad.press("1234", "ok")
    entry = host.send(SECURE, VERIFY)
    wait_until("the card to have it", lambda: card.commands)
    host.send(ABORT)
    card.answers.set()
    first, second = next_answer(host), next_answer(host)
    assert (first.seq, first.data) == (entry.seq, b"\x90\x00")
    assert second.kind == SLOT_STATUS


def test_another_command_ends_an_entry_which_then_has_no_answer(open_pad: OpenPad) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    host.send(SECURE, VERIFY)
    wait_until("the pad", lambda: waits(keypad))
    assert host.ask(GET_SLOT_STATUS).kind == SLOT_STATUS
    assert card.commands == []


def test_taking_the_card_ends_an_entry(open_pad: OpenPad) -> None:
    host, slot, keypad = open_pad(Chip())
    host.send(SECURE, VERIFY)
    wait_until("the pad", lambda: waits(keypad))
    slot.pull()
    answer = next_answer(host)
    assert (answer.error, answer.icc) == (MUTE, ICC_ABSENT)
    wait_until("the lamps to go out", lambda: not waits(keypad))


def test_a_host_that_lost_the_answer_gets_it_again_and_nobody_is_asked_twice(open_pad: OpenPad) -> None:
    card = Chip("63C2")
    host, _, keypad = open_pad(card)
    keypad.press("1234", "ok")
    command = host.send(SECURE, VERIFY)
    assert next_answer(host).data.hex() == "63c2"
    host.send_again(command)
    assert next_answer(host).data.hex() == "63c2"
    assert len(card.commands) == 1


def test_a_card_that_speaks_t1_is_refused_before_anybody_is_asked(open_pad: OpenPad) -> None:
    host, _, keypad = open_pad(Chip(atr=bytes.fromhex("3B800181")))
    assert host.ask(SECURE, VERIFY).error == PROTOCOL
    assert keypad.lit == []


def test_requests_that_make_no_sense_name_the_offset(open_pad: OpenPad) -> None:
    host, slot, keypad = open_pad(Chip())
    assert host.ask(SECURE, "").error == 1
    assert host.ask(SECURE, VERIFY, special="000100").error == 8
    assert host.ask(SECURE, VERIFY.replace("810000", "830000")).error == 12
    slot.pull()
    assert host.ask(SECURE, VERIFY).error == MUTE
    assert keypad.lit == []


def test_only_a_board_with_keys_has_a_pad(open_pad: OpenPad, open_host: OpenHost) -> None:
    host, _, _ = open_pad(Chip())
    assert host.ask(ESCAPE, FEATURES).data.hex() == "00000007 60 000000 04 00000000 04 10".replace(" ", "") + "00" * 6
    bare, _ = open_host(Chip())
    bare.ask(ICC_POWER_ON)
    for kind, data in ((ESCAPE, FEATURES), (ESCAPE, "53534330"), (ESCAPE, WAS_FORBIDDEN), (SECURE, VERIFY)):
        answer = bare.ask(kind, data)
        assert (answer.failed, answer.error) == (True, UNSUPPORTED)


DEFAULTS = "53534330 02 0000 02 8888 03 66666F"


def test_a_forbidden_pin_is_told_once_after_9000_and_no_more_than_thrice_a_minute(open_pad: OpenPad) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)

    def entered(pin: str, armed: str = DEFAULTS) -> list[bytes]:
        if armed:
            assert not host.ask(ESCAPE, armed).failed
        keypad.press(pin, "ok")
        assert host.ask(SECURE, VERIFY).data.hex() == card.sw
        return [host.ask(ESCAPE, WAS_FORBIDDEN).data for _ in range(2)]

    assert entered("8888") == [FORBIDDEN, NOT_COMPARED]
    host.ask(ESCAPE, DEFAULTS)
    keypad.press("8888", "ok")
    host.ask(SECURE, VERIFY)
    assert entered("8888", armed="") == [NOT_COMPARED, NOT_COMPARED], "armed for one entry, and told of the last one"
    card.sw = "63c2"
    assert entered("8888") == [NOT_COMPARED, NOT_COMPARED]
    card.sw = "9000"
    assert entered("66666") == [FORBIDDEN, NOT_COMPARED]
    assert entered("0000") == [NOT_COMPARED, NOT_COMPARED], "the fourth in a minute"


def test_a_forbidden_new_pin_never_reaches_the_card(open_pad: OpenPad) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    host.ask(ESCAPE, DEFAULTS)
    keypad.press("8888", "ok", "0000", "ok", "0000", "ok")
    assert host.ask(SECURE, CHANGE_TO_FOUR).data.hex() == "6403"
    assert card.commands == []
    assert host.ask(ESCAPE, WAS_FORBIDDEN).data == FORBIDDEN
    keypad.press("8888", "ok", "0000", "ok", "0000", "ok")
    assert host.ask(SECURE, CHANGE_TO_FOUR).data.hex() == "9000", "armed for one entry"


def test_more_forbidden_pins_than_a_list_may_have_are_refused(open_pad: OpenPad) -> None:
    host, _, _ = open_pad(Chip())
    assert host.ask(ESCAPE, "53534330" + "03123456" * 9).failed
    assert not host.ask(ESCAPE, "53534330" + "03123456" * 8).failed


def test_keys_bounce_and_several_together_count_for_none(open_pad: OpenPad) -> None:
    card = Chip()
    host, _, keypad = open_pad(card)
    for together in ("1", "2", "124", "3", "4", ("ok",)):
        keypad.play(press(*together))
    assert host.ask(SECURE, VERIFY).data == b"\x90\x00"
    assert card.commands == ["00200000021234"]
    assert any(lamps & RED for lamps in keypad.lit)
