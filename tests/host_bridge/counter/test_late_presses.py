"""Presses that come late or twice do not act on another bill, and no bill can break the journal."""

from contextlib import suppress
from threading import Barrier, Thread

import pytest

from host_bridge.counter.visit import NotNow
from protocols.settlement.bill import FeeLine
from protocols.settlement.split import BillError
from tests.host_bridge.counter.till import D2_LINES, Till


def test_a_late_press_does_not_settle_another_bill(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    assert till.view.split is not None
    first = till.view.split.quote
    till.counter.enter_bill("11", D2_LINES[:1])
    with pytest.raises(NotNow):
        till.counter.settle(first)
    assert till.settlements() == []
    assert till.view.split.quote != first
    till.counter.settle(till.view.split.quote)
    till.counter.settle(till.view.split.quote)
    assert len(till.settlements()) == 1


def test_two_pins_at_once_cost_one_try(pharmacy: Till) -> None:
    till = pharmacy
    till.person("pharmacy")
    tries = till.view.pin.tries if till.view.pin else None
    together = Barrier(2)

    def press() -> None:
        together.wait()
        try:
            till.counter.enter_pin(bytearray(b"000000"))
        except NotNow:
            refused.append(True)

    refused: list[bool] = []
    threads = [Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = till.view.pin.tries if till.view.pin else None
    assert tries is not None
    assert left == tries - 2 + len(refused)


@pytest.mark.parametrize(("pric", "cnt"), [("9999999999.99", "1100"), ("99999999999999.99", "1")])
def test_the_largest_bills_are_refused_or_readable(till: Till, pric: str, cnt: str) -> None:
    for _ in range(3):
        till.person("employee")
        with suppress(BillError, NotNow):
            till.counter.enter_bill("11", [FeeLine("01", pric, cnt)])
            till.counter.settle()
        till.take()
    assert till.journal.stopped is None
    assert till.journal.verify().seq == till.journal.end
