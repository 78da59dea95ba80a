"""Power cuts at a part of the boundaries (`make powercut` takes all), and that the instrument sees what it must see."""

from pathlib import Path

import pytest

from tests.chaos.powercut import FAILING, Recording, Result, Schedule, cut_all, scratch
from tests.chaos.trace import strace_trouble
from tests.needs import need

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def traced() -> None:
    need(strace_trouble())


def cut(schedule: Schedule, every: int, *, weakened: bool = False) -> tuple[Recording, Result]:
    with scratch() as room:
        work = Path(room, "work")
        work.mkdir()
        recording = Recording(schedule, work, weakened=weakened)
        return recording, cut_all(recording, recording.places(every), seed=1, variants=2, room=room)


@pytest.mark.parametrize(("side", "every"), [("terminal", 4), ("centre", 15)])
def test_nothing_acknowledged_is_lost(side: str, every: int) -> None:
    recording, result = cut(Schedule(side, "short"), every)
    facts = recording.facts()
    assert facts["checkpoints"] >= 2
    assert facts["writes"] > 150
    assert facts["marks"] > 20
    assert result.images == 4 * len(recording.places(every))
    assert result.faults.told == []


@pytest.mark.parametrize("schedule", FAILING, ids=" ".join)
def test_a_failed_sync_is_not_retried_into_safety(schedule: Schedule) -> None:
    recording, result = cut(schedule, 5 if schedule.side == "terminal" else 30)
    assert recording.facts()["failed_syncs"] >= 1
    assert result.faults.told == []


@pytest.mark.parametrize(("side", "every"), [("terminal", 20), ("centre", 40)])
def test_the_instrument_sees_a_store_that_is_not_durable(side: str, every: int) -> None:
    _, result = cut(Schedule(side, "short"), every, weakened=True)
    assert result.faults.counts["lost"] > 0
