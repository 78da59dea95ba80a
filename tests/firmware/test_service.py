"""The firmware's service answers or refuses whatever it is asked, and repeats nothing that was done."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.board import Board
from firmware.boot import begin, load
from firmware.contact_line import CharacterCounters, ContactLine
from firmware.files import FileSystem
from firmware.limits import standard_limits
from firmware.service import Service, Uptime
from firmware.slot import Slot
from firmware.slot_error import SlotError
from firmware.update import Update
from protocols.ccid.messages import ICC_ABSENT, MAX_DATA, XFR_BLOCK, Answer, Command
from protocols.ccid.service import (
    COUNTERS,
    EVENTS,
    FILE,
    HELLO,
    RESTART,
    TRACE_START,
    UPDATE_BEGIN,
    UPDATE_CONFIRM,
    UPDATE_WRITE,
    Counters,
    Hello,
    events_from_bytes,
    request,
)
from tests.firmware.releases import install, release, send

FILES = FileSystem()
BAD_LENGTH, BAD_SLOT, INCOMPLETE, NO_ROOM = 0x01, 0x05, 0x87, 0x88


class Line(ContactLine):
    @property
    def counters(self) -> CharacterCounters:
        return CharacterCounters(40, 30, 2, 1)


class Bench(Board):
    """A board with two slots, the first of which counts characters."""

    name = "unix"

    def __init__(self) -> None:
        self.contact_lines = (Line(), ContactLine())


@pytest.fixture
def root(tmp_path: Path) -> str:
    install(FILES, f"{tmp_path}/", *release("0.2.0"))
    begin(FILES.open, FILES.rename, f"{tmp_path}/")
    return f"{tmp_path}/"


@pytest.fixture
def service(root: str) -> Service:
    board = Bench()
    service = Service(board, FILES, f"{root}b/", root)
    service.attend(tuple(Slot(line, standard_limits(0), lambda: True) for line in board.contact_lines))
    return service


def refusal(service: Service, function: int, arguments: bytes = b"") -> int:
    with pytest.raises(SlotError) as caught:
        service.escape(request(function, arguments))
    return caught.value.error


def test_hello_is_of_the_slot_that_runs(service: Service) -> None:
    hello = Hello.from_bytes(service.escape(request(HELLO)))
    assert (hello.slots, hello.board, hello.file_slot, hello.starts, hello.on_trial) == (2, "unix", "b", 1, False)


def test_characters_are_counted_where_the_line_does(service: Service) -> None:
    mute = Answer(0x80, 1, 0, 0x40 | ICC_ABSENT, 0xFE)
    for slot in (1, 1, 2):
        service.note(Command(XFR_BLOCK, slot, 0), mute)
    first, second = (Counters.from_bytes(service.escape(request(COUNTERS, bytes([slot])))) for slot in (0, 1))
    assert first == Counters(0, 40, 30, 2, 1, 0, 0, True, ())
    assert second == Counters(2, 0, 0, 0, 0, 0, 0, False, ((0xFE, 2),))
    assert refusal(service, COUNTERS, b"\x02") == BAD_SLOT
    assert len(events_from_bytes(service.escape(request(EVENTS, bytes(4))))) == 3


def test_a_restart_is_asked_for_once(service: Service, root: str) -> None:
    service.escape(request(RESTART, (7).to_bytes(4, "little")))
    assert not service.restarts
    assert load(FILES.open, root).next_reason == "power"
    service.escape(request(RESTART, (1).to_bytes(4, "little")))
    assert service.restarts
    assert load(FILES.open, root).next_reason == "restart"


class Clock(Uptime):
    now = 0

    def now_ms(self) -> int:
        return self.now


def test_a_trial_that_nobody_confirms_in_five_minutes_ends(root: str) -> None:
    send(Update(FILES, root, "unix"), *release("0.3.0"))
    clock = Clock()
    for slot, ends in (("a", True), ("a", True), ("a", True), ("b", False)):
        clock.now = 0
        assert begin(FILES.open, FILES.rename, root) == slot
        service = Service(Bench(), FILES, f"{root}{slot}/", root, clock)
        clock.now = 300_000
        assert not service.restarts
        clock.now = 300_001
        assert service.restarts is ends
    assert load(FILES.open, root).reason == "reverted"


def test_only_what_runs_can_be_confirmed(service: Service) -> None:
    assert refusal(service, UPDATE_CONFIRM, bytes(32)) == INCOMPLETE


def test_a_file_that_went_away_is_no_accident(service: Service, root: str) -> None:
    assert service.escape(request(FILE, b"\x00\x00"))
    Path(f"{root}b/firmware/__init__.py").unlink()
    assert refusal(service, FILE, b"\x00\x00") == NO_ROOM
    assert service.escape(request(FILE, b"\xff\xff")) == b""


@pytest.mark.parametrize("function", [FILE, COUNTERS, EVENTS, RESTART, TRACE_START, UPDATE_BEGIN, UPDATE_WRITE])
def test_arguments_of_another_length_are_refused(service: Service, function: int) -> None:
    assert refusal(service, function) == BAD_LENGTH
    assert refusal(service, function, b"\x01" * 5) == BAD_LENGTH


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=60), max_size=20), st.data())
def test_any_request_is_answered_or_refused(
    tmp_path_factory: pytest.TempPathFactory, asked: list[bytes], data: st.DataObject
) -> None:
    root = f"{tmp_path_factory.mktemp('reader')}/"
    install(FILES, root, *release("0.2.0"))
    service = Service(Bench(), FILES, f"{root}b/", root)
    for arguments in asked:
        function = data.draw(st.integers(0, 0x30))
        try:
            answer = service.escape(request(function, arguments))
        except SlotError:
            continue
        assert len(answer) <= MAX_DATA
    assert Hello.from_bytes(service.escape(request(HELLO))).version == "0.1.0"
    assert begin(FILES.open, FILES.rename, root) == "b"
