"""The receipt of a settlement or refund: every line of settlement.md C.5, laid out from the journal's event."""

from collections.abc import Iterator
from typing import NamedTuple

from host_bridge.printer.layout import RULE, Line, centred, pair, paragraph
from host_bridge.printer.words import rmb_words
from protocols.events.events import Event, Refund, Settlement
from protocols.settlement.bill import Accumulators, FeeLine, Split
from protocols.settlement.codes import label
from protocols.settlement.money import yuan
from protocols.settlement.split import full_cash
from protocols.texts.catalogue import Words, text_of

HIDDEN = "＊"
KINDS = {"P": "定点零售药店", "H": "定点医疗机构"}
"""First letter of `fixmedins_code` (settlement.md D.2)."""
SIMULATED = "+simulated"
HASH_SHOWN = 16


class Bearer(NamedTuple):
    """Whom the receipt is for, already masked. Events hold no names, so a later reprint may know nothing."""

    name: str = HIDDEN
    gend: str = ""
    certno: str = HIDDEN


NOBODY = Bearer()


def receipt_lines(
    event: Event,
    digest: str,
    institution: str,
    *,
    bearer: Bearer = NOBODY,
    original: Settlement | None = None,
    copy: int = 0,
) -> tuple[Line, ...]:
    """Lines of a settlement, or of a refund with its `original`; `digest` is the event's hash.

    `copy` n > 0 marks the n-th reprint. The last line is `machine_line`. `ValueError` for an event without money.
    """
    data = event.data
    if isinstance(data, Settlement):
        original = data
    elif not isinstance(data, Refund) or original is None:
        raise ValueError("only settlements, and refunds with their original, have receipts")
    return (
        *_head(event, institution, original, copy),
        Line(RULE),
        *pair("票据号", event.id),
        *pair("交易流水号", data.mdtrt_id),
        *(pair("原票据号", data.original) if isinstance(data, Refund) else ()),
        *pair("日期", shown_time(event.time)),
        *_bearer(bearer, original),
        Line(RULE),
        *(line for each in original.lines for line in _item(each)),
        Line(RULE),
        *_amounts(data.split, original),
        Line(RULE),
        *_remarks(original),
        *pair("收费员", data.opter),
        Line(machine_line(event.id, data.split, digest)),
    )


def machine_line(event_id: str, split: Split, digest: str) -> str:
    """`#<event id> <total> <fund> <account> <cash> <hash>`: amounts in fen, the first 16 hexadecimal digits; ASCII."""
    amounts = (split.medfee_sumamt, split.fund_pay_sumamt, split.acct_pay, split.psn_cash_pay)
    return f"#{event_id} {' '.join(map(str, amounts))} {digest[:HASH_SHOWN]}"


def guide_lines(institution: str, number: str, words: Words, time: str) -> tuple[Line, ...]:
    """What the holder takes home from a refusal: number, what did not change, what to do next (003-2.47)."""
    lines = [*centred(institution), *centred("办理指引", large=True), Line(RULE), *paragraph(f"错误 {number}")]
    lines += [*paragraph(words.title), Line(""), *paragraph(words.what)]
    for heading, text in (("持卡人", words.holder), ("本次账单", words.bill)):
        if text:
            lines += [Line(""), *paragraph(f"【{heading}】"), *paragraph(text)]
    return (*lines, Line(RULE), *paragraph(shown_time(time)))


def shown_time(time: str) -> str:
    """An event's time as people write it."""
    return time[:19].replace("T", " ")


def _head(event: Event, institution: str, settled: Settlement, copy: int) -> Iterator[Line]:
    yield from centred(institution, large=True)
    yield from centred(KINDS.get(settled.fixmedins_code[:1], "定点医药机构"))
    kind = label("med_type", settled.med_type).zh
    yield from centred(f"{kind}{'退费' if isinstance(event.data, Refund) else '收费'}凭条")
    if copy:
        yield from centred(f"【补打 {copy}】")
    if settled.versions.profile.endswith(SIMULATED):
        yield from centred("【模拟数据】")
    if settled.mode == "provisional":
        yield from centred("临时结算，待中心确认", large=True)
        yield from pair("临时结算序号", event.id)


def _bearer(bearer: Bearer, settled: Settlement) -> Iterator[Line]:
    yield from pair("姓名", bearer.name)
    yield from pair("性别", label("gend", bearer.gend).zh if bearer.gend else HIDDEN)
    yield from pair("险种", label("insutype", settled.insutype).zh if settled.insutype else "未知")
    yield from pair("社会保障号码", bearer.certno)


def _item(line: FeeLine) -> Iterator[Line]:
    """Name, then class, price, quantity and amount."""
    yield from paragraph(line.medins_list_name or line.med_list_codg or "项目")
    amount = full_cash((line,), Accumulators(0, 0), "line").medfee_sumamt
    lv = label("chrgitm_lv", line.chrgitm_lv).zh
    yield from pair(f" {lv[0]} {line.pric} × {line.cnt}", yuan(amount))


def _amounts(split: Split, settled: Settlement) -> Iterator[Line]:
    if settled.mode != "full_cash":
        yield from pair("本次医保范围内金额", yuan(split.inscp_scp_amt))
        yield from pair("累计医保内范围金额", yuan(split.after_inscope))
        yield from pair("年度门诊大额累计支付", yuan(split.after_big))
    yield from pair("基金支付", yuan(split.fund_pay_sumamt))
    yield from pair("  门诊大额支付", yuan(split.big))
    yield from pair("  退休补充支付", yuan(split.supp))
    yield from pair("  残军补助支付", yuan(0))
    yield from pair("  单位补充险支付", yuan(0))
    yield from pair("个人支付", yuan(split.psn_part_amt))
    yield from pair("  自付一", yuan(split.self1))
    yield from pair("    起付金额", yuan(split.act_pay_dedc))
    yield from pair("    超封顶金额", yuan(split.self1_above_cap))
    yield from pair("  自付二", yuan(split.self2))
    yield from pair("  自费", yuan(split.self_out))
    yield from pair("个人账户支付", yuan(split.acct_pay))
    yield from pair("现金支付", yuan(split.psn_cash_pay))
    yield from pair("本次支付后个人账户余额", "--" if split.balc is None else yuan(split.balc))
    yield from pair("合计", f"￥{yuan(split.medfee_sumamt)}", large=True)
    yield from paragraph(f"大写 {rmb_words(split.medfee_sumamt)}")


def _remarks(settled: Settlement) -> Iterator[Line]:
    if settled.mode == "full_cash":
        yield from centred("全额现金结算")
        if settled.reason is not None:
            words = text_of(settled.reason).zh
            yield from paragraph(f"原因 {settled.reason} {words.title}")
    if settled.mode == "provisional":
        yield from paragraph("中心确认后如有差额，另行调整。")
