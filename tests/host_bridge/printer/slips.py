"""Events to print: vector D2 of settlement.md C.4 and what can be varied about it."""

from datetime import date
from typing import Any

import msgspec

from protocols.events.events import Basis, Event, Refund, Settlement, Stamp, Versions, encode_event, event_hash
from protocols.settlement.bill import Accumulators, FeeLine
from protocols.settlement.profile import load_city
from protocols.settlement.split import full_cash, refund_of, split_bill

BEFORE = Accumulators(165035, 0)
LINES = (
    FeeLine("01", "25.00", "2", med_list_codg="F3002", medins_list_name="血常规（五分类）"),
    FeeLine("01", "200.00", "1", med_list_codg="F3003", medins_list_name="胸部X线摄影"),
    FeeLine("02", "83.335", "2", "0.10", med_list_codg="X1002", medins_list_name="阿奇霉素片"),
)


def settlement(**change: Any) -> Settlement:
    """D2 as a clinic in Beijing settles it."""
    rules = load_city("110000", date(2026, 11, 21), simulated=True).rules("BJ-E")
    found = Settlement(
        mdtrt_id="H11010200012ABCDEF0100000001",
        fixmedins_code="H11010200012",
        opter="05",
        med_type="11",
        insutype="310",
        psn_type="1101",
        insuplc_admdvs="110000",
        person_hash=None,
        pin="not_asked",
        mode="online",
        versions=Versions("110000@2026-01-01", "2026-01-01", "1"),
        split_name="BJ-E",
        year=2026,
        basis=Basis(7, "centre"),
        before=BEFORE,
        account=None,
        acct_scope=None,
        rounding="line",
        lines=LINES,
        split=split_bill(LINES, rules, BEFORE, account=None, acct_scope=None, rounding="line"),
    )
    return msgspec.structs.replace(found, **change)


def cash_settlement(reason: str) -> Settlement:
    return settlement(
        mode="full_cash", reason=reason, split_name="", split=full_cash(LINES, Accumulators(0, 0), "line")
    )


def refund(original: Settlement) -> Refund:
    return Refund(
        original="110102-0012/1/41",
        mdtrt_id="H11010200012ABCDEF0100000002",
        fixmedins_code="H11010200012",
        opter="05",
        person_hash=None,
        split=refund_of(original.split, 165035, 0),
    )


def event_of(data: Settlement | Refund, event_id: str = "110102-0012/1/42") -> tuple[Event, str]:
    """The event and its hash."""
    event = Event(
        id=event_id,
        source=event_id.split("/", maxsplit=1)[0],
        type="ssc.settlement" if isinstance(data, Settlement) else "ssc.refund",
        time="2026-11-21T09:58:00.123+08:00",
        prev="00" * 32,
        clock=Stamp(1, "boot", True),
        data=data,
    )
    return event, event_hash(encode_event(event))
