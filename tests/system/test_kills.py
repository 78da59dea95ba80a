"""A settlement survives SIGKILL between any two neighbouring durable steps of terminal and inbox (issue 2-7).

Real processes: reader firmware, terminal, broker, centre. At each step one process dies there while a bill is settled;
it is started again, and in the end paper, journal and ledger agree.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from hardware.virtual.demo import check
from hardware.virtual.morning import load_morning
from hardware.virtual.processes import Process, SiteError, wait_until
from hardware.virtual.site import Counter, Site
from protocols.events.steps import INBOX_STEPS, TERMINAL_STEPS

pytestmark = pytest.mark.timeout(300)

KILLED = str(Path(__file__).with_name("killed.py"))
BILL = {"med_type": "11", "lines": [{"code": "F3004", "cnt": "1"}]}
CARD = "spare"
BEFORE_THE_RESULT = {"terminal.before_event", "terminal.event_written"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A broker, a centre and one counter."""
    site = Site(tmp_path_factory.mktemp("site") / "site", load_morning().counter[:1])
    try:
        site.start()
        yield site
    finally:
        site.stop()


def ended(process: Process | None) -> Callable[[], bool]:
    return lambda: process is not None and not process.running()


@contextmanager
def armed(config: Path) -> Iterator[None]:
    """From now on a process with this configuration dies at its step."""
    mark = config.with_name("armed")
    mark.touch()
    try:
        yield
    finally:
        mark.unlink()


def uploaded(counter: Counter) -> None:
    counter.wait("the centre's receipt", lambda state: state["upload"]["backlog"] == 0, 60)


def settle(site: Site, counter: Counter) -> dict[str, Any]:
    """Insert, bill, settle, take the card; returns the last state seen."""
    counter.wait_idle()
    site.insert(counter.terminal, CARD)
    try:
        counter.wait("the card to be read", lambda state: state["stage"] == "bill")
        counter.post("bill", BILL)
        counter.post("settle", {})
        return counter.wait("the receipt", lambda state: state["stage"] == "done" and state["result"]["printed"])
    finally:
        site.remove(counter.terminal, CARD)


def events_of(counter: Counter) -> list[dict[str, Any]]:
    past = counter.past()
    return [each for each in past if each["kind"] == "settlement"]


def test_killed_at_every_step_nothing_is_lost_or_doubled(site: Site) -> None:
    (counter,) = site.counters.values()
    visits = 0
    for step in TERMINAL_STEPS:
        counter.processes["terminal"].stop()
        counter.start_terminal((sys.executable, KILLED, "terminal", step))
        doomed = counter.processes["terminal"]
        known = len(events_of(counter))
        with armed(counter.config):
            with suppress(SiteError, OSError, HTTPException):
                settle(site, counter)
            wait_until(f"the terminal to die at {step}", ended(doomed), 60)
        counter.start_terminal()
        counter.wait("reader and centre", lambda state: state["reader"]["state"] == state["centre"]["state"] == "ready")
        written = len(events_of(counter)) - known
        assert written == (0 if step in BEFORE_THE_RESULT else 1), step
        visits += written
        if written and not any(site_paper_has(counter, each["event_id"]) for each in events_of(counter)[:1]):
            counter.post("reprint", {"event_id": events_of(counter)[0]["event_id"]})
        uploaded(counter)
    for step in INBOX_STEPS:
        assert site.centre is not None
        site.centre.stop()
        site.start_centre((sys.executable, KILLED, "centre", step))
        counter.wait("the centre", lambda state: state["centre"]["state"] == "ready")
        with armed(site.config):
            settle(site, counter)
            wait_until(f"the centre to die at {step}", ended(site.centre), 60)
        visits += 1
        site.start_centre()
        uploaded(counter)
    site.stop()
    result = check(site.folder, visits)
    assert result["problems"] == []
    assert result["settled"] == result["ledgered"] == visits == len(TERMINAL_STEPS) + len(INBOX_STEPS) - 2


def site_paper_has(counter: Counter, event_id: str) -> bool:
    return any(f"#{event_id} " in slip.read_text() for slip in counter.paper.glob("*.txt"))
