"""What the bridge says on each line, with a clock and a reader made for it (`reader.md A`)."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_bridge.readers.bridge import EMPTY_S, READER, SILENCE_S, STATUS_WITHIN_S, TOTAL_S, TRIES, Bridge
from protocols.ccid.messages import (
    ANSWER_TO,
    ESCAPE,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_INACTIVE,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    SECURE,
    XFR_BLOCK,
    Answer,
    Command,
    is_answer,
)
from protocols.ccid.serial_frame import MESSAGE, MORE_TIME, NAK_FRAME, REFUSED, TIME_BYTE, FrameParser, frame

CASES = tomllib.loads((Path(__file__).parents[2] / "vectors/ccid/empty_slot.toml").read_text())["case"]
OURS, FOREIGN = b"ssc-terminal reader 0.1", b"GemTwRC2-V2.10"
READ = bytes.fromhex("00B2032C06")
VERIFY = bytes.fromhex("0020000003135790")
BAD_SLOT = 0x05

Reply = Callable[[Command], bytes]


def answer_to(command: Command, data: bytes = b"\x90\x00", icc: int = ICC_ACTIVE) -> bytes:
    return frame(Answer(ANSWER_TO[command.kind], command.slot, command.seq, icc, 0, data).to_bytes())


class Line:
    """The bridge with a host per slot and a reader; time passes only in `wait`.

    The reader answers at once what opening asks for, and everything else where `at_once`; `commands` are what it got.
    """

    def __init__(self, slots: int = 2, name: bytes = OURS, *, at_once: bool = True) -> None:
        self.bridge, self.name, self.at_once = Bridge(slots), name, at_once
        self.now = 100.0
        self.commands: list[Command] = []
        self.card = ICC_INACTIVE
        self.has_slots = slots
        self.told: list[list[tuple[int, bytes]]] = [[] for _ in range(slots)]
        self._reader = FrameParser(from_reader=False)
        self._hosts = [FrameParser(from_reader=True) for _ in range(slots)]

    def come(self) -> "Line":
        self.bridge.reader_came(self.now)
        self.settle()
        return self

    def settle(self) -> None:
        while taken := self.bridge.outgoing():
            for to, data in taken:
                if to != READER:
                    self.told[to] += self._hosts[to].feed(data)
                    continue
                for _, message in self._reader.feed(data):
                    command = Command.from_bytes(message)
                    self.commands.append(command)
                    reply = self._reply(command)
                    if reply:
                        self.bridge.from_reader(frame(command.echo()) + reply, self.now)

    def _reply(self, command: Command) -> bytes:
        if command.kind == ESCAPE:
            return answer_to(command, self.name, ICC_INACTIVE)
        if command.slot >= self.has_slots:
            return frame(Answer(ANSWER_TO[command.kind], command.slot, command.seq, 0x42, BAD_SLOT).to_bytes())
        if command.kind == ICC_POWER_OFF:
            return answer_to(command, b"", self.card)
        return answer_to(command, icc=self.card) if self.at_once else b""

    def send(self, slot: int, kind: int, data: bytes = b"", seq: int = 0) -> Command:
        command = Command(kind, 0, seq, data)
        self.bridge.from_host(slot, frame(command.to_bytes()), self.now)
        self.settle()
        return command

    def say(self, data: bytes) -> None:
        self.bridge.from_reader(data, self.now)
        self.settle()

    def wait(self, seconds: float, *, noise: bytes = b"", every: float = 0.02) -> None:
        until = self.now + seconds
        while self.now < until and not self.bridge.hung:
            self.now += every
            if noise:
                self.bridge.from_reader(noise, self.now)
            self.bridge.tick(self.now)
            self.settle()

    def heard(self, slot: int) -> list[Answer]:
        """Answers since the last time; all else is forgotten."""
        told, self.told[slot] = self.told[slot], []
        return [Answer.from_bytes(message) for kind, message in told if kind == MESSAGE and is_answer(message)]

    def answer(self, slot: int) -> Answer:
        (answer,) = self.heard(slot)
        return answer


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_without_a_reader_a_slot_is_empty(case: dict[str, str]) -> None:
    command = Command.from_bytes(bytes.fromhex(case["command"]))
    line = Line(1)
    line.bridge.from_host(0, frame(command.to_bytes()), line.now)
    echo, answer = line.bridge.outgoing()
    assert echo == (0, frame(command.echo()))
    assert answer == (0, frame(bytes.fromhex(case["answer"])))


def test_each_host_is_slot_0_and_keeps_its_number() -> None:
    line = Line().come()
    line.commands.clear()
    for slot, seq in ((0, 5), (1, 5), (1, 255), (0, 0)):
        line.send(slot, XFR_BLOCK, READ, seq)
        assert line.commands[-1].slot == slot
        assert line.commands[-1].data == READ
        assert line.told[slot][0] == (MESSAGE, Command(XFR_BLOCK, 0, seq).to_bytes())
        answer = line.answer(slot)
        assert (answer.slot, answer.seq, answer.data) == (0, seq, b"\x90\x00")
        assert line.heard(1 - slot) == []


def test_opening_powers_every_card_off_and_learns_what_the_reader_is() -> None:
    line = Line().come()
    assert [(command.kind, command.slot, command.data.hex()) for command in line.commands] == [
        (ESCAPE, 0, "02"),
        (ESCAPE, 0, "06"),
        (ESCAPE, 0, "6a"),
        (ICC_POWER_OFF, 0, ""),
        (ICC_POWER_OFF, 1, ""),
    ]
    assert line.bridge.reader_name == OURS.decode()
    line.bridge.reader_left(line.now)
    line.send(0, ESCAPE, b"\x02")
    assert line.answer(0).data == OURS


def test_slot_changes_are_not_asked_of_the_reader() -> None:
    line = Line().come()
    line.commands.clear()
    line.send(0, ESCAPE, b"\x01\x01\x01")
    assert not line.answer(0).failed
    assert line.commands == []


def test_a_slot_that_the_reader_lacks_is_empty() -> None:
    line = Line(2)
    line.has_slots = 1
    line.come()
    line.send(1, GET_SLOT_STATUS)
    line.send(0, GET_SLOT_STATUS)
    assert line.answer(1).status == ICC_ABSENT
    assert line.answer(0).icc == ICC_INACTIVE


def test_the_slots_take_turns() -> None:
    """A host that always has the next command ready delays another by one command."""
    line = Line(3, at_once=False).come()
    line.commands.clear()
    line.send(0, XFR_BLOCK, READ)
    for slot in (2, 1):
        line.send(slot, XFR_BLOCK, READ)
    for _ in range(6):
        now = line.commands[-1]
        line.say(answer_to(now))
        line.send(now.slot, XFR_BLOCK, READ)
    assert [command.slot for command in line.commands] == [0, 1, 2, 0, 1, 2, 0]


def test_who_waits_is_told_that_it_takes_time() -> None:
    """A slow card's host and another's: libccid's shortest wait for a block is 2 s (`reader.md A.5`)."""
    line = Line(at_once=False).come()
    line.send(0, XFR_BLOCK, READ)
    line.send(1, XFR_BLOCK, READ)
    line.heard(0), line.heard(1)
    line.wait(10.0, noise=TIME_BYTE)
    for slot in (0, 1):
        assert [kind for kind, _ in line.told[slot]] == [MORE_TIME] * len(line.told[slot])
        assert 10 / 0.35 < len(line.told[slot]) < 10 / 0.25
        line.told[slot].clear()
    line.say(answer_to(line.commands[-1]))
    line.say(answer_to(line.commands[-1]))
    assert [line.answer(slot).data for slot in (0, 1)] == [b"\x90\x00"] * 2


def test_a_status_does_not_wait_for_another_slots_card() -> None:
    line = Line(at_once=False).come()
    line.send(0, XFR_BLOCK, READ)
    for _ in range(3):
        line.send(1, GET_SLOT_STATUS)
        line.wait(STATUS_WITHIN_S + 0.04, noise=TIME_BYTE)
        assert line.answer(1).status == ICC_INACTIVE
    assert [command.kind for command in line.commands][-1] == XFR_BLOCK


def test_an_answer_that_the_host_no_longer_waits_for_is_dropped() -> None:
    line = Line(at_once=False).come()
    line.send(0, XFR_BLOCK, READ, 1)
    slow = line.commands[-1]
    line.send(0, ICC_POWER_ON, b"", 2)
    assert line.commands[-1] == slow
    line.say(answer_to(slow, b"\x69\x85"))
    assert line.heard(0) == []
    line.say(answer_to(slow, b"\x69\x85"))
    line.say(answer_to(line.commands[-1], bytes.fromhex("3B00")))
    assert (answer := line.answer(0)).seq == 2
    assert answer.data == bytes.fromhex("3B00")


def test_an_answer_to_another_command_is_no_answer() -> None:
    line = Line(at_once=False).come()
    line.send(0, XFR_BLOCK, READ)
    asked = line.commands[-1]
    for other in (
        Answer(ANSWER_TO[XFR_BLOCK], 1, asked.seq, 0, 0, b"\x90\x00"),
        Answer(ANSWER_TO[XFR_BLOCK], 0, asked.seq - 1 & 0xFF, 0, 0, b"\x90\x00"),
        Answer(ANSWER_TO[GET_SLOT_STATUS], 0, asked.seq, 0),
    ):
        line.say(frame(other.to_bytes()))
    assert line.heard(0) == []


@pytest.mark.parametrize("lost", ["silent", "damaged"])
def test_a_lost_answer_is_asked_for_again_of_our_firmware(lost: str) -> None:
    line = Line(1, OURS, at_once=False).come()
    line.send(0, XFR_BLOCK, VERIFY)
    first = line.commands[-1]
    if lost == "damaged":
        line.say(answer_to(first)[:-1] + b"\x00")
    else:
        line.wait(SILENCE_S + 0.1)
    assert line.commands[-2:] == [first, first]
    line.say(answer_to(first))
    assert line.answer(0).data == b"\x90\x00"


@pytest.mark.parametrize(("name", "kind"), [(FOREIGN, XFR_BLOCK), (OURS, SECURE)], ids=["foreign", "PIN entry"])
@pytest.mark.parametrize("lost", ["silent", "damaged"])
def test_what_would_happen_twice_is_not_asked_again(name: bytes, kind: int, lost: str) -> None:
    line = Line(1, name, at_once=False).come()
    line.send(0, kind, VERIFY)
    count = len(line.commands)
    if lost == "damaged":
        line.say(answer_to(line.commands[-1])[:-1] + b"\x00")
    else:
        line.wait(SILENCE_S + 0.1)
    assert len(line.commands) == count
    assert line.bridge.hung


@pytest.mark.parametrize("name", [OURS, FOREIGN])
def test_after_a_nak_the_same_command_is_sent_again(name: bytes) -> None:
    line = Line(1, name, at_once=False).come()
    line.send(0, XFR_BLOCK, VERIFY)
    count = len(line.commands)
    line.say(NAK_FRAME)
    assert line.commands[count:] == [line.commands[count - 1]]
    for _ in range(TRIES - 1):
        line.say(NAK_FRAME)
    assert line.bridge.hung


@pytest.mark.parametrize(("noise", "within"), [(b"", SILENCE_S * TRIES), (b"\x80", TOTAL_S), (b"U", SILENCE_S * TRIES)])
def test_a_reader_that_does_not_answer_is_given_up(noise: bytes, within: float) -> None:
    """Silent, without end asking for time, or babbling."""
    line = Line(1, at_once=False).come()
    line.send(0, XFR_BLOCK, READ)
    line.wait(within + 1.0, noise=noise)
    assert line.bridge.hung
    line.heard(0)
    line.bridge.reader_left(line.now)
    line.settle()
    answer = line.answer(0)
    assert (answer.icc, answer.error, answer.failed) == (ICC_ABSENT, 0xFE, True)
    assert not line.bridge.hung


def test_a_card_that_left_with_the_reader_was_removed() -> None:
    """Long enough for pcscd, which looks every 0.4 s, to see it twice."""
    line = Line().come()
    line.send(0, ICC_POWER_ON)
    line.heard(0)
    line.bridge.reader_left(line.now)
    line.commands.clear()
    line.come()
    assert [command.slot for command in line.commands if command.kind == ICC_POWER_OFF] == [0, 1]
    seen = []
    for _ in range(5):
        line.send(0, GET_SLOT_STATUS)
        seen.append(line.answer(0).icc)
        line.wait(0.4)
    assert seen == [ICC_ABSENT] * 4 + [ICC_INACTIVE]
    assert EMPTY_S < 4 * 0.4


def test_what_waits_when_the_reader_leaves_is_answered() -> None:
    line = Line(at_once=False).come()
    line.send(0, XFR_BLOCK, READ, 7)
    line.send(1, ICC_POWER_ON, b"", 8)
    line.bridge.reader_left(line.now)
    line.settle()
    assert [(answer.seq, answer.icc, answer.error) for answer in line.heard(0)] == [(7, ICC_ABSENT, 0xFE)]
    assert [(answer.seq, answer.icc, answer.error) for answer in line.heard(1)] == [(8, ICC_ABSENT, 0xFE)]
    assert not line.bridge.busy


def test_a_damaged_command_is_refused() -> None:
    line = Line(1).come()
    line.commands.clear()
    line.bridge.from_host(0, frame(Command(XFR_BLOCK, 0, 1, READ).to_bytes())[:-1] + b"\x00", line.now)
    line.wait(0.3)
    assert [kind for kind, _ in line.told[0]] == [REFUSED]
    assert line.commands == []
    line.send(0, GET_SLOT_STATUS)
    assert line.answer(0).icc == ICC_INACTIVE


def test_power_off_at_the_end_leaves_no_card_powered() -> None:
    line = Line()
    line.come()
    line.card = ICC_ACTIVE
    line.send(1, ICC_POWER_ON)
    line.commands.clear()
    line.bridge.power_off(line.now)
    line.settle()
    assert [(command.kind, command.slot) for command in line.commands] == [(ICC_POWER_OFF, 1)]
    assert not line.bridge.busy


WELL_FORMED = st.builds(
    lambda kind, slot, seq, data: frame(Command(kind, slot, seq, data).to_bytes()),
    st.sampled_from([XFR_BLOCK, GET_SLOT_STATUS, ESCAPE, ICC_POWER_ON, ICC_POWER_OFF, SECURE, 0x00, 0x7F]),
    st.sampled_from([0, 0, 0, 1]),
    st.integers(0, 255),
    st.binary(max_size=20),
)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("host"), st.integers(0, 1), st.one_of(WELL_FORMED, st.binary(max_size=30))),
        st.tuples(st.just("reader"), st.just(0), st.binary(max_size=30)),
        st.tuples(st.just("answers"), st.integers(0, 2), st.just(b"")),
        st.tuples(st.sampled_from(["comes", "leaves"]), st.just(0), st.just(b"")),
        st.tuples(st.just("waits"), st.integers(1, 30), st.just(b"")),
    ),
    max_size=40,
)


@given(EVENTS)
def test_whatever_happens_each_command_has_one_echo_and_at_most_one_answer(
    events: list[tuple[str, int, bytes]],
) -> None:
    """And it is the last one's; once the reader has left nobody waits. An echo that gets no answer is followed by
    another command's."""
    bridge, now = Bridge(2), 0.0
    hosts = [FrameParser(from_reader=True), FrameParser(from_reader=True)]
    asked: list[Command | None] = [None, None]
    reader, at_reader = FrameParser(from_reader=False), list[Command]()

    def settle() -> None:
        while taken := bridge.outgoing():
            for to, data in taken:
                if to == READER:
                    found = [Command.from_bytes(message) for _, message in reader.feed(data)]
                    at_reader.extend(found)
                    assert all(0 <= command.slot < 2 for command in found)
                    continue
                for kind, message in hosts[to].feed(data):
                    if kind == MESSAGE and is_answer(message):
                        answer, command = Answer.from_bytes(message), asked[to]
                        assert command is not None
                        assert (answer.seq, answer.slot) == (command.seq, command.slot)
                        asked[to] = None
                    elif kind == MESSAGE:
                        asked[to] = Command.from_bytes(message)
                    else:
                        assert kind in (MORE_TIME, REFUSED)
                assert not hosts[to].partial

    for what, number, data in events:
        if what == "host":
            bridge.from_host(number, data, now)
        elif what == "reader":
            bridge.from_reader(data, now)
        elif what == "answers" and at_reader:
            command = at_reader[-1]
            bridge.from_reader(answer_to(command) if command.kind in ANSWER_TO else NAK_FRAME, now)
        elif what == "comes":
            bridge.reader_left(now)
            bridge.reader_came(now)
        elif what == "leaves":
            bridge.reader_left(now)
        elif what == "waits":
            now += number / 10
            bridge.tick(now)
        settle()
    bridge.reader_left(now)
    settle()
    now += 1.0
    bridge.tick(now)
    settle()
    assert asked == [None, None]


@given(st.lists(st.integers(1, 12), min_size=1), st.binary(max_size=6).filter(lambda noise: 3 not in noise))
def test_frames_may_come_in_any_pieces_after_anything(pieces: list[int], noise: bytes) -> None:
    """Noise without SYNC, which would begin a frame of its own until the line is quiet."""
    line = Line(1, at_once=False).come()

    def dribble(data: bytes, take: Callable[[bytes, float], None]) -> None:
        at = 0
        while at < len(data):
            for piece in pieces:
                take(data[at : at + piece], line.now)
                at += piece

    dribble(
        noise + frame(Command(XFR_BLOCK, 0, 9, READ).to_bytes()), lambda data, now: line.bridge.from_host(0, data, now)
    )
    line.settle()
    dribble(noise.replace(b"\x50", b"") + answer_to(line.commands[-1]), line.bridge.from_reader)
    line.settle()
    assert (line.answer(0).seq, line.commands[-1].data) == (9, READ)
