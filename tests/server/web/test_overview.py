"""The overview's figures, attention and stream, from bills booked by the real inbox."""

from datetime import timedelta

import msgspec
import pytest

from protocols.events.topics import topic
from protocols.settlement.bill import Accumulators
from server.web.overview import Balance, overview
from server.web.pictures import Overview
from server.web.stream import read_cursor, stream_lines, write_cursor
from server.web.terminals import terminal_rows
from tests.server.web.centre import Centre, Morning, Terminal


def _overview(centre: Centre) -> Overview:
    with centre.store.read() as connection:
        return overview(connection, centre.clock.wall(), Balance(), listening=True, writing=True)


def _reasons(centre: Centre, terminal: Terminal) -> dict[str, str]:
    """Tone by the English words of each reason."""
    with centre.store.read() as connection:
        (row,) = terminal_rows(connection, centre.clock.wall(), only=terminal.id)
    return {reason.text.en: reason.tone for reason in row.reasons}


def test_the_six_figures(morning: Morning) -> None:
    """Worked by hand (BJ-E: 1800.00, 70 %, rounding by bill; inscope before 1650.35).

    191.67: 175.00 in scope, 149.65 deductible, fund 25.35 x 70 % = 17.75 (17.745). 250.01: 225.00 in scope, fund
    157.50. 83.34 provisional on the old basis: 75.00 all deductible, fund 0; in order of arrival fund 52.50. The other
    bills: 37.20 from an account, 22.40 and 53.30 of a resident below the deductible, 12.50 cash; 63.20 was refunded.
    """
    figures = _overview(morning.centre).figures
    assert (figures.online, figures.terminals) == (2, 3)
    assert figures.settled == 8
    assert figures.total_fen == 19167 + 25001 + 8334 + 3720 + 2240 + 5330 + 1250
    assert figures.fund_fen == 1775 + 15750 + 5250
    assert figures.adjusted_fen == 5250
    assert (figures.provisional, figures.full_cash) == (1, 1)
    assert figures.differences == 2, "the open adjustment and the quarantined event"
    assert figures.differences_oldest is not None
    assert figures.differences_oldest.startswith("2026-11-21T12:18")


def test_the_books(morning: Morning) -> None:
    books = _overview(morning.centre).books
    assert (books.off_fen, books.gaps, books.alarms) == (0, 0, 1)
    assert books.chained == 7 + 4 + 2


def test_the_balance_is_kept_by_adding(morning: Morning) -> None:
    balance = Balance()
    for _ in range(2):
        with morning.centre.store.read() as connection:
            assert balance.of(connection) == 0
        morning.clinic.send(morning.clinic.settle("employee", ("X1001", "1")))


def test_minutes_and_what_was_drained(morning: Morning) -> None:
    seen = _overview(morning.centre)
    assert len(seen.minutes) == 60
    assert sum(minute.settled for minute in seen.minutes) == 8
    (late,) = [minute for minute in seen.minutes if (minute.latency_s or 0) > 5]
    assert late.latency_s == pytest.approx(540.24)
    assert "补传 1 笔，最久 09:00" in {note.at: note.text.zh for note in seen.notes}[late.at]


def test_terminals_that_come_back_together_are_noted(centre: Centre) -> None:
    for number in range(3):
        centre.enrol(f"T{number}", "示范药房").presence()
    (note,) = _overview(centre).notes
    assert "3 台终端上线" in note.text.zh


def test_yesterdays_bill_that_arrives_today_counts_yesterday(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    centre.clock.now -= timedelta(days=1)
    sent = terminal.settle("employee", ("X1001", "1"))
    centre.clock.now += timedelta(days=1)
    terminal.send(sent)
    seen = _overview(centre)
    assert seen.figures.settled == 0
    assert sum(minute.settled for minute in seen.minutes) == 1


def test_a_quiet_centre_needs_nobody(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.presence()
    terminal.send(terminal.settle("employee", ("X1001", "1")))
    seen = _overview(centre)
    assert (seen.healthy, seen.unwell, seen.attention) == (1, 0, ())
    with centre.client() as client:
        for path in ("/", "/terminals", "/settlements", "/differences", "/quarantine", "/alarms"):
            text = client.get(path).text
            assert 'data-tone="amber"' not in text
            assert 'data-tone="red"' not in text
            assert 'data-state="attention"' not in text.replace('link-lost" data-state="attention"', "")


def test_a_terminal_that_falls_silent_is_offline(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.presence()
    centre.clock.now += timedelta(seconds=94)
    assert _reasons(centre, terminal) == {}
    centre.clock.now += timedelta(minutes=5)
    assert _overview(centre).figures.online == 0
    assert list(_reasons(centre, terminal).values()) == ["amber"]
    terminal.presence()
    assert (_overview(centre).figures.online, _reasons(centre, terminal)) == (1, {})


def test_reasons_in_words(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.presence()
    assert _reasons(centre, terminal) == {}

    terminal.end = 38
    terminal.presence(oldest=centre.clock.now - timedelta(minutes=37, seconds=12))
    assert _reasons(centre, terminal) == {"38 waiting 37:12": "amber"}

    terminal.presence("death")
    centre.clock.move(37 * 60)
    assert _reasons(centre, terminal) == {"Offline 37 min": "amber"}


def test_a_fresh_backlog_needs_nobody(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.end = 2
    terminal.presence(oldest=centre.clock.now - timedelta(seconds=5))
    assert _reasons(centre, terminal) == {}
    figures = _overview(centre).figures
    assert (figures.waiting_terminals, figures.waiting_events, figures.oldest_s) == (1, 2, 5)


def test_locked_pins_in_a_row(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.presence()
    for _ in range(3):
        assert _reasons(centre, terminal) == {}
        terminal.send(terminal.refuse("-52"))
    assert _reasons(centre, terminal) == {"3 locked PINs in 10 min": "amber"}
    centre.clock.move(601)
    terminal.presence()
    assert _reasons(centre, terminal) == {}


def test_an_untrusted_clock(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.presence()
    terminal.trusted = False
    terminal.send(terminal.settle("employee", ("X1001", "1")))
    assert _reasons(centre, terminal) == {"Clock not trusted": "amber"}
    terminal.trusted = True
    terminal.send(terminal.settle("employee", ("X1001", "1")))
    assert _reasons(centre, terminal) == {}


def test_a_gap_and_a_stop(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.presence(counter="stopped", reader="away")
    first, second = terminal.refuse(), terminal.refuse()
    terminal.send(second)
    assert _reasons(centre, terminal) == {
        "Gap, 1 held behind it": "amber",
        "Stopped settling": "red",
        "Reader away": "amber",
    }
    assert _overview(centre).books.gaps == 1
    terminal.send(first)
    assert _overview(centre).books.gaps == 0


def test_two_histories_are_a_stop_and_come_first(morning: Morning) -> None:
    centre, pharmacy = morning.centre, morning.pharmacy
    clone = pharmacy.frame(pharmacy.settle("pharmacy", ("X1003", "1"), med_type="41"))
    pharmacy.send(pharmacy.refuse())
    centre.take(topic(pharmacy.id, "event"), clone)
    centre.take(topic(pharmacy.id, "event"), clone.replace(b'"epoch":1,"entries"', b'"epoch":9,"entries"'))
    first = _overview(centre).attention[0]
    assert (first.id, first.tone) == (pharmacy.id, "red")
    assert first.reasons[0].link == f"/alarms?terminal={pharmacy.id}"


def test_stream_lines_lead_to_their_cause(morning: Morning) -> None:
    lines = _overview(morning.centre).lines
    kinds = {line.kind for line in lines}
    assert kinds == {"settlement", "refund", "refusal", "adjustment", "quarantine"}
    assert [line.time for line in lines] == sorted((line.time for line in lines), reverse=True)
    by_kind = {line.kind: line for line in lines}
    assert by_kind["refund"].link == f"/event/{morning.refund.id}"
    assert by_kind["refund"].amount_fen == -6320
    assert by_kind["adjustment"].link == f"/event/{morning.provisional.id}"
    assert by_kind["quarantine"].link == f"/event/{morning.quarantined.id}"
    assert by_kind["refusal"].amount_fen is None


def test_the_stream_resumes_after_a_cursor(morning: Morning) -> None:
    centre = morning.centre
    seen = read_cursor(write_cursor(_overview(centre).cursor))
    with centre.store.read() as connection:
        assert stream_lines(connection, after=seen) == ()
    sent = morning.clinic.settle("employee", ("X1001", "1"))
    centre.clock.move(1)
    morning.clinic.send(sent)
    with centre.store.read() as connection:
        (line,) = stream_lines(connection, after=seen)
    assert line.link == f"/event/{sent.id}"


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.2.3.4", "-1.2.3", "1.2.x", "\u0661.2.3", "1.2.3\n", "9" * 30 + ".1.1"]
)
def test_texts_that_are_no_cursor(text: str) -> None:
    with pytest.raises(ValueError):
        read_cursor(text)


def test_an_event_outside_the_calendar_is_shown(centre: Centre) -> None:
    """A clock that claims the year 9999 west of Shanghai has no moment in Shanghai."""
    terminal = centre.enrol("T1", "示范药房")
    sent = terminal.settle("employee", ("X1001", "1"))
    data = sent.data.replace(b"2026-11-21T12:41:07.000+08:00", b"9999-12-31T23:59:59.000-08:00")
    terminal.send(sent._replace(data=data))
    with centre.client() as client:
        assert client.get("/").status_code == 200
        assert client.get(f"/event/{sent.id}").status_code == 200
        assert client.get("/terminals").status_code == 200


def test_a_basis_that_still_holds_is_no_difference(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    terminal.send(terminal.settle("employee", ("X1001", "1"), mode="provisional"))
    assert _overview(centre).figures.differences == 0


def test_many_lines_are_bounded(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    basis = (0, Accumulators(0, 0))
    terminal.send(*(terminal.settle("spare", ("X1001", "1"), mode="full_cash", basis=basis) for _ in range(60)))
    assert len(_overview(centre).lines) == 40
    assert msgspec.json.encode(_overview(centre))
