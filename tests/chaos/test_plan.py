"""The plan of a soak: every step, every part, the same for the same seed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.events.steps import INBOX_STEPS, TERMINAL_STEPS
from tests.chaos.plan import BROKER, CENTRE, LEAST_KILLS, make_plan

TERMINALS = ("110102-0000", "990101-0001")


@given(kills=st.integers(LEAST_KILLS, 400), seed=st.integers(0, 2**32))
def test_every_step_and_every_part_is_hit(kills: int, seed: int) -> None:
    plan = make_plan(kills, TERMINALS, seed)
    assert set(plan) == {*TERMINALS, CENTRE, BROKER}
    assert sum(map(len, plan.values())) == kills
    at_terminals = {kill.step for terminal in TERMINALS for kill in plan[terminal]} - {None}
    assert at_terminals == set(TERMINAL_STEPS)
    assert {kill.step for kill in plan[CENTRE]} - {None} == set(INBOX_STEPS)
    assert {kill.step for kill in plan[BROKER]} == {None}
    assert all(kill.passes >= 1 and kill.after_s >= 0 for lane in plan.values() for kill in lane)
    assert plan == make_plan(kills, TERMINALS, seed)


def test_too_few_kills_are_no_plan() -> None:
    with pytest.raises(ValueError, match=str(LEAST_KILLS)):
        make_plan(LEAST_KILLS - 1, TERMINALS, 1)
