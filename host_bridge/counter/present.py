"""From the visit to the picture: labels, masks, catalogue texts. Pure."""

from typing import NamedTuple

from host_bridge.counter.bill import NO_SPLIT, Quote, line_fen
from host_bridge.counter.reasons import possible_reasons
from host_bridge.counter.slot import Slot
from host_bridge.counter.view import (
    BillView,
    Both,
    ItemView,
    LineView,
    NoticeView,
    PartView,
    PersonView,
    PinView,
    ReasonView,
    RefusalView,
    ResultView,
    SplitView,
)
from host_bridge.counter.visit import Refused, Visit
from host_bridge.journal.chain import Stored
from host_bridge.printer.printer import PrinterState
from host_bridge.printer.receipt import Bearer
from host_bridge.readers.reader import ReaderInUse
from protocols.events.events import Refund, Settlement
from protocols.settlement.catalogue import Item
from protocols.settlement.codes import Label, label
from protocols.settlement.profile import City
from protocols.sscard.identity import mask_certno, mask_name
from protocols.sscard.pin import MIN_DIGITS
from protocols.texts.catalogue import Words, texts

UNKNOWN = Both("未知", "Unknown")
FUND = Both("基金支付", "Fund")
READER_READY = PartView("ready", Both("读卡器", "Reader"))
READER_AWAY = PartView("away", Both("读卡器未连接", "Reader not connected"))
READER_IN_USE = PartView("away", Both("读卡器被其他程序占用", "Reader in use by another program"))
CENTRE_AWAY = PartView("away", Both("中心暂不可达", "Centre away"))
PRINTER: dict[PrinterState, PartView] = {
    "ready": PartView("ready", Both("打印机", "Printer")),
    "near_end": PartView("attention", Both("打印纸将用尽", "Paper runs out soon")),
    "paper_out": PartView("attention", Both("打印机缺纸", "Printer out of paper")),
    "away": PartView("away", Both("打印机未连接", "Printer not connected")),
}
ANY_PLACE = Label("参保地社保经办机构或社保卡服务网点", "the agency of the insured place or a card service point")
THIS_COUNTER = Label("本柜台（现在就可以）", "this counter (now)")
ANY_HOTLINE = "12333"


class Help(NamedTuple):
    """Where a holder is sent: by the insured place, not the counter's city (settlement.md A.6)."""

    reset: Label
    change: Label
    hotline: str
    min_digits: int = MIN_DIGITS

    def facts(self, key: str) -> tuple[dict[str, str], dict[str, str]]:
        """Placeholders for the Chinese and the English words of a text."""
        place = self.change if key == "pin_default" else self.reset
        return {"place": place.zh, "hotline": self.hotline}, {"place": place.en, "hotline": self.hotline}


def help_of(home: City | None, *, change_here: bool = False) -> Help:
    """Places and telephone number of a person's own city; general ones where it has no profile."""
    if home is None:
        return Help(ANY_PLACE, ANY_PLACE, ANY_HOTLINE)
    change = THIS_COUNTER if change_here else home.pin_change_place or home.pin_reset_place
    return Help(home.pin_reset_place, change, home.hotline, home.pin_min_digits)


def both(found: Label) -> Both:
    """A label as the page gets it."""
    return Both(found.zh, found.en)


def filled(key: str, help_: Help, facts: dict[str, str] | None = None) -> tuple[str, Words, Words]:
    """Number and words of a catalogue text."""
    text = texts()[key]
    zh, en = help_.facts(key)
    return text.number, text.zh.fill({**zh, **(facts or {})}), text.en.fill({**en, **(facts or {})})


def reader_part(slot: Slot) -> PartView:
    """The reader's chip."""
    if slot.trouble is None:
        return READER_READY
    return READER_IN_USE if isinstance(slot.trouble, ReaderInUse) else READER_AWAY


def centre_part(*, listening: bool, ms: int | None) -> PartView:
    """The centre's chip, with the last round trip."""
    if not listening:
        return CENTRE_AWAY
    time = "" if ms is None else f" · {ms} ms"
    return PartView("ready", Both(f"中心{time}", f"Centre{time}"))


def person_view(visit: Visit, help_: Help) -> PersonView | None:
    """The masked person; None before anybody was read, and without a card."""
    if visit.holder is None:
        return None
    insured = visit.insured
    keys = [*visit.notices, *([] if visit.outlook is None else [visit.outlook])]
    wanted = visit.stage in {"pin", "change"} or (visit.tries is not None and not visit.pin_verified)
    return PersonView(
        name=mask_name(visit.holder.name),
        certno=mask_certno(visit.holder.certno),
        psn_type=UNKNOWN if insured is None else both(label("psn_type", insured.psn_type)),
        insutype=UNKNOWN if insured is None else both(label("insutype", insured.insutype)),
        insuplc=UNKNOWN if insured is None else both(label("admdvs", insured.insuplc_admdvs)),
        pin="verified" if visit.pin_verified else "wanted" if wanted else "not_asked",
        notices=tuple(NoticeView(*filled(key, help_)) for key in keys),
    )


def reason_views(visit: Visit, help_: Help) -> tuple[ReasonView, ...]:
    """The full-cash reasons that may be chosen now; at a refusal its own comes first."""
    if "full_cash" not in visit.actions():
        return ()
    refused = visit.refused.key if visit.stage == "refused" and visit.refused is not None else None
    offered = [] if refused is None else [(refused, refused)]
    offered += [(each.key, each.text) for each in possible_reasons(with_card=visit.with_card) if each.text != refused]
    return tuple(ReasonView(key, *filled(text, help_)) for key, text in offered)


def pin_view(visit: Visit, help_: Help) -> PinView | None:
    """Tries left and the pad, while a PIN is asked for."""
    if visit.stage not in {"pin", "change"}:
        return None
    trouble = (
        None if visit.pin_trouble is None else NoticeView(*filled(visit.pin_trouble[0], help_, visit.pin_trouble[1]))
    )
    return PinView(visit.tries, visit.pin_wrong, visit.pad, help_.min_digits, trouble)


def bill_view(visit: Visit) -> BillView | None:
    """The bill as entered."""
    if not visit.lines:
        return None
    lines = tuple(
        LineView(
            code=line.med_list_codg,
            name=line.medins_list_name or line.med_list_codg or "",
            lv=line.chrgitm_lv,
            pric=line.pric,
            cnt=line.cnt,
            amount_fen=line_fen(line),
        )
        for line in visit.lines
    )
    return BillView(visit.med_type, lines)


def split_view(visit: Visit, city: City) -> SplitView | None:
    """The pre-settlement or its result; of a refund the amounts given back."""
    refund = None if visit.result is None else visit.result.event.data
    of: Settlement | Quote
    if visit.original is not None and isinstance(refund, Refund):
        of, split = visit.original, refund.split
        rules = city.rules(of.split_name) if of.split_name in city.split_names else None
    elif visit.quote is not None:
        of, split, rules = visit.quote, visit.quote.split, visit.quote.rules
    else:
        return None
    return SplitView(
        split=split,
        split_name=NO_SPLIT if rules is None else rules.name,
        mode=of.mode,
        before=of.before,
        deductible_fen=None if rules is None else rules.deductible,
        ratio=None if rules is None else rules.ratio,
        fund_name=FUND if rules is None else both(rules.fund),
        account_fen=of.account,
        simulated=city.simulated,
        quote=visit.quote_id,
    )


def refusal_view(refused: Refused | None, help_: Help) -> RefusalView | None:
    """A refusal in words."""
    if refused is None:
        return None
    number, zh, en = filled(refused.key, help_, refused.facts)
    return RefusalView(number, refused.sw, refused.tries, zh, en)


def result_view(stored: Stored | None, *, mark_seq: int, printed: bool) -> ResultView | None:
    """What was made durable in this visit."""
    if stored is None or not isinstance(stored.event.data, Settlement | Refund):
        return None
    data = stored.event.data
    return ResultView(
        event_id=stored.id,
        kind="settlement" if isinstance(data, Settlement) else "refund",
        mdtrt_id=data.mdtrt_id,
        received=stored.seq <= mark_seq,
        printed=printed,
    )


def item_view(item: Item) -> ItemView:
    """A catalogue item on offer."""
    return ItemView(item.code, item.name, item.pinyin, item.lv, item.pric, item.unit)


def bearer_of(visit: Visit) -> Bearer:
    """Whom a receipt of this visit names."""
    if visit.holder is None:
        return Bearer()
    return Bearer(mask_name(visit.holder.name), visit.holder.gend, mask_certno(visit.holder.certno))
