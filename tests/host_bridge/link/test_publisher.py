from itertools import pairwise
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from host_bridge.link.publisher import Publisher

S = 1_000


def test_frames_of_twenty_in_a_window_of_four() -> None:
    publisher = Publisher(0, Random(1))
    assert publisher.due(100, 0) == [(1, 20), (21, 40), (41, 60), (61, 80)]
    assert publisher.due(100, 1) == []
    publisher.receipt(20, (), 2)
    assert publisher.due(100, 3) == [(81, 100)]


def test_a_single_event_goes_at_once() -> None:
    publisher = Publisher(7, Random(1))
    assert publisher.due(7, 0) == []
    assert publisher.due(8, 0) == [(8, 8)]
    assert publisher.due(9, 0) == [(9, 9)]


def test_without_a_receipt_it_is_sent_again_ever_more_seldom() -> None:
    publisher = Publisher(0, Random(1))
    publisher.due(1, 0)
    times, now = [0], 0
    while len(times) < 12:
        due = publisher.next_ms()
        assert due is not None
        assert publisher.due(1, due - 1) == []
        assert publisher.due(1, due) == [(1, 1)]
        now = due
        times.append(now)
    pauses = [after - before for before, after in pairwise(times)]
    assert 5 * S <= pauses[0] <= 7.5 * S
    assert 10 * S <= pauses[1] <= 15 * S
    assert all(225 * S <= pause <= 300 * S for pause in pauses[6:])
    assert len(set(pauses[6:])) > 1


def test_progress_ends_the_slowness() -> None:
    publisher = Publisher(0, Random(1))
    publisher.due(40, 0)
    for _ in range(6):
        now = publisher.next_ms()
        assert now is not None
        publisher.due(40, now)
    publisher.due(40, 1_000 * S)
    publisher.receipt(20, (), 1_000 * S)
    assert publisher.due(40, 1_008 * S) == [(21, 40)]


def test_a_restart_sends_everything_behind_the_mark_at_once() -> None:
    publisher = Publisher(0, Random(1))
    publisher.due(30, 0)
    publisher.receipt(20, (), 1)
    publisher.restart()
    assert publisher.due(50, 2) == [(21, 40), (41, 50)]


def test_a_mark_within_a_frame_shortens_it() -> None:
    publisher = Publisher(0, Random(1))
    publisher.due(20, 0)
    publisher.receipt(5, (), 1)
    assert publisher.due(20, 10 * S) == [(6, 20)]


def test_what_the_centre_misses_goes_again_but_not_in_a_storm() -> None:
    publisher = Publisher(0, Random(1))
    publisher.due(60, 0)
    for now in (10, 20, 30):
        publisher.receipt(0, ((1, 20),), now)
        assert publisher.due(60, now) == []
    assert publisher.due(60, 1 * S) == [(1, 20)]
    publisher.receipt(0, ((1, 20), (41, 60)), 3 * S)
    assert publisher.due(60, 3 * S) == [(1, 20), (41, 60)]


@pytest.mark.parametrize("missing", [((61, 80),), ((0, 0),)])
def test_it_does_not_send_what_it_never_sent(missing: tuple[tuple[int, int], ...]) -> None:
    publisher = Publisher(0, Random(1))
    publisher.due(60, 0)
    publisher.receipt(0, missing, 2 * S)
    assert publisher.due(60, 2 * S) == []


def test_an_old_receipt_does_not_take_the_mark_back() -> None:
    publisher = Publisher(0, Random(1))
    publisher.due(40, 0)
    publisher.receipt(40, (), 1)
    publisher.receipt(20, (), 2)
    assert publisher.mark == 40
    assert publisher.due(40, 100 * S) == []


class LossyPath(RuleBasedStateMachine):
    """Terminal, a path that loses, doubles and reorders, and a centre that keeps what lies behind a gap or not."""

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(1)
        self.end = 0
        self.now = 0
        self.durable_mark = 0
        self.publisher = Publisher(0, self.random)
        self.up: list[tuple[int, int]] = []
        self.down: list[tuple[int, tuple[tuple[int, int], ...]]] = []
        self.centre: set[int] = set()

    @rule(events=st.integers(1, 50))
    def append(self, events: int) -> None:
        self.end += events

    @rule(ms=st.integers(0, 20_000))
    def send(self, ms: int) -> None:
        self.now += ms
        ranges = self.publisher.due(self.end, self.now)
        assert ranges == sorted(ranges)
        assert len(ranges) <= 4
        for first, last in ranges:
            assert self.durable_mark < first <= last <= self.end
            assert last - first < 20
        self.up += ranges

    @precondition(lambda self: self.up)
    @rule(data=st.data(), fate=st.sampled_from(["arrives", "doubled", "lost"]))
    def carry_up(self, data: st.DataObject, fate: str) -> None:
        place = data.draw(st.integers(0, len(self.up) - 1))
        frame = self.up[place] if fate == "doubled" else self.up.pop(place)
        if fate != "lost":
            self.take(frame)

    def take(self, frame: tuple[int, int]) -> None:
        self.centre |= set(range(frame[0], frame[1] + 1))
        mark = self.mark()
        behind = [seq for seq in self.centre if seq > mark]
        self.down.append((mark, ((mark + 1, min(behind) - 1),) if behind else ()))

    def mark(self) -> int:
        mark = 0
        while mark + 1 in self.centre:
            mark += 1
        return mark

    @precondition(lambda self: self.down)
    @rule(data=st.data(), fate=st.sampled_from(["arrives", "doubled", "lost"]))
    def carry_down(self, data: st.DataObject, fate: str) -> None:
        place = data.draw(st.integers(0, len(self.down) - 1))
        mark, missing = self.down[place] if fate == "doubled" else self.down.pop(place)
        if fate != "lost":
            self.durable_mark = max(self.durable_mark, mark)
            self.publisher.receipt(self.durable_mark, missing, self.now)

    @rule()
    def connection_lost(self) -> None:
        self.up.clear()
        self.down.clear()
        self.publisher.restart()

    @rule()
    def terminal_killed(self) -> None:
        self.connection_lost()
        self.publisher = Publisher(self.durable_mark, self.random)

    @rule()
    def centre_forgets_what_it_has_not_booked(self) -> None:
        self.centre = set(range(1, self.mark() + 1))

    @invariant()
    def the_mark_is_what_the_centre_has(self) -> None:
        assert self.publisher.mark == self.durable_mark <= self.mark()

    def teardown(self) -> None:
        for _ in range(10 + self.end):
            if self.durable_mark == self.end:
                return
            self.now = max(self.now, self.publisher.next_ms() or 0)
            for frame in [*self.up, *self.publisher.due(self.end, self.now)]:
                self.take(frame)
            self.up.clear()
            while self.down:
                mark, missing = self.down.pop(0)
                self.durable_mark = max(self.durable_mark, mark)
                self.publisher.receipt(self.durable_mark, missing, self.now)
        raise AssertionError(f"stuck at {self.durable_mark} of {self.end}")


LossyPath.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_everything_is_receipted_in_order_whatever_the_path_does = LossyPath.TestCase
