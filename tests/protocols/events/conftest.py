"""Random but valid events."""

from typing import Any

import pytest
from hypothesis import strategies as st

from protocols.events.events import Basis, Event, PinService, Refund, Refusal, Settlement, Stamp, Versions, event_id
from protocols.settlement.bill import Accumulators, FeeLine, Split

fens = st.integers(-(10**12), 10**12)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
splits = st.builds(Split, **dict.fromkeys(Split.__struct_fields__, fens) | {"balc": st.none() | fens})
lines = st.builds(
    FeeLine,
    chrgitm_lv=st.sampled_from(["01", "02", "03"]),
    pric=words,
    cnt=words,
    medins_list_name=st.none() | words,
)
accumulators = st.builds(Accumulators, inscope=fens, big=fens)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)

settlements = st.builds(
    Settlement,
    mdtrt_id=words,
    fixmedins_code=words,
    opter=words,
    med_type=words,
    insutype=words,
    psn_type=words,
    insuplc_admdvs=words,
    person_hash=st.none() | hashes,
    pin=st.sampled_from(["verified", "not_asked"]),
    mode=st.sampled_from(["online", "provisional", "full_cash"]),
    reason=st.none() | words,
    versions=st.builds(Versions, profile=words, catalogue=words, split=words),
    split_name=words,
    year=st.integers(2000, 2100),
    basis=st.builds(Basis, version=st.integers(0, 10**6), source=st.sampled_from(["centre", "cached", "none"])),
    before=accumulators,
    account=st.none() | fens,
    acct_scope=st.none() | st.sampled_from(["all", "in_scope", "none"]),
    rounding=st.sampled_from(["line", "bill"]),
    lines=st.lists(lines, max_size=4).map(tuple),
    split=splits,
)
refunds = st.builds(
    Refund,
    original=words,
    mdtrt_id=words,
    fixmedins_code=words,
    opter=words,
    person_hash=st.none() | hashes,
    split=splits,
)
refusals = st.builds(Refusal, number=words, step=words, sw=st.none() | words, med_type=st.none() | words)


pin_services = st.builds(
    PinService,
    service=st.sampled_from(["change", "unblock", "reset"]),
    state=st.sampled_from(["begun", "done", "failed"]),
    opter=words,
    number=st.none() | words,
    person_hash=st.none() | hashes,
)


KINDS: dict[str, Any] = {
    "ssc.settlement": settlements,
    "ssc.refund": refunds,
    "ssc.refusal": refusals,
    "ssc.pin": pin_services,
}


@st.composite
def _events(draw: st.DrawFn) -> Event:
    terminal = draw(st.from_regex(r"[0-9A-Za-z-]{1,32}", fullmatch=True))
    kind = draw(st.sampled_from(sorted(KINDS)))
    return Event(
        id=event_id(terminal, draw(st.integers(1, 99)), draw(st.integers(1, 10**9))),
        source=terminal,
        type=kind,  # type: ignore[arg-type]
        time="2026-11-21T09:58:00.123+08:00",
        prev=draw(hashes),
        clock=Stamp(draw(st.integers(0, 10**15)), draw(words), draw(st.booleans())),
        data=draw(KINDS[kind]),
    )


@pytest.fixture(scope="session")
def events() -> st.SearchStrategy[Event]:
    """Events of every type, of any terminal."""
    return _events()
