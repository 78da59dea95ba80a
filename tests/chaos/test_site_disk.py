"""A running terminal and a running centre whose disks fail: a clear state, nothing acknowledged, and it goes on."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from hardware.virtual.demo import check
from hardware.virtual.morning import load_morning
from hardware.virtual.processes import SiteError, ask, wait_until
from hardware.virtual.site import Counter, Site
from tests.chaos.disk_fault import FULL, SYNCS_FAIL, disk_fault
from tests.chaos.trace import strace_trouble
from tests.needs import need

pytestmark = pytest.mark.timeout(300)

BILL = {"med_type": "11", "lines": [{"code": "F3004", "cnt": "1"}]}
CARD = "spare"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A broker, a centre and one counter; in the end paper, journal and ledger agree, whatever the disks did."""
    need(strace_trouble())
    site = Site(tmp_path_factory.mktemp("disk") / "site", load_morning().counter[:1])
    try:
        site.start()
        yield site
        (counter,) = site.counters.values()
        uploaded(counter)
        visits = len(counter.past())
    finally:
        site.stop()
    result = check(site.folder, visits)
    assert result["problems"] == []
    assert result["settled"] == result["ledgered"] == visits


@pytest.fixture
def counter(site: Site) -> Counter:
    (counter,) = site.counters.values()
    return counter


def settled(site: Site, counter: Counter, at_settle: AbstractContextManager[None] | None = None) -> dict[str, Any]:
    """One bill; what is shown after it, the card taken out again. `at_settle` lasts from the bill to the end."""
    counter.wait("an idle counter", lambda state: state["stage"] in ("idle", "stopped"))
    site.insert(counter.terminal, CARD)
    try:
        state = counter.wait("the card to be read", lambda state: state["stage"] in ("bill", "stopped"))
        if state["stage"] == "stopped":
            return state
        counter.post("bill", BILL)
        with at_settle or nullcontext():
            counter.post("settle", {})
            return counter.wait(
                "an end", lambda state: state["stage"] == "stopped" or (state["result"] or {}).get("printed", False)
            )
    finally:
        site.remove(counter.terminal, CARD)


def uploaded(counter: Counter) -> None:
    counter.wait("the centre's receipt", lambda state: state["upload"]["backlog"] == 0, 60)


def answer_of(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=15) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ledger(site: Site) -> set[str]:
    """The hashes of every event the centre has booked."""
    return {each["hash"] for each in ask("server", "ledger", "--config", str(site.config), "--json")["events"]}


def printed(counter: Counter, event_id: str) -> bool:
    return any(f"#{event_id} " in slip.read_text() for slip in counter.paper.glob("*.txt"))


@pytest.mark.parametrize("moment", ["at the card", "at settle"])
@pytest.mark.parametrize("fault", [FULL, SYNCS_FAIL])
def test_a_terminal_stops_says_so_and_goes_on_after_a_restart(
    site: Site, counter: Counter, tmp_path: Path, fault: str, moment: str
) -> None:
    settled(site, counter)
    uploaded(counter)
    before = [each["event_id"] for each in counter.past()]
    journal = counter.state_folder / "journal.db"
    files = (journal, journal.with_name("journal.db-wal"))
    failing = disk_fault(counter.processes["terminal"].pid, fault, files, tmp_path / "faults")
    if moment == "at settle":
        state = settled(site, counter, failing)
    else:
        with failing:
            state = settled(site, counter)
    number = {FULL: "J-001", SYNCS_FAIL: "J-002"}[fault]
    assert (state["stage"], state["refusal"]["number"], state["result"]) == ("stopped", number, None)
    assert not {"bill", "settle", "full_cash", "refund"} & set(state["actions"])
    assert counter.state()["stage"] == "stopped"
    assert answer_of(f"{counter.web}/health")[0] == 503
    with pytest.raises(SiteError):
        counter.post("bill", BILL)
    assert [each["event_id"] for each in counter.past()] == before
    counter.processes["terminal"].stop()
    counter.start_terminal()
    counter.wait("reader and centre", lambda state: state["reader"]["state"] == state["centre"]["state"] == "ready")
    after = [each["event_id"] for each in counter.past()]
    assert after[-len(before) :] == before
    for event_id in after:
        if not printed(counter, event_id):
            counter.post("reprint", {"event_id": event_id})
    assert settled(site, counter)["stage"] == "done"
    uploaded(counter)


@pytest.mark.parametrize("fault", [FULL, SYNCS_FAIL])
def test_a_centre_receipts_nothing_says_so_and_goes_on_by_itself(
    site: Site, counter: Counter, tmp_path: Path, fault: str
) -> None:
    uploaded(counter)
    assert site.centre is not None
    store = site.centre_folder / "centre.db"
    files = (store, store.with_name("centre.db-wal"))
    known = counter.state()["upload"]["through"]
    with disk_fault(site.centre.pid, fault, files, tmp_path / "faults"):
        assert settled(site, counter)["stage"] == "done"
        wait_until("the centre not to be ready", lambda: answer_of(f"{site.web}/health/ready")[0] == 503)
        assert answer_of(f"{site.web}/health/ready")[1]["store"] is False
        state = counter.state()
        assert (state["upload"]["backlog"], state["upload"]["through"]) == (1, known)
        assert not counter.past()[0]["received"]
    uploaded(counter)
    wait_until("the centre to be ready", lambda: answer_of(f"{site.web}/health/ready")[0] == 200)


def test_a_centre_with_a_damaged_log_is_given_again_what_it_lost(site: Site, counter: Counter) -> None:
    """SQLite reads its log up to the damage and takes the rest for never committed: receipted events are gone."""
    assert site.centre is not None
    for _ in range(3):
        settled(site, counter)
        uploaded(counter)
    events = ask("terminal", "journal", "--config", str(counter.config), "--json")["events"]
    site.centre.stop(signal.SIGKILL)
    log = site.centre_folder / "centre.db-wal"
    data = bytearray(log.read_bytes())
    data[data.index(events[-3]["hash"].encode())] ^= 0xFF
    log.write_bytes(data)
    assert len(ledger(site)) <= len(events) - 3
    site.start_centre()
    wait_until("everything to be booked again", lambda: ledger(site) == {each["hash"] for each in events})
    alarms = [alarm["number"] for alarm in answer_of(f"{site.web}/api/1/alarms")[1]["alarms"]]
    assert "C-039" in alarms
