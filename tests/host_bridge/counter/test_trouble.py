"""A counter whose card, reader or journal fails in the middle of a visit."""

from pathlib import Path
from typing import Any

import pytest

from hardware.virtual.people import GALLERY, load_person, make_card
from host_bridge.counter.visit import NotNow
from host_bridge.journal.errors import JournalRolledBack
from host_bridge.readers.reader import CardMute, CardRemoved, ReaderUnavailable
from host_bridge.readers.virtual import VirtualReader
from protocols.events.frames import Receipt
from tests.host_bridge.counter.till import D2_LINES, Till, nobody_in


def test_a_rolled_back_journal_stops_everything_and_says_so(till: Till) -> None:
    with pytest.raises(JournalRolledBack, match="epoch=1"):
        till.journal.apply_receipt(
            Receipt(terminal="110102-0012", epoch=1, seq=5, hash="00" * 32, time="2026-11-21T12:00:00.000+08:00")
        )
    till.person("employee")
    assert till.stage() == "stopped"
    assert till.view.refusal is not None
    assert till.view.refusal.number.startswith("J-")
    nobody_in(till, "李＊华")
    till.take()
    assert till.make_counter("110000").view().stage == "stopped"


def test_a_journal_that_stops_while_settling_shows_no_result(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.journal._writes.execute("PRAGMA max_page_count = 1")
    till.journal._writes.execute("PRAGMA query_only = ON")
    till.counter.settle()
    assert (till.view.stage, till.view.result) == ("stopped", None)
    assert till.printer.slips == []
    assert "terminal.result_shown" not in {step for step, _ in till.steps}


def test_another_card_before_settling_is_refused(till: Till) -> None:
    till.reader = swapping = Faulty(till.reader, 0, CardMute())
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    stranger = till.folder / "stranger.card"
    make_card(load_person(GALLERY / "spare.toml"), stranger)
    assert swapping.connection is not None
    swapping.connection.inner = VirtualReader(str(stranger)).connect()
    till.counter.settle()
    assert till.view.refusal is not None
    assert (till.view.stage, till.view.refusal.number) == ("refused", "S-106")
    assert till.settlements() == []


def test_a_card_pulled_before_settling_leaves_no_record(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.slot.unlink()
    with pytest.raises(NotNow) as caught:
        till.counter.settle()
    assert caught.value.stage == "idle"
    assert till.events() == []
    nobody_in(till, "李＊华")


class Faulty:
    """A reader whose card or wire fails at the n-th call that touches it."""

    def __init__(self, reader: Any, at: int, error: Exception) -> None:
        self._reader, self._at, self._error = reader, at, error
        self.calls = 0
        self.connection: FaultyConnection | None = None

    def count(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            raise self._error

    def card_present(self) -> bool:
        present: bool = self._reader.card_present()
        return present

    def connect(self) -> Any:
        self.count()
        self.connection = FaultyConnection(self._reader.connect(), self)
        return self.connection

    def close(self) -> None:
        self._reader.close()


class FaultyConnection:
    def __init__(self, connection: Any, reader: Faulty) -> None:
        self.inner, self._reader = connection, reader

    @property
    def atr(self) -> Any:
        return self.inner.atr

    def transmit(self, command: Any) -> Any:
        self._reader.count()
        return self.inner.transmit(command)

    def reset(self) -> Any:
        self._reader.count()
        return self.inner.reset()

    def disconnect(self) -> None:
        self.inner.disconnect()


@pytest.mark.parametrize("error", [CardRemoved("pulled"), ReaderUnavailable("unplugged"), CardMute("mute")])
def test_a_failure_at_any_exchange_ends_in_a_defined_state(tmp_path: Path, error: Exception) -> None:
    """Every exchange of a whole visit fails once; the next visit goes through."""
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        till = Till(folder, "990101", "P99010100007")
        till.reader = faulty = Faulty(till.reader, at, error)
        _visit_as_far_as_it_goes(till)
        assert till.stage() in {"idle", "bill", "pin", "refused", "done"}
        assert len(till.settlements()) == (till.stage() == "done")
        till.take()
        assert till.stage() == "idle"
        nobody_in(till, "陈＊示", "990101197108240034")
        if faulty.calls < at:
            till.close()
            return
        _visit_as_far_as_it_goes(till)
        assert till.stage() == "done"
        till.close()


def test_what_nobody_foresaw_in_reading_refuses_the_card(till: Till, caplog: pytest.LogCaptureFixture) -> None:
    till.reader = Faulty(till.reader, 3, ZeroDivisionError("李建华"))
    till.person("employee")
    assert till.view.refusal is not None
    assert (till.stage(), till.view.refusal.number) == ("refused", "-16")
    assert "ZeroDivisionError" in caplog.text
    assert "李" not in caplog.text
    till.take()
    till.person("employee")
    assert till.stage() == "bill"


def _visit_as_far_as_it_goes(till: Till) -> None:
    till.person("pharmacy")
    if till.stage() == "idle":
        till.counter.poll()
    try:
        if till.stage() == "pin":
            till.pin("271828")
        if till.stage() == "bill":
            till.counter.enter_bill("41", D2_LINES)
        if till.stage() == "presettled":
            till.counter.settle()
    except NotNow:
        pass


def test_a_reader_that_goes_away_clears_the_visit_and_recovers_by_itself(till: Till) -> None:
    class Gone:
        def card_present(self) -> bool:
            raise ReaderUnavailable("unplugged")

        def close(self) -> None: ...

    till.person("employee")
    there, till.reader = till.reader, Gone()
    till.counter.poll()
    assert (till.view.stage, till.view.reader.state) == ("idle", "away")
    nobody_in(till, "李＊华")
    till.reader = there
    till.counter.poll()
    assert (till.view.stage, till.view.reader.state) == ("bill", "ready")


def test_a_mute_card_is_refused_with_a_note_for_exchange(till: Till) -> None:
    till.slot.write_text("not a card")
    till.counter.poll()
    assert till.view.refusal is not None
    assert till.view.refusal.number == "-4"
    till.counter.print_guide()
    assert "-4" in till.printer.slips[0]
    till.counter.full_cash("card_unreadable")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    assert till.settlements()[0].reason == "S-154"
