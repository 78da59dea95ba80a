"""One event from chip to ledger: its bytes, chain, signature, split, ledger lines, and what hangs on it."""

from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from protocols.events.events import (
    Event,
    EventData,
    PinService,
    Refund,
    Refusal,
    Settlement,
    decode_event,
    event_id,
    event_key,
)
from protocols.settlement.bill import FeeLine
from protocols.settlement.codes import label
from server.store.tables import bookings, enrolments, events, ledger, terminals
from server.web.labels import ACCOUNTS, KINDS, PIN_SERVICES, PIN_STATES, coded, explained, money, named, stamp, titled
from server.web.lists import differences, quarantined
from server.web.pictures import Both, ChargeLine, EventPage, Fact, LedgerEntry

PIN_WORDS = {"verified": Both("芯片已验证", "Verified by the chip"), "not_asked": Both("未要求", "Not asked")}
SOURCES = {
    "centre": Both("本次由中心给出", "Given by the centre in this visit"),
    "cached": Both("终端缓存", "Cached at the terminal"),
    "none": Both("无", "None"),
}
SCOPES = {
    "all": Both("可付全部个人负担", "The whole personal part"),
    "in_scope": Both("仅可付自付一", "自付一 only"),
    "none": Both("不可支付", "Nothing"),
}
ROUNDINGS = {"line": Both("逐行", "By line"), "bill": Both("整单", "By bill")}


def event_page(connection: Connection, terminal: str, epoch: int, seq: int) -> EventPage | None:
    """Everything the centre has of one event; none where it has nothing."""
    row = _stored(connection, terminal, epoch, seq)
    if row is None:
        return None
    event = _read(row.data)
    booking = connection.execute(select(bookings).where(*_at(bookings, terminal, epoch, seq))).one_or_none()
    data = None if event is None else event.data
    name = event_id(terminal, epoch, seq)
    before = _stored(connection, terminal, epoch, seq - 1)
    prev = _prev(connection, row, event, before)
    return EventPage(
        id=name,
        kind="unreadable" if event is None else event.type.removeprefix("ssc."),  # type: ignore[arg-type]
        title=_title(event),
        state=row.state,
        mode=data.mode if isinstance(data, Settlement) else "",
        terminal=terminal,
        who=row.fixmedins_name,
        written="" if event is None else event.time,
        received=stamp(row.received_ms),
        latency_s=_latency_s(booking),
        trusted=event is not None and event.clock.trusted,
        hash=row.hash,
        prev="" if event is None else event.prev,
        chained=event is not None and prev == event.prev,
        before_link=f"/event/{event_id(terminal, epoch, seq - 1)}" if before is not None else None,
        after_link=_after(connection, terminal, epoch, seq),
        signed_by=_signed_by(connection, terminal, epoch, seq),
        visit=_visit(event),
        computed=_computed(data),
        lines=tuple(_charge(line) for line in data.lines) if isinstance(data, Settlement) else (),
        split=data.split if isinstance(data, Settlement | Refund) else None,
        ledger=_ledger(connection, booking),
        adjustments=differences(connection, booking=booking.id) if booking else (),
        quarantine=quarantined(row) if row.state == "quarantined" else None,
        related=_related(connection, booking, data),
    )


def _at(table: Any, terminal: str, epoch: int, seq: int) -> tuple[Any, ...]:
    return (table.c.terminal == terminal, table.c.epoch == epoch, table.c.seq == seq)


def _stored(connection: Connection, terminal: str, epoch: int, seq: int) -> Any:
    query = (
        select(events, terminals.c.fixmedins_name)
        .join(terminals, terminals.c.terminal == events.c.terminal)
        .where(*_at(events, terminal, epoch, seq))
    )
    return connection.execute(query).one_or_none()


def _read(data: bytes) -> Event | None:
    try:
        return decode_event(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _title(event: Event | None) -> Both:
    if event is None:
        return KINDS["unreadable"]
    data = event.data
    if isinstance(data, Refusal):
        title = titled(data.number)
        return Both(f"拒绝 {data.number} {title.zh}", f"Refused {data.number} {title.en}")
    if isinstance(data, PinService):
        return named(PIN_SERVICES, data.service)
    if isinstance(data, Refund):
        return KINDS["refund"]
    kind = coded("med_type", data.med_type)
    return Both(f"{kind.zh}结算", f"{kind.en} settlement")


def _latency_s(booking: Any) -> float | None:
    return None if booking is None else round((booking.received_ms - booking.event_ms) / 1000, 3)


def _prev(connection: Connection, row: Any, event: Event | None, before: Any) -> str | None:
    """The hash this event must follow: that of the event before, or of the enrolment record."""
    if event is None:
        return None
    if row.seq > 1:
        return None if before is None else str(before.hash)
    found = connection.execute(
        select(enrolments.c.record).where(enrolments.c.terminal == row.terminal, enrolments.c.epoch == row.epoch)
    ).scalar_one()
    return sha256(found).hexdigest()


def _after(connection: Connection, terminal: str, epoch: int, seq: int) -> str | None:
    found = connection.execute(select(events.c.seq).where(*_at(events, terminal, epoch, seq + 1))).first()
    return None if found is None else f"/event/{event_id(terminal, epoch, seq + 1)}"


def _signed_by(connection: Connection, terminal: str, epoch: int, seq: int) -> str | None:
    """The first event from here on that carries a signature: it covers the chain up to itself."""
    found = connection.execute(
        select(func.min(events.c.seq)).where(
            events.c.terminal == terminal,
            events.c.epoch == epoch,
            events.c.seq >= seq,
            events.c.signature.is_not(None),
        )
    ).scalar()
    return None if found is None else event_id(terminal, epoch, found)


def _visit(event: Event | None) -> tuple[Fact, ...]:
    """What the counter knew. The person is a kind and a place; numbers and names are not here."""
    if event is None:
        return ()
    data = event.data
    facts: list[Fact] = []
    if isinstance(data, Settlement):
        facts += [
            _words(Both("医疗类别", "Kind of care"), coded("med_type", data.med_type)),
            _words(Both("人员类别", "Person kind"), coded("psn_type", data.psn_type)),
            _words(Both("险种", "Insurance"), coded("insutype", data.insutype)),
            _words(Both("参保地", "Insured place"), coded("admdvs", data.insuplc_admdvs)),
            _words(Both("密码", "PIN"), named(PIN_WORDS, data.pin)),
        ]
        if data.reason is not None:
            why = titled(data.reason)
            facts.append(Fact(Both("改现金原因", "Reason for cash"), f"{data.reason} {why.zh}", Both(why.zh, why.en)))
    if isinstance(data, Refusal):
        facts.append(_words(Both("原因", "Reason"), explained(data.number)))
        facts.append(Fact(Both("步骤", "Step"), data.step))
        if data.sw:
            facts.append(Fact(Both("状态字", "Status word"), data.sw))
        if data.med_type:
            facts.append(_words(Both("医疗类别", "Kind of care"), coded("med_type", data.med_type)))
    if isinstance(data, PinService):
        facts.append(_words(Both("结果", "Result"), named(PIN_STATES, data.state)))
        if data.number is not None:
            facts.append(_words(Both("原因", "Reason"), explained(data.number)))
    if isinstance(data, Settlement | Refund):
        facts.append(Fact(Both("就诊号", "Visit"), data.mdtrt_id))
        facts.append(Fact(Both("机构编码", "Institution"), data.fixmedins_code))
    if not isinstance(data, Refusal):
        facts.append(Fact(Both("经办人", "Clerk"), data.opter))
    trust = Both("可信", "trusted") if event.clock.trusted else Both("不可信", "not trusted")
    facts.append(_words(Both("终端时钟", "Terminal clock"), trust))
    return tuple(facts)


def _computed(data: EventData | None) -> tuple[Fact, ...]:
    """What the split was computed with."""
    if not isinstance(data, Settlement):
        return ()
    source = named(SOURCES, data.basis.source)
    facts = [
        Fact(Both("政策", "Profile"), data.versions.profile),
        Fact(Both("目录", "Catalogue"), data.versions.catalogue),
        Fact(Both("分账", "Split"), f"{data.split_name} · {data.versions.split}"),
        Fact(Both("累计依据", "Basis"), f"v{data.basis.version} · {source.zh}", source),
        Fact(Both("年度", "Year"), str(data.year)),
        Fact(Both("此前范围内", "In scope before"), money(data.before.inscope)),
        Fact(Both("此前基金支付", "Fund before"), money(data.before.big)),
        _words(Both("取整", "Rounding"), named(ROUNDINGS, data.rounding)),
    ]
    if data.account is not None:
        facts.append(Fact(Both("账户余额", "Account before"), money(data.account)))
    if data.acct_scope is not None:
        facts.append(_words(Both("账户用途", "Account may pay"), named(SCOPES, data.acct_scope)))
    return tuple(facts)


def _words(name: Both, value: Both) -> Fact:
    return Fact(name, value.zh, value)


def _charge(line: FeeLine) -> ChargeLine:
    found = label("chrgitm_lv", line.chrgitm_lv)
    return ChargeLine(
        line.med_list_codg or "",
        line.medins_list_name or line.med_list_codg or "",
        Both(found.zh, found.en),
        line.pric,
        line.cnt,
        line.selfpay_prop or "",
    )


def _ledger(connection: Connection, booking: Any) -> tuple[LedgerEntry, ...]:
    if booking is None:
        return ()
    rows = connection.execute(
        select(ledger.c.account, ledger.c.amount_fen, ledger.c.adjustment_id)
        .where(ledger.c.booking_id == booking.id)
        .order_by(ledger.c.id)
    )
    return tuple(
        LedgerEntry(account=named(ACCOUNTS, account), fen=fen, adjustment=adjustment)
        for account, fen, adjustment in rows
    )


def _related(connection: Connection, booking: Any, data: EventData | None) -> tuple[Fact, ...]:
    """Refund and original, and the settlement whose adjustment a refund took back."""
    facts: list[Fact] = []
    if isinstance(data, Refund):
        facts.append(_link(Both("退的是", "Refunds"), data.original))
    if booking is not None:
        later = connection.execute(
            select(bookings.c.terminal, bookings.c.epoch, bookings.c.seq).where(bookings.c.original_id == booking.id)
        ).one_or_none()
        if later is not None:
            facts.append(_link(Both("已退费", "Refunded by"), event_id(*later)))
    return tuple(facts)


def _link(name: Both, event: str) -> Fact:
    try:
        event_key(event)
    except ValueError:
        return Fact(name, event)
    return Fact(name, event, link=f"/event/{event}")
