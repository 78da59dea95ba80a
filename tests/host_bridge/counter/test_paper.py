"""What follows a settlement: refunds, prints and copies, the receipt of the centre."""

import pytest

from host_bridge.counter.visit import NotNow
from host_bridge.printer.printer import PaperOut, PrinterAway
from protocols.settlement.bill import Accumulators, FeeLine
from tests.host_bridge.counter.till import D2_LINES, Till


def test_d9_refund(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    till.take()
    (settled,) = till.stored()
    till.counter.refund(settled.id)
    (refund,) = till.refunds()
    assert (refund.split.medfee_sumamt, refund.split.big, refund.split.psn_cash_pay) == (-41667, -17525, -24142)
    assert (refund.split.after_inscope, refund.split.after_big) == (165035, 0)
    assert till.view.result is not None
    assert (till.view.stage, till.view.result.kind, till.view.actions) == ("done", "refund", ("reprint", "finish"))
    assert till.view.split is not None
    assert till.view.split.split == refund.split
    assert "退费" in till.printer.slips[1]
    assert settled.id in till.printer.slips[1]
    till.counter.finish()
    for event_id, key in (
        (settled.id, "visit_refund_twice"),
        (till.stored()[1].id, "visit_refund_of_refund"),
        ("110102-0012/1/9", "visit_refund_unknown"),
        ("other/1/1", "visit_refund_unknown"),
        ("?", "visit_refund_unknown"),
    ):
        with pytest.raises(NotNow) as caught:
            till.counter.refund(event_id)
        assert caught.value.key == key
    past = till.counter.past()
    assert [(each.kind, each.refunded) for each in past] == [("refund", False), ("settlement", True)]
    assert (till.view.today.settled, till.view.today.fund_fen, till.view.today.cash_fen) == (1, 0, 0)


def test_d11_work_injury_after_all_refund_then_full_cash(till: Till) -> None:
    till.person("retired", accumulators=Accumulators(240000, 77000))
    till.counter.enter_bill("11", (FeeLine("01", "300.15", "1"),))
    till.counter.settle()
    till.take()
    till.counter.refund(till.stored()[0].id)
    till.counter.finish()
    till.counter.full_cash("work_injury")
    till.counter.enter_bill("11", (FeeLine("01", "300.15", "1"),))
    till.counter.settle()
    injury = till.settlements()[1]
    assert (injury.reason, injury.split.psn_cash_pay, injury.split.fund_pay_sumamt) == ("S-159", 30015, 0)
    assert till.refunds()[0].split.after_inscope == 240000


def test_paper_out_leaves_the_settlement_and_the_first_print_is_no_copy(till: Till) -> None:
    till.printer.trouble = PaperOut("list", "no paper")
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    assert till.view.result is not None
    assert (till.view.stage, till.view.result.printed, till.view.printer.state) == ("done", False, "attention")
    assert till.steps[-1] == ("terminal.result_shown", "done")
    event_id = till.view.result.event_id
    till.take()
    with pytest.raises(NotNow) as caught:
        till.counter.reprint(event_id)
    assert caught.value.key == "printer_paper_out"
    till.printer.trouble = None
    till.counter.reprint(event_id)
    till.counter.reprint(event_id)
    first, second = till.printer.slips
    assert "补打" not in first
    assert "李＊华" in first
    assert "【补打 1】" in second
    with pytest.raises(NotNow):
        till.counter.reprint("110102-0012/1/2")


def test_a_receipt_that_may_be_on_paper_is_a_copy_the_next_time(till: Till) -> None:
    till.printer.trouble = PrinterAway("list", "not confirmed", sent=True)
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    till.printer.trouble = None
    assert till.view.result is not None
    till.counter.reprint(till.view.result.event_id)
    assert "【补打 1】" in till.printer.slips[0]


def test_after_a_restart_every_print_is_a_copy_without_name(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    till.take()
    again = till.make_counter("110000")
    again.reprint("110102-0012/1/1")
    slip = till.printer.slips[1]
    assert "【补打 1】" in slip
    assert "李" not in slip
    assert "990101********0036" in slip


def test_received_once_the_centre_has_it(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    assert till.view.result is not None
    assert (till.view.result.received, till.view.upload.backlog) == (False, 1)
    till.receipt()
    assert till.view.result.received
    assert till.view.upload.backlog == 0
    assert till.view.upload.through is not None
