"""A receipt that proves an old copy stops the counter by itself: nobody has to press anything first."""

import pytest

from host_bridge.journal.errors import JournalRolledBack
from protocols.events.clock import rfc3339
from protocols.events.frames import Receipt
from protocols.texts.catalogue import texts
from tests.host_bridge.counter.till import D2_LINES, NOON, Till

OLD_COPY = texts()["journal_old_copy"].number


def receipt_from_the_future(till: Till) -> None:
    """As the link applies it, from its own thread; then the counter looks again."""
    receipt = Receipt(terminal="110102-0012", epoch=1, seq=9, hash="00" * 32, time=rfc3339(NOON))
    with pytest.raises(JournalRolledBack):
        till.journal.apply_receipt(receipt)
    till.counter.poll()


def stopped(till: Till) -> bool:
    refusal = till.view.refusal
    return (till.view.stage, None if refusal is None else refusal.number) == ("stopped", OLD_COPY)


def test_an_idle_counter_says_that_it_has_stopped(till: Till) -> None:
    till.counter.poll()
    receipt_from_the_future(till)
    assert stopped(till)
    assert "bill" not in till.view.actions
    assert "full_cash" not in till.view.actions


def test_a_visit_before_its_result_ends_and_nothing_of_the_person_stays(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    receipt_from_the_future(till)
    assert stopped(till)
    assert (till.view.person, till.view.bill, till.events()) == (None, None, [])


def test_a_result_that_is_durable_stays_to_be_seen_until_the_card_is_taken(till: Till) -> None:
    till.person("employee")
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    receipt_from_the_future(till)
    assert till.stage() == "done"
    assert till.view.result is not None
    till.take()
    till.counter.poll()
    assert stopped(till)
    assert len(till.settlements()) == 1
