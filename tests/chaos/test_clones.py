"""Old copies and clones of a journal: the terminal stops for good, the centre keeps evidence and overwrites nothing.

Real parts: mosquitto and `ssc server run` as processes; every device is the whole terminal of `ssc terminal run`, in
this process. Bills are paid in full cash without a card, so that a device also settles while the centre is away.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hardware.virtual.processes import wait_until
from host_bridge.clock import SystemClock
from host_bridge.config import load_config
from host_bridge.counter.visit import NotNow
from host_bridge.daemon import Terminal
from host_bridge.enrol import Enrolled, enrol
from host_bridge.journal.errors import JournalRolledBack
from host_bridge.journal.reader import JournalReader
from protocols.events.frames import Entry, Frame
from protocols.events.topics import topic
from protocols.settlement.bill import FeeLine
from protocols.texts.catalogue import texts
from tests.server.conftest import Mosquitto
from tests.server.mqtt import Party
from tests.server.test_run import Site

pytestmark = pytest.mark.timeout(240)

INSTITUTION = ("--institution", "H11010200012", "--name", "示范社区卫生服务中心", "--city", "110000")
OLD_COPY = texts()["journal_old_copy"].number
TWO_HISTORIES, ROLLED_BACK, TWO_EPOCHS = (
    texts()[key].number for key in ("event_conflict", "journal_rolled_back", "frame_epoch")
)
WITHIN_S = 60.0
_SERIAL = count(1)


class Device:
    """A counter over one state folder; starting it again is the next process."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        folder.mkdir()
        (folder / "terminal.toml").write_text(
            f'[terminal]\nstate = "state"\nreader = "virtual:{folder}/none.card"\nprinter = "file:{folder}/paper"\n'
            'clerk = "07"\nsimulated = true\n[clock]\ntrusted = "always"\n'
        )
        (folder / "paper").touch()
        self._terminal: Terminal | None = None

    @property
    def terminal(self) -> Terminal:
        assert self._terminal is not None
        return self._terminal

    def start(self) -> None:
        self._terminal = Terminal(load_config(self.folder / "terminal.toml"))
        self._terminal.start()

    def stop(self) -> None:
        if self._terminal is not None:
            self._terminal.stop()
            self._terminal = None

    def enrol(self, site: Site) -> Enrolled:
        """A new epoch by a new code."""
        code = site.ssc("terminal", "add", "--terminal", self.name, *INSTITUTION, "--json")["code"]
        return enrol(self.folder / "state", site.ready["enrol"], code, SystemClock("always"), secret=bytes(32))

    def copy(self) -> "Device":
        """The image of its disk, in another device."""
        other = Device(self.name, self.folder.with_name(f"{self.folder.name}-copy"))
        shutil.copytree(self.folder / "state", other.folder / "state")
        return other

    def settle(self, *prices: str) -> None:
        """Bills in full cash without a card."""
        counter, journal = self.terminal.counter, self.terminal.journal
        for price in prices:
            counter.full_cash("not_shown")
            counter.enter_bill("11", (FeeLine("03", price, "1"),))
            counter.settle()
            assert journal.find(f"{self.name}/{journal.record.epoch}/{journal.end}")
            counter.finish()

    def uploaded(self) -> None:
        """Until the centre has receipted everything."""
        journal = self.terminal.journal
        wait_until("the centre's receipt", lambda: journal.mark.seq == journal.end, WITHIN_S)

    def has_stopped(self) -> bool:
        """The page says so, and why."""
        view = self.terminal.counter.view()
        return view.stage == "stopped" and view.refusal is not None and view.refusal.number == OLD_COPY

    def hashes(self) -> list[str]:
        with closing(JournalReader(self.folder / "state" / "journal.db")) as journal:
            return [stored.hash for stored in journal.after(0, 1000)]


class Books:
    """What the centre has on disk of one terminal."""

    def __init__(self, site: Site, terminal: str) -> None:
        self._path, self._terminal = site.directory / "centre.db", terminal

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=10)) as store:
            return store.execute(sql, (self._terminal, *values)).fetchall()

    def hashes(self, epoch: int = 1) -> list[str]:
        """Of the events that are booked, in order of their numbers."""
        return [
            digest
            for (digest,) in self._rows(
                "SELECT hash FROM events JOIN bookings USING (terminal, epoch, seq)"
                " WHERE terminal = ? AND epoch = ? ORDER BY seq",
                epoch,
            )
        ]

    def alarms(self) -> set[str]:
        return {number for (number,) in self._rows("SELECT number FROM alarms WHERE terminal = ?")}

    def counter_says(self) -> str:
        """What the terminal's last birth said of its counter."""
        ((counter,),) = self._rows("SELECT counter FROM presence WHERE terminal = ?")
        return str(counter)

    def evidence(self, number: str) -> set[str]:
        """The events in frames kept for this reason."""
        frames = self._rows("SELECT payload FROM evidence WHERE terminal = ? AND number = ?", number)
        return {entry["event"]["id"] for (frame,) in frames for entry in json.loads(frame)["entries"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    broker = Mosquitto(tmp_path_factory.mktemp("clones"))
    broker.start()
    site = Site(broker)
    site.run()
    yield site
    site.close()
    broker.stop()


@pytest.fixture
def device(site: Site, tmp_path: Path) -> Iterator[Device]:
    """An enrolled terminal with two receipted bills, switched off."""
    device = Device(f"110102-{next(_SERIAL):04d}", tmp_path / "device")
    device.enrol(site)
    device.start()
    device.settle("10.00", "20.00")
    device.uploaded()
    device.stop()
    yield device
    device.stop()


@pytest.fixture
def twin(device: Device) -> Iterator[Device]:
    """A copy of its disk."""
    twin = device.copy()
    yield twin
    twin.stop()


@pytest.fixture
def books(site: Site, device: Device) -> Books:
    return Books(site, device.name)


@contextmanager
def line_down(site: Site) -> Iterator[None]:
    """The broker is away and forgets everything."""
    site.broker.stop()
    try:
        yield
    finally:
        site.broker.start()


def stopped_for_good(device: Device) -> None:
    """It says so and writes nothing, also after a restart."""
    wait_until("the terminal to stop", device.has_stopped, WITHIN_S)
    for _ in range(2):
        journal, end = device.terminal.journal, device.terminal.journal.end
        assert isinstance(journal.stopped, JournalRolledBack)
        with pytest.raises(NotNow):
            device.settle("1.00")
        with pytest.raises(JournalRolledBack):
            journal.next_mdtrt_id()
        assert journal.end == end
        device.stop()
        device.start()
        assert device.has_stopped()


def test_an_old_copy_stops_at_the_first_receipt(books: Books, device: Device, twin: Device) -> None:
    device.start()
    device.settle("30.00", "40.00")
    device.uploaded()
    device.stop()
    twin.start()
    stopped_for_good(twin)
    assert ROLLED_BACK in books.alarms()
    wait_until("the centre to know that it stopped", lambda: books.counter_says() == "stopped", WITHIN_S)
    assert books.hashes() == device.hashes()


@pytest.mark.parametrize("bills", [1, 2, 3])
def test_numbers_used_again_are_evidence_and_overwrite_nothing(
    site: Site, books: Books, device: Device, twin: Device, bills: int
) -> None:
    """The copy settled while the line was down: fewer bills than the original, as many, or more."""
    device.start()
    device.settle("30.00", "40.00")
    device.uploaded()
    device.stop()
    with line_down(site):
        twin.start()
        twin.settle(*["77.00"] * bills)
    stopped_for_good(twin)
    wait_until("the evidence", lambda: f"{device.name}/1/3" in books.evidence(TWO_HISTORIES), WITHIN_S)
    assert TWO_HISTORIES in books.alarms()
    assert twin.terminal.journal.mark.seq == 2
    assert books.hashes() == device.hashes()


def test_of_two_running_copies_the_one_that_falls_behind_stops(books: Books, device: Device, twin: Device) -> None:
    device.start()
    twin.start()
    device.settle("30.00")
    stopped_for_good(twin)
    assert ROLLED_BACK in books.alarms()
    links = [each.terminal.link for each in (device, twin)]
    wait_until(
        "the session to be seen taken over",
        lambda: "link_taken_over" in {link.centre.trouble for link in links},
        WITHIN_S,
    )
    device.settle("40.00")
    device.uploaded()
    assert not device.has_stopped()
    assert books.hashes() == device.hashes()


def test_of_two_copies_that_settled_apart_one_stands_and_one_stops(
    site: Site, books: Books, device: Device, twin: Device
) -> None:
    with line_down(site):
        device.start()
        twin.start()
        device.settle("30.00")
        twin.settle("40.00", "50.00")
    wait_until("one to stop", lambda: device.has_stopped() or twin.has_stopped(), WITHIN_S)
    loser, winner = (device, twin) if device.has_stopped() else (twin, device)
    winner.uploaded()
    stopped_for_good(loser)
    assert not winner.has_stopped()
    assert loser.terminal.journal.mark.seq == 2
    wait_until("the evidence", lambda: f"{device.name}/1/3" in books.evidence(TWO_HISTORIES), WITHIN_S)
    assert TWO_HISTORIES in books.alarms()
    assert books.hashes() == winner.hashes()


def late_frame(device: Device) -> bytes:
    """All events of a device's journal, as it would still send them."""
    with closing(JournalReader(device.folder / "state" / "journal.db")) as journal:
        events = journal.after(0, 1000)
        return msgspec.json.encode(
            Frame(
                terminal=device.name,
                epoch=journal.record.epoch,
                entries=tuple(Entry(msgspec.Raw(each.data), each.person) for each in events),
                signature=events[-1].signature,
            )
        )


def test_a_new_code_begins_a_new_epoch_and_the_old_one_is_evidence(
    site: Site, books: Books, device: Device, twin: Device
) -> None:
    twin.start()
    device.start()
    device.settle("30.00")
    stopped_for_good(twin)
    device.stop()
    with line_down(site):
        device.start()
        device.settle("40.00")
        device.stop()
    twin.stop()
    enrolled = twin.enrol(site)
    assert (enrolled.record.epoch, enrolled.stranded) == (2, 0)
    device.start()
    wait_until("the old epoch to be refused", lambda: device.terminal.link.centre.trouble == "link_refused", WITHIN_S)
    device.settle("50.00")
    device.stop()
    party = Party(site.broker.port, device.name, enrolled.record.mqtt_password, device.name)
    assert party.publish(topic(device.name, "event"), late_frame(device)) == 0
    party.close()
    wait_until("the evidence", lambda: f"{device.name}/1/5" in books.evidence(TWO_EPOCHS), WITHIN_S)
    assert TWO_EPOCHS in books.alarms()
    twin.start()
    twin.settle("60.00")
    twin.uploaded()
    assert (books.hashes(1), books.hashes(2)) == (device.hashes()[:3], twin.hashes())
