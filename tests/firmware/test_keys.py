"""Keys of a matrix, lamps, and a buffer that is wiped: the pad's parts under a clock that the test turns."""

import gc
from collections.abc import Callable

import pytest

from firmware.indicator import ACCEPTED, DONE, REFUSED, WAITING, Indicator
from firmware.keypad import REFUSED as NONE
from firmware.keypad import Keypad, KeyScanner
from firmware.pin_pad import EntryEnded, PinPad
from hardware.virtual.keypad import NAMES, columns
from protocols.ccid.keypad import BUZZER, GREEN, OK, RED
from protocols.ccid.pin_format import PinFormat
from protocols.ccid.secure import ASK_CURRENT, BY_KEY, CONFIRM, Change, PinRequest, Prompts


class Clock:
    """`now` in ms."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic(self) -> float:
        """In place of the machine's, in seconds."""
        return (self.now + 0.5) / 1000

    def wait(self, ms: int) -> None:
        self.now += ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("firmware.ticks.time", found)
    return found


class Fingers(Keypad):
    """`down` are names of keys."""

    def __init__(self) -> None:
        self.down = ""

    def columns(self, row: int) -> int:
        return columns(frozenset(NAMES[name] for name in self.down.split()), 1 << row)


def scanned(clock: Clock, *steps: tuple[str, int]) -> list[int]:
    """What counts where these keys are down for so many ms each, looked at every 5 ms."""
    fingers = Fingers()
    scanner = KeyScanner(fingers)
    scanner.start()
    found = []
    for down, ms in (("", 30), *steps):
        fingers.down = down
        for _ in range(0, ms, 5):
            key = scanner.poll()
            clock.wait(5)
            if key is not None:
                found.append(key)
    return found


UP = ("", 40)


@pytest.mark.parametrize(
    ("steps", "keys"),
    [
        ([("5", 40), UP, ("5", 40)], [5, 5]),
        ([("5", 2000)], [5]),
        ([("5", 15), UP], []),
        ([("5", 5), ("", 5), ("5", 5), ("", 5), ("5", 40), ("", 5), ("5", 5), UP], [5]),
        ([("5", 40), ("", 10), ("5", 40), UP], [5]),
        ([("1", 40), ("1 2", 40), ("2", 40), UP], [1, 2]),
        ([("1", 40), ("1 2", 40), ("1", 40), UP], [1]),
        ([("1 2", 40), ("1", 40), UP, ("3", 40)], [NONE, 3]),
        ([("1 2 4", 40), ("1", 40), UP, ("3", 40)], [NONE, 3]),
        ([("1", 40), ("1 2 4", 40), ("4", 40), UP, ("3", 40)], [1, NONE, 3]),
        ([("0", 40), UP, ("ok", 40), UP, ("cancel", 40), UP, ("clear", 40), UP, ("back", 40)], [0, OK, 10, 11, 12]),
    ],
    ids=[
        "twice", "held", "too short", "bounces", "contact lost", "rolled over", "brushed", "two at once",
        "three look like four", "two more beside one", "all kinds",
    ],
)  # fmt: skip
def test_a_key_counts_once_and_several_at_once_for_none(
    clock: Clock, steps: list[tuple[str, int]], keys: list[int]
) -> None:
    assert scanned(clock, *steps) == keys


def test_what_is_down_when_it_starts_does_not_count(clock: Clock) -> None:
    fingers = Fingers()
    fingers.down = "5"
    scanner = KeyScanner(fingers)
    for _ in range(2):
        scanner.start()
        for _ in range(10):
            assert scanner.poll() is None
            clock.wait(5)


class Lamps(Indicator):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def drive(self, lamps: int) -> None:
        self.seen.append(lamps)


def test_signals_are_played_one_at_a_time_and_fall_back(clock: Clock) -> None:
    lamps = Lamps()
    lamps.rest(WAITING)
    lamps.play(REFUSED)
    assert lamps.due_ms(5) == 5
    for _ in range(100):
        lamps.poll()
        clock.wait(5)
    assert lamps.seen == [GREEN, RED | BUZZER, RED, RED | BUZZER, GREEN]
    lamps.play(ACCEPTED)
    lamps.play(DONE)
    lamps.rest(0)
    assert lamps.due_ms(1000) == 300
    clock.wait(300)
    lamps.poll()
    assert lamps.seen[5:] == [GREEN | BUZZER, GREEN | BUZZER, 0]
    assert lamps.due_ms(1000) == 1000


def secrets_of(pad: PinPad) -> list[bytearray]:
    """All bytes that can be written and that the pad can still reach."""
    found, waiting, seen = list[bytearray](), list[object]([pad.__dict__]), set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or callable(each):
            continue
        seen.add(id(each))
        if isinstance(each, bytearray):
            found.append(each)
        waiting += gc.get_referents(each)
    return found


VERIFY = PinRequest(1, PinFormat(0x81, 0, 0), 4, 16, BY_KEY, Prompts(0, 0, b"\x00"), bytes.fromhex("00200000"))
CHANGE = PinRequest(
    1,
    PinFormat(0x81, 0, 0),
    4,
    16,
    BY_KEY,
    Prompts(0, 0, b"\x00"),
    bytes.fromhex("805E010001FF"),
    Change(0, 1, CONFIRM | ASK_CURRENT),
)


@pytest.mark.parametrize(("asked", "lasts_ms"), [(0, 30_000), (1, 1_000), (255, 255_000)])
def test_an_entry_ends_in_time_which_the_host_may_leave_to_the_reader(clock: Clock, asked: int, lasts_ms: int) -> None:
    lamps = Lamps()
    request = PinRequest(asked, VERIFY.pin_format, 4, 16, BY_KEY, VERIFY.prompts, VERIFY.apdu)
    with pytest.raises(EntryEnded) as caught:
        PinPad(Fingers(), lamps, clock.wait).enter(request, answers, lambda: 0)
    assert caught.value.error == 0xF0
    assert lasts_ms < clock.now <= lasts_ms + 5
    assert lamps.seen == [GREEN, 0, RED | BUZZER]


class CardGone(Exception):
    pass


def answers(apdu: memoryview) -> bytes:
    return b"\x90\x00"


def refuses(apdu: memoryview) -> bytes:
    return b"\x63\xc2"


def leaves(apdu: memoryview) -> bytes:
    raise CardGone


@pytest.mark.parametrize(
    ("request_", "pressed", "exchange", "error"),
    [
        (VERIFY, "1 3 5 7 ok", answers, None),
        (VERIFY, "1 3 5 7 ok", refuses, None),
        (VERIFY, "1 3 5 7 ok", leaves, CardGone),
        (VERIFY, "1 3 5 7 cancel", answers, EntryEnded),
        (VERIFY, "1 3 5 7", answers, EntryEnded),
        (VERIFY, "1 3 5 ok", answers, None),
        (CHANGE, "1 3 5 7 ok 2 4 6 8 ok 2 4 6 8 ok", answers, None),
        (CHANGE, "1 3 5 7 ok 2 4 6 8 ok 2 4 6 9 ok", answers, None),
        (CHANGE, "1 3 5 7 ok 2 4 6", answers, EntryEnded),
    ],
    ids=["right", "wrong", "card gone", "cancelled", "timed out", "too short", "changed", "differ", "change timed out"],
)
def test_whatever_happens_nothing_is_kept(
    clock: Clock,
    request_: PinRequest,
    pressed: str,
    exchange: Callable[[memoryview], bytes],
    error: type[Exception] | None,
) -> None:
    fingers, waiting = Fingers(), pressed.split()
    lent = list[memoryview]()

    def press(ms: int) -> None:
        """A key goes down or up every 50 ms."""
        clock.wait(ms)
        if clock.now % 100 == 0 and waiting:
            fingers.down = waiting.pop(0)
        elif clock.now % 100 == 50:
            fingers.down = ""

    def lend(apdu: memoryview) -> bytes:
        assert any(apdu)
        lent.append(apdu)
        return exchange(apdu)

    lamps = Lamps()
    pad = PinPad(fingers, lamps, press)
    pad.forbidden.arm(bytes.fromhex("53534330 02 9999"))
    if error is None:
        pad.enter(request_, lend, lambda: 0)
    else:
        with pytest.raises(error) as caught:
            pad.enter(request_, lend, lambda: 0)
        assert not set("1357") & set(str(caught.value).replace("F0", "").replace("EF", ""))
    right = error is None and exchange is answers and len(lent) == 1
    assert lamps.seen[-1] == (GREEN | BUZZER if right else RED | BUZZER)
    buffers = secrets_of(pad)
    assert len(buffers) == 2, "digits and APDU, forbidden PINs"
    assert not any(map(any, [*buffers, *lent]))
