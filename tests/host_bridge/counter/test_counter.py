"""Visits at a counter through its public doors, over a real journal, real cards and real splits."""

import re
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest

from host_bridge import counter
from host_bridge.counter.reasons import REASONS
from host_bridge.counter.visit import NotNow
from protocols.events.events import person_hash
from protocols.events.frames import Unknown
from protocols.settlement.bill import Accumulators, FeeLine
from protocols.settlement.split import BillError
from protocols.texts.catalogue import texts
from tests.host_bridge.counter.till import D2_LINES, NOON, Till, nobody_in

COUNTER = Path(counter.__file__).parent


OTHERS_TEXTS = {"pin_locked", "pin_default", "card_removed", "web_not_now"}


class Item(msgspec.Struct, frozen=True):
    code: str
    cnt: str


def test_d2_online_from_card_to_receipt(till: Till) -> None:
    person = till.person("employee")
    assert (till.stage(), till.view.step) == ("bill", "bill")
    assert till.view.person is not None
    assert (till.view.person.name, till.view.person.certno) == ("李＊华", "990101********0036")
    till.counter.enter_bill("11", D2_LINES)
    shown = till.view.split
    assert till.stage() == "presettled"
    assert shown is not None
    assert (shown.split.psn_part_amt, shown.split.big, shown.split.act_pay_dedc) == (24142, 17525, 14965)
    assert (shown.deductible_fen, shown.ratio, shown.split_name, shown.mode) == (180000, "0.70", "BJ-E", "online")
    assert till.events() == []
    till.counter.settle()
    assert till.stage() == "done"
    (settled,) = till.settlements()
    (stored,) = till.stored()
    assert settled.split == shown.split
    assert (settled.basis.version, settled.basis.source, settled.mode, settled.pin) == (
        7,
        "centre",
        "online",
        "not_asked",
    )
    assert (settled.insutype, settled.psn_type, settled.insuplc_admdvs) == ("310", "1101", "110000")
    assert settled.versions.profile == "110000@2026-01-01+simulated"
    assert stored.person is not None
    assert settled.person_hash == person_hash(person.certno, stored.person.salt)
    assert till.view.result is not None
    assert till.view.result.printed
    (slip,) = till.printer.slips
    assert "肆佰壹拾陆元陆角柒分" in slip
    assert slip.rstrip("\x1dVB0").splitlines()[-1] == f"#110102-0012/1/1 41667 17525 0 24142 {stored.hash[:16]}"
    till.take()
    assert till.stage() == "idle"
    nobody_in(till, person.name, "李＊华", person.certno, "0036")


def test_the_result_leaves_only_after_the_journal_has_it(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.steps.clear()
    till.counter.settle()
    assert till.steps == [
        ("terminal.before_event", "settling"),
        ("terminal.event_written", "settling"),
        ("terminal.event_committed", "settling"),
        ("terminal.result_shown", "done"),
        ("terminal.receipt_printed", "done"),
    ]
    assert till.centre.woken == 1


def test_the_same_bill_twice_is_one_event(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    till.counter.settle()
    assert len(till.settlements()) == len(till.printer.slips) == 1


def test_d8a_pin_then_account(pharmacy: Till) -> None:
    pharmacy.person("pharmacy")
    assert (pharmacy.view.stage, pharmacy.view.pin) == (
        "pin",
        msgspec.convert({"tries": 3, "wrong": False, "min_digits": 6}, type(pharmacy.view.pin)),
    )
    assert pharmacy.pin("271829") == bytearray(6)
    assert pharmacy.view.pin is not None
    assert (pharmacy.view.pin.tries, pharmacy.view.pin.wrong, pharmacy.view.stage) == (2, True, "pin")
    pharmacy.pin("271828")
    assert pharmacy.stage() == "bill"
    assert pharmacy.view.person is not None
    assert pharmacy.view.person.pin == "verified"
    pharmacy.counter.enter_bill("41", (FeeLine("01", "66.80", "1"), FeeLine("03", "30.00", "1")))
    pharmacy.counter.settle()
    (settled,) = pharmacy.settlements()
    assert (settled.split.acct_pay, settled.split.psn_cash_pay, settled.split.balc, settled.pin) == (
        8000,
        1680,
        0,
        "verified",
    )


def test_a_pin_is_wiped_whatever_happens(pharmacy: Till) -> None:
    digits = bytearray(b"123456")
    with pytest.raises(NotNow):
        pharmacy.counter.enter_pin(digits)
    assert digits == bytearray(6)
    pharmacy.person("pharmacy")
    short = bytearray(b"12")
    with pytest.raises(NotNow) as caught:
        pharmacy.counter.enter_pin(short)
    assert (caught.value.key, short) == ("pin_format", bytearray(2))
    assert pharmacy.view.pin is not None
    assert pharmacy.view.pin.tries == 3


def test_three_wrong_pins_lock_and_the_visit_goes_on_in_cash(pharmacy: Till) -> None:
    person = pharmacy.person("locked")
    for _ in range(3):
        pharmacy.pin("000000")
    refusal = pharmacy.view.refusal
    assert (pharmacy.view.stage, pharmacy.view.step) == ("refused", "pin")
    assert refusal is not None
    assert (refusal.number, refusal.sw, refusal.tries) == ("-52", "63C0", 0)
    assert "96102" in refusal.zh.holder  # Beijing's reset place: the insured place counts, not the counter's city
    assert "full_cash" in pharmacy.view.actions
    pharmacy.counter.print_guide()
    assert "密码已锁定" in pharmacy.printer.slips[0]
    pharmacy.counter.full_cash("pin_locked")
    assert pharmacy.stage() == "bill"
    pharmacy.counter.enter_bill("41", D2_LINES)
    pharmacy.counter.settle()
    (settled,) = pharmacy.settlements()
    assert (settled.mode, settled.reason, settled.pin) == ("full_cash", "-52", "not_asked")
    assert (settled.split.fund_pay_sumamt, settled.split.psn_cash_pay) == (0, 41667)
    pharmacy.take()
    assert pharmacy.refusals() == []
    nobody_in(pharmacy, person.certno)
    pharmacy.person("locked", card={"pin_tries": 0})
    assert pharmacy.view.refusal is not None
    assert pharmacy.view.refusal.number == "-52"
    pharmacy.take()
    (refused,) = pharmacy.refusals()
    assert (refused.number, refused.step, refused.sw) == ("-52", "person", "6983")
    assert refused.person_hash is not None


@pytest.mark.parametrize(
    ("state", "number"),
    [("formal_lost", "S-102"), ("pre_lost", "S-103"), ("exchanged", "S-104"), ("void", "S-105")],
)
def test_a_lost_or_void_card_is_refused_and_journalled_once(till: Till, state: str, number: str) -> None:
    till.person("employee", card_state=state)
    assert till.stage() == "refused"
    assert till.view.refusal is not None
    assert till.view.refusal.number == number
    assert till.view.refusal.zh.what
    assert till.view.refusal.zh.holder
    assert till.view.refusal.zh.bill
    till.counter.finish()
    till.take()
    (refused,) = till.refusals()
    assert refused.number == number


def test_an_expired_card_is_refused(till: Till) -> None:
    till.person("employee", card={"expiry_date": NOON.date().replace(day=20)})
    assert till.view.refusal is not None
    assert till.view.refusal.number == "S-101"


def test_a_card_is_good_on_its_last_day(till: Till) -> None:
    till.person("employee", card={"expiry_date": NOON.date()})
    assert till.stage() == "bill"


def test_d12a_retired_at_the_centre_only_is_settled_as_the_chip_says(pharmacy: Till) -> None:
    pharmacy.person("pharmacy", psn_type="1201", accumulators=Accumulators(130000, 0))
    pharmacy.pin("271828")
    assert pharmacy.view.person is not None
    assert [each.number for each in pharmacy.view.person.notices] == ["S-111"]
    pharmacy.counter.enter_bill("11", (FeeLine("01", "500.00", "1"),))
    pharmacy.counter.settle()
    (settled,) = pharmacy.settlements()
    assert (settled.psn_type, settled.split.act_pay_dedc, settled.split.fund_pay_sumamt) == ("1101", 50000, 0)


def test_another_scheme_at_the_centre_stops_real_time_settlement(pharmacy: Till) -> None:
    pharmacy.person("pharmacy", insutype="390", psn_type="1501")
    pharmacy.pin("271828")
    assert pharmacy.view.refusal is not None
    assert pharmacy.view.refusal.number == "S-110"


@pytest.mark.parametrize(
    ("change", "number"),
    [({"psn_insu_stas": "2"}, "S-113"), ({"insuplc_admdvs": "430100"}, "S-114"), ({"card_state": "unknown"}, "S-116")],
)
def test_what_cannot_be_settled_in_real_time_is_full_cash_and_says_why(
    till: Till, change: dict[str, Any], number: str
) -> None:
    till.person("employee", **change)
    till.counter.enter_bill("11", D2_LINES)
    assert till.view.person is not None
    assert [each.number for each in till.view.person.notices] == [number]
    till.counter.settle()
    (settled,) = till.settlements()
    assert (settled.mode, settled.reason, settled.split.fund_pay_sumamt) == ("full_cash", number, 0)
    assert (settled.basis.source, settled.before) == ("none", Accumulators(0, 0))


def test_a_centre_that_does_not_know_the_person(till: Till) -> None:
    person = till.person("employee")
    till.take()
    till.centre.answers[person.certno] = Unknown("C-999")
    till.person("employee", known=False)
    till.counter.enter_bill("11", D2_LINES)
    assert till.view.split is not None
    assert till.view.split.mode == "full_cash"


def test_care_the_city_does_not_settle_by_card_is_full_cash(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("41", D2_LINES)
    till.counter.settle()
    (settled,) = till.settlements()
    assert (settled.mode, settled.reason) == ("full_cash", "S-022")


def test_inpatient_care_needs_the_centre(till: Till) -> None:
    till.centre.up = False
    till.person("employee")
    till.counter.enter_bill("21", D2_LINES)
    assert till.stage() == "refused"
    assert till.view.refusal is not None
    assert till.view.refusal.number == "S-117"


def test_d14_without_the_centre_the_remembered_sums_count(till: Till) -> None:
    till.person("two_sites")
    till.take()
    till.centre.up = False
    till.person("two_sites")
    till.counter.enter_bill("11", (FeeLine("01", "200.00", "1"),))
    till.counter.settle()
    (settled,) = till.settlements()
    assert (settled.mode, settled.reason, settled.basis.version, settled.basis.source) == (
        "provisional",
        None,
        7,
        "cached",
    )
    assert (settled.split.act_pay_dedc, settled.split.big, settled.account) == (10000, 7000, None)
    assert "临时结算，待中心确认" in till.printer.slips[0]
    till.take()
    till.person("two_sites")
    till.counter.enter_bill("11", (FeeLine("01", "100.00", "1"),))
    assert till.view.split is not None
    assert till.view.split.before == Accumulators(190000, 7000)


def test_a_cards_provisional_bills_of_a_day_have_a_limit(till: Till) -> None:
    """2000.00 in simulated Beijing; a bill that was taken back does not count."""
    till.person("two_sites")
    till.take()
    till.centre.up = False
    modes = []
    for refunded in (True, False, False, False):
        till.person("two_sites")
        till.counter.enter_bill("11", (FeeLine("01", "1000.00", "1"),))
        till.counter.settle()
        till.take()
        modes.append((till.settlements()[-1].mode, till.settlements()[-1].reason))
        if refunded:
            till.counter.refund(till.stored()[-1].id)
            till.counter.finish()
    assert modes == [("provisional", None)] * 3 + [("full_cash", "S-125")]


def test_d16_a_new_year_starts_at_nothing(till: Till) -> None:
    till.person("rare_name", accumulators=Accumulators(250000, 49000))
    till.counter.enter_bill("11", (FeeLine("01", "100.00", "1"),))
    till.counter.settle()
    till.take()
    till.receipt()
    till.clock.now = NOON.replace(year=2027, month=1, day=1)
    till.person("rare_name", accumulators=Accumulators(260000, 56000))
    till.counter.enter_bill("11", (FeeLine("01", "100.00", "1"),))
    till.counter.settle()
    old, new = till.settlements()
    assert (old.year, old.split.fund_pay_sumamt) == (2026, 7000)
    assert (new.year, new.split.fund_pay_sumamt, new.split.act_pay_dedc, new.before) == (
        *(2027, 0, 10000),
        Accumulators(0, 0),
    )


def test_without_centre_and_memory_it_is_full_cash(till: Till) -> None:
    till.centre.up = False
    till.person("spare")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    (settled,) = till.settlements()
    assert (settled.mode, settled.reason, settled.insutype) == ("full_cash", "S-121", "")


def test_without_card_only_full_cash_for_a_reason(till: Till) -> None:
    till.counter.enter_bill("11", [Item("X1001", "2")])
    assert (till.view.stage, till.view.split) == ("bill", None)
    with pytest.raises(NotNow) as caught:
        till.counter.full_cash("pin_locked")
    assert caught.value.key == "visit_reason_not_possible"
    assert "not_shown" in {reason.key for reason in till.view.reasons}
    till.counter.full_cash("not_shown")
    till.counter.settle()
    (settled,) = till.settlements()
    assert (settled.person_hash, settled.reason, settled.split.medfee_sumamt) == (None, "S-150", 2500)
    till.counter.finish()
    assert till.stage() == "idle"


def test_full_cash_first_then_the_bill(till: Till) -> None:
    till.counter.full_cash("emergency")
    assert till.stage() == "bill"
    till.counter.enter_bill("13", D2_LINES)
    assert till.stage() == "presettled"
    till.counter.cancel()
    assert (till.view.stage, till.events()) == ("idle", [])


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), "bill_empty"),
        ([Item("nothing", "1")], "item_unknown"),
        ((FeeLine("02", "1.00", "1"),), "line_field_missing"),
    ],
)
def test_a_bad_bill_changes_nothing(till: Till, lines: Any, code: str) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    before = till.view
    with pytest.raises(BillError) as caught:
        till.counter.enter_bill("11", lines)
    assert caught.value.code == code
    assert till.view == before


def test_the_registration_fee_is_its_own_settlement(till: Till) -> None:
    till.person("employee")
    with pytest.raises(BillError):
        till.counter.enter_bill("12", D2_LINES)
    till.counter.enter_bill("12", (FeeLine("01", "5.00", "1"),))
    till.counter.settle()
    (settled,) = till.settlements()
    assert (settled.split.fund_pay_sumamt, settled.split.psn_cash_pay, settled.split_name) == (200, 300, "BJ-REG")
    assert (settled.split.after_inscope, settled.split.after_big) == (165035, 0)


def test_a_finished_card_has_to_come_out_before_the_next_visit(till: Till) -> None:
    till.person("employee")
    till.counter.cancel()
    till.counter.poll()
    assert (till.stage(), till.view.step) == ("idle", "take")
    till.take()
    assert (till.stage(), till.view.step) == ("idle", "insert")
    till.person("employee")
    assert till.stage() == "bill"


@pytest.mark.parametrize("action", ["settle", "cancel", "finish", "print_guide"])
def test_what_is_not_possible_changes_nothing(till: Till, action: str) -> None:
    before = till.view
    with pytest.raises(NotNow) as caught:
        getattr(till.counter, action)()
    assert (caught.value.action, caught.value.stage) == (action, "idle")
    assert till.view == before


def test_it_watches_slot_and_printer_by_itself(till: Till) -> None:
    read, gone = Event(), Event()
    till.counter.subscribe(lambda view: read.set() if view.stage == "bill" and view.printer.state == "ready" else None)
    till.counter.subscribe(lambda view: gone.set() if read.is_set() and view.stage == "idle" else None)
    till.counter.start()
    till.person("employee", poll=False)
    assert read.wait(10)
    till.slot.unlink()
    assert gone.wait(10)


def test_every_text_the_counter_names_is_in_the_catalogue() -> None:
    source = "".join(path.read_text() for path in sorted(COUNTER.glob("*.py")))
    keys = set(re.findall(r'"((?:visit|cash|printer)_[a-z_]+)"', source)) | OTHERS_TEXTS
    assert keys - texts().keys() == set()
    for reason in REASONS:
        assert texts()[reason.text].zh.title


def test_search(till: Till) -> None:
    assert [item.code for item in till.counter.search("xcg")] == ["F3002"]
