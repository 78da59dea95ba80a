"""Authentic and unacceptable events: quarantine with a reason, and the mark moves (design 3.2)."""

from collections.abc import Callable

import msgspec
import pytest

from protocols.events.events import person_hash
from protocols.events.frames import Person, Refused
from protocols.settlement.bill import Accumulators
from server.errors import number
from server.ledger.report import report
from tests.server.chains import LI, NOTHING, SALT, Chain, Written, line
from tests.server.conftest import Bench
from tests.server.looks import LINES, kept, spend, states


def _other_person(chain: Chain) -> Written:
    spend(chain, person_hash=person_hash("990101199001010015", SALT))
    return chain.events[-1]


def _unknown_schema(chain: Chain) -> Written:
    good = chain.settle(LINES, NOTHING, 0)
    chain.events.pop()
    return chain.append_bytes(good.data.replace(b"ssc:event/1", b"ssc:event/9"), good.person)


def _altered(
    chain: Chain, old: bytes, new: bytes, *, before: Accumulators = NOTHING, split_name: str = "BJ-E"
) -> Written:
    good = chain.settle([line("01", "5.00")], before, 0, split_name=split_name)
    chain.events.pop()
    assert old in good.data
    return chain.append_bytes(good.data.replace(old, new), good.person)


def _no_instant(chain: Chain) -> Written:
    good = chain.refuse()
    chain.events.pop()
    assert good.event.time.encode() in good.data
    return chain.append_bytes(good.data.replace(b"+08:00", b""), None)


def _dearer(chain: Chain, **change: int) -> Written:
    good = chain.settle(LINES, NOTHING, 0)
    chain.events.pop()
    split = msgspec.structs.replace(good.event.data.split, **change)  # type: ignore[union-attr]
    return chain.settle(LINES, NOTHING, 0, split=split)


QUARANTINED: dict[str, tuple[str, Callable[[Chain], Written]]] = {
    "unknown schema": ("event_unreadable", _unknown_schema),
    "type of another kind": ("event_unreadable", lambda chain: _altered(chain, b'"ssc.settlement"', b'"ssc.refund"')),
    "time without zone": ("event_unreadable", _no_instant),
    "person hash": ("event_person", _other_person),
    "person without hash": ("event_person", lambda chain: chain.settle(LINES, NOTHING, 0, person_hash=None)),
    "salt not hex": (
        "event_person",
        lambda chain: chain.append(chain.settle(LINES, NOTHING, 0).event.data, Person(LI.certno, LI.card_no, "zz")),
    ),
    "fund without person": ("event_person", lambda chain: chain.settle(LINES, NOTHING, 0, person=None)),
    "identities": ("event_identities", lambda chain: _dearer(chain, medfee_sumamt=14999)),
    "accumulators": ("event_identities", lambda chain: _dearer(chain, after_inscope=1)),
    "nested without end": (
        "event_unreadable",
        lambda chain: _altered(chain, b'"online"', b"[" * 500 + b"]" * 500),
    ),
    "year": ("event_identities", lambda chain: chain.settle(LINES, NOTHING, 0, year=1950)),
    "number without end": ("event_unreadable", lambda chain: chain.settle(LINES, NOTHING, 0, year=2**63)),
    "full cash from the fund": (
        "event_identities",
        lambda chain: _altered(chain, b'"online"', b'"full_cash"', split_name="BJ-REG"),
    ),
    "institution": (
        "event_institution",
        lambda chain: chain.settle(LINES, NOTHING, 0, fixmedins_code="P99010100001"),
    ),
    "rules unknown": (
        "event_rules",
        lambda chain: _altered(chain, b'"BJ-E"', b'"BJ-X"', before=Accumulators(1, 1)),
    ),
}


@pytest.mark.parametrize("name", QUARANTINED)
def test_authentic_but_unacceptable_goes_to_quarantine_and_moves_the_mark(bench: Bench, name: str) -> None:
    key, make = QUARANTINED[name]
    chain = bench.enrol("T1")
    make(chain)
    bad = len(chain.events)
    spend(chain)
    (receipt,) = bench.take(chain.topic("event"), chain.frame())
    assert (receipt.seq, receipt.hash) == (bad + 1, chain.hash(bad + 1))
    assert receipt.refused == (Refused(bad, number(key)),)
    assert states(bench)[bad] == "quarantined"
    assert kept(bench) == []
    with bench.store.read() as connection:
        found = report(connection)
    assert found.balance_fen == 0
    assert found.chains.broken == ()


@pytest.mark.parametrize("name", ["unknown", "not an id", "huge", "a refund", "twice", "amounts", "institution"])
def test_refund_of_something_it_cannot_take_back(bench: Bench, name: str) -> None:
    chain = bench.enrol("T1")
    other = bench.enrol("T2", institution="H11010200002")
    spend(chain)
    spend(other)
    bench.take(other.topic("event"), other.frame())
    good = chain.refund(chain.events[0])
    data = good.event.data
    if name != "a refund":
        chain.events.pop()
    if name == "twice":
        chain.refund(chain.events[0])
    overrides, key = {
        "unknown": ({"original": "T1/1/9"}, "refund_unknown"),
        "not an id": ({"original": "T1/1"}, "refund_unknown"),
        "huge": ({"original": f"T1/1/{10**30}"}, "refund_unknown"),
        "a refund": ({"original": "T1/1/2"}, "refund_unknown"),
        "twice": ({}, "refund_twice"),
        "amounts": (
            {"split": msgspec.structs.replace(data.split, self_out=-1, self2=0, self1=-14999)},  # type: ignore[union-attr]
            "refund_amounts",
        ),
        "institution": ({"original": "T2/1/1"}, "event_institution"),
    }[name]
    chain.append(msgspec.structs.replace(data, **overrides), LI)  # type: ignore[arg-type]
    (receipt,) = bench.take(chain.topic("event"), chain.frame())
    refused = Refused(len(chain.events), number(key))
    if name == "amounts":
        assert receipt.refused in ((refused,), (Refused(refused.seq, number("event_identities")),))
    else:
        assert receipt.refused == (refused,)
    assert receipt.seq == len(chain.events)


def test_refused_ones_are_named_in_every_later_receipt(bench: Bench) -> None:
    chain = bench.enrol("T1")
    chain.settle(LINES, NOTHING, 0, person=None)
    spend(chain)
    first, second = bench.take(chain.topic("event"), chain.frame(1, 1), chain.frame(2, 2))
    assert first.refused == second.refused == (Refused(1, number("event_person")),)
