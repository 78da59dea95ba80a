"""One event from chip to ledger."""

import hashlib
from typing import Any

import msgspec
from sqlalchemy import select

from protocols.events.events import event_hash
from server.store.tables import enrolments
from server.web.stream import stream_lines
from tests.server.web.centre import Centre, Morning, Sent


def _event(centre: Centre, sent: Sent) -> dict[str, Any]:
    with centre.client() as client:
        assert client.get(f"/event/{sent.id}").status_code == 200
        found: dict[str, Any] = client.get(f"/api/1/event/{sent.id}").json()
        return found


def test_a_settlement_from_chip_to_ledger(morning: Morning) -> None:
    page = _event(morning.centre, morning.first)
    assert (page["kind"], page["state"], page["mode"]) == ("settlement", "booked", "online")
    assert page["hash"] == event_hash(morning.first.data)
    assert page["signed_by"] == morning.first.id
    assert page["chained"] is True
    assert page["latency_s"] == 0.12
    assert page["split"]["medfee_sumamt"] == 19167
    assert [line["name"] for line in page["lines"]] == ["阿莫西林胶囊", "阿奇霉素片"]
    assert {entry["account"]["en"]: entry["fen"] for entry in page["ledger"]} == {
        "Institution": -19167,
        "Pooling or large-amount fund": 1775,
        "Cash": 17392,
    }
    visit = {fact["label"]["en"]: fact["value"] for fact in page["visit"]}
    assert visit["Person kind"] == "在职"
    computed = {fact["label"]["en"]: fact["value"] for fact in page["computed"]}
    assert computed["Profile"] == "110000@2026-01-01+simulated"
    assert computed["In scope before"] == "1,650.35"


def test_the_first_event_hangs_on_the_enrolment_record(morning: Morning) -> None:
    with morning.centre.store.read() as connection:
        record = connection.execute(
            select(enrolments.c.record).where(enrolments.c.terminal == morning.clinic.id)
        ).scalar_one()
    page = _event(morning.centre, morning.first)
    assert page["prev"] == hashlib.sha256(record).hexdigest()
    assert page["before_link"] is None
    assert page["after_link"] == f"/event/{morning.refunded.id}"


def test_refund_and_original_lead_to_each_other(morning: Morning) -> None:
    refund, original = _event(morning.centre, morning.refund), _event(morning.centre, morning.refunded)
    assert [(fact["label"]["en"], fact["link"]) for fact in refund["related"]] == [
        ("Refunds", f"/event/{morning.refunded.id}")
    ]
    assert [(fact["label"]["en"], fact["link"]) for fact in original["related"]] == [
        ("Refunded by", f"/event/{morning.refund.id}")
    ]
    assert refund["split"]["medfee_sumamt"] == -original["split"]["medfee_sumamt"]


def test_a_provisional_bill_shows_its_adjustment(morning: Morning) -> None:
    page = _event(morning.centre, morning.provisional)
    (adjustment,) = page["adjustments"]
    assert (adjustment["fund_fen"], adjustment["cash_fen"]) == (5250, -5250)
    assert [entry["fen"] for entry in page["ledger"] if entry["adjustment"] == adjustment["id"]] == [5250, -5250]
    assert sum(entry["fen"] for entry in page["ledger"]) == 0


def test_a_refusal_shows_number_step_and_status_word(morning: Morning) -> None:
    page = _event(morning.centre, morning.refused)
    facts = {fact["label"]["en"]: fact["value"] for fact in page["visit"]}
    assert (facts["Step"], facts["Status word"]) == ("pin", "6983")
    assert page["title"]["en"].startswith("Refused -52")
    assert page["ledger"] == []


def test_what_was_done_to_a_pin(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范经办机构")
    begun, failed = terminal.pin_service(state="begun"), terminal.pin_service(state="failed", number="-37")
    terminal.send(begun, failed)
    page = _event(centre, failed)
    facts = {fact["label"]["en"]: fact["value"] for fact in page["visit"]}
    assert (page["kind"], page["title"]["en"], page["ledger"]) == ("pin", "PIN reset", [])
    assert (facts["Result"], facts["Clerk"]) == ("未成", "02")
    assert facts["Reason"]
    with centre.client() as client:
        assert client.get("/").status_code == 200
    with centre.store.read() as connection:
        newest, oldest = stream_lines(connection)
    assert [(line.kind, line.amount_fen) for line in (newest, oldest)] == [("pin", None)] * 2
    assert newest.words[0].en == "PIN reset"
    assert [each.en for each in oldest.words] == ["PIN service"]


def test_a_quarantined_event_says_why(morning: Morning) -> None:
    page = _event(morning.centre, morning.quarantined)
    assert page["state"] == "quarantined"
    assert page["quarantine"]["number"] == "C-022"
    assert page["ledger"] == []
    assert page["latency_s"] is None


def test_an_event_behind_a_gap_waits_and_is_not_chained(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    _, second = terminal.refuse(), terminal.refuse()
    terminal.send(second)
    page = _event(centre, second)
    assert (page["state"], page["chained"], page["before_link"]) == ("waiting", False, None)


def test_an_unreadable_event_is_shown_as_such(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    sent = terminal.refuse()
    sent = sent._replace(data=sent.data.replace(b'"kind":"refusal"', b'"kind":"puzzle_"'))
    terminal.send(sent)
    page = _event(centre, sent)
    assert (page["kind"], page["state"]) == ("unreadable", "quarantined")


def test_the_signature_of_a_frame_covers_the_events_before(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    first, last = terminal.refuse(), terminal.refuse()
    terminal.send(first, last)
    assert _event(centre, first)["signed_by"] == last.id


def test_a_refund_of_something_strange_is_no_link(morning: Morning) -> None:
    strange = morning.first._replace(id="../../../etc")
    refund = morning.clinic.refund(strange)
    morning.clinic.send(refund)
    page = _event(morning.centre, refund)
    assert page["state"] == "quarantined"
    assert [fact["link"] for fact in page["related"]] == [None]


def test_names_in_a_bill_cannot_carry_markup(centre: Centre) -> None:
    terminal = centre.enrol("T1", "<b>示范</b>药房")

    def edit(data: Any) -> Any:
        line = msgspec.structs.replace(data.lines[0], medins_list_name="<script>alert(1)</script>")
        return msgspec.structs.replace(data, lines=(line,))

    sent = terminal.settle("employee", ("X1001", "1"), edit=edit)
    terminal.send(sent)
    with centre.client() as client:
        for path in (f"/event/{sent.id}", "/", "/terminals", "/settlements"):
            text = client.get(path).text
            assert "<script>alert" not in text
            assert "<b>示范" not in text
