"""A counter that follows a script, and the pictures it shows."""

import threading
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from host_bridge.counter.view import (
    Action,
    BillView,
    Both,
    CounterView,
    ItemView,
    LineView,
    NoticeView,
    PartView,
    PastView,
    PersonView,
    PinView,
    ReasonView,
    RefusalView,
    ResultView,
    SplitView,
    Stage,
    Step,
    TerminalView,
    TodayView,
    UploadView,
)
from host_bridge.counter.visit import NotNow
from host_bridge.web.bodies import CatalogueLine
from protocols.settlement.bill import Accumulators, FeeLine, Split
from protocols.settlement.catalogue import load_catalogue
from protocols.settlement.split import BillError
from protocols.texts.catalogue import Words

PIN = "135790"
D2 = Split(
    medfee_sumamt=41667,
    fulamt_ownpay_amt=0,
    overlmt_selfpay=0,
    preselfpay_amt=1667,
    inscp_scp_amt=40000,
    act_pay_dedc=14965,
    big=17525,
    supp=0,
    fund_pay_sumamt=17525,
    self1=22475,
    self1_ratio=7510,
    self1_above_cap=0,
    self2=1667,
    self_out=0,
    psn_part_amt=24142,
    acct_pay=0,
    psn_cash_pay=24142,
    after_inscope=205035,
    after_big=17525,
)
"""Vector D2 of settlement.md C.4."""
BEFORE_D2 = Accumulators(165035, 0)
ONLINE = SplitView(
    D2,
    "BJ-E",
    "online",
    BEFORE_D2,
    180000,
    "0.70",
    Both("门诊大额", "Large-amount"),
    None,
    True,
)
PERSON = PersonView(
    "李＊华",
    "990101********0036",
    Both("在职", "In service"),
    Both("职工医保", "Employees"),
    Both("北京市", "Beijing"),
    "wanted",
)
LOCKED = RefusalView(
    "-52",
    "6983",
    0,
    Words(
        "密码已锁定",
        "连续输错次数已用完，芯片拒绝再次验证。卡内数据和账户没有变化。",
        "本人携带身份证和社保卡，到参保地医保经办机构重置密码。电话 12333。",
        "可全额现金结算，费用明细照常上传；是否可以回参保地报销，以参保地规定为准。",
    ),
    Words(
        "The PIN is locked",
        "No tries are left and the chip refuses to check again. Nothing on the card or the account has changed.",
        "Bring the identity card to the agency of the insured place to reset the PIN. Call 12333.",
        "The bill can be paid in full cash; the details are uploaded as usual.",
    ),
)
DEFAULT_PIN = RefusalView(
    "-35",
    None,
    None,
    Words(
        "请先修改初始密码",
        "初始密码可以查询，不能用于结算。卡内数据和账户没有变化。",
        "请携带身份证和社保卡，到本柜台（现在就可以）修改密码。咨询电话 12333。",
        "改密后可以刷卡结算；也可全额现金结算，费用明细照常上传。",
    ),
    Words(
        "Change the initial PIN first",
        "The initial PIN may be used for enquiries, not for settlement. Card and account have not changed.",
        "Change it with ID and card at this counter (now). Telephone 12333.",
        "Can be settled by card after the change; full cash is possible too, the details are uploaded as usual.",
    ),
)
BROKEN = RefusalView(
    "J-003",
    None,
    None,
    Words("日志无法写入", "终端已停止结算。已保存的结算不受影响。", "", "请联系维护人员更换存储卡。"),
    Words(
        "The journal cannot be written", "The terminal has stopped. Stored settlements are safe.", "", "Call support."
    ),
)
STORED = ResultView("990101-0007/1/42", "settlement", "99010100070142", False, False)
RECEIVED = ResultView("990101-0007/1/42", "settlement", "99010100070142", True, True)
NOTICE = NoticeView(
    "S-031",
    Words("待遇状态与中心不一致", "芯片记录为在职，中心记录为退休；本次按芯片结算。"),
    Words("Chip and centre differ", "The chip says in service, the centre retired; settled as the chip says."),
)
CHANGED = NoticeView(
    "S-130",
    Words("密码已修改", "芯片已换用新密码，以后请用新密码。"),
    Words("The PIN is changed", "The chip has the new PIN; it counts from now on."),
)
REASONS = tuple(
    ReasonView(key, number, Words(zh, ""), Words(en, ""))
    for key, number, zh, en in (
        ("pin_locked", "-52", "密码已锁定", "The PIN is locked"),
        ("not_shown", "V-001", "未出示社保卡", "Card not shown"),
        ("emergency", "V-002", "急诊未带卡", "Emergency without the card"),
        ("work_injury", "V-003", "工伤", "Work injury"),
    )
)
POSSIBLE: dict[Stage, tuple[Action, ...]] = {
    "idle": ("bill", "full_cash", "refund", "reprint"),
    "reading": (),
    "pin": ("pin", "begin_change", "full_cash", "cancel"),
    "change": ("change_pin", "keep_pin"),
    "bill": ("bill", "begin_change", "full_cash", "cancel"),
    "presettled": ("bill", "begin_change", "settle", "full_cash", "cancel"),
    "settling": (),
    "done": ("reprint", "finish"),
    "refused": ("full_cash", "print_guide", "finish"),
    "stopped": ("reprint",),
}
PAST = (
    PastView(
        "990101-0007/1/41", "settlement", "2026-11-21T09:58:12.000+08:00", "M41", 41667, 24142, "online", False, True
    ),
    PastView(
        "990101-0007/1/40", "settlement", "2026-11-21T09:41:05.000+08:00", "M40", 9680, 9680, "full_cash", True, True
    ),
)
IDLE = CounterView(
    terminal=TerminalView("990101-0007", "示范大药房 · 西城店", Both("北京市", "Beijing"), "02", True),
    reader=PartView("ready", Both("读卡器", "Reader")),
    centre=PartView("ready", Both("中心 · 86 ms", "Centre · 86 ms")),
    printer=PartView("ready", Both("打印机", "Printer")),
    upload=UploadView(0, None, "2026-11-21T12:41:07.000+08:00"),
    today=TodayView(126, 841230, 512345),
    stage="idle",
    step="insert",
    actions=POSSIBLE["idle"],
    time="2026-11-21T12:41:30.000+08:00",
    reasons=REASONS,
)


def _fen(line: FeeLine) -> int:
    return int((Decimal(line.pric) * Decimal(line.cnt) * 100).to_integral_value(ROUND_HALF_UP))


class ScriptedCounter:
    """Shows what the test says and walks one visit of vector D2; remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.bills: list[tuple[str, tuple[CatalogueLine | FeeLine, ...]]] = []
        self.pins: list[bytearray] = []
        self.tries: list[int | None] = []
        self.failing: Exception | None = None
        self._view = IDLE
        self._callbacks: list[Callable[[CounterView], None]] = []
        self._lock = threading.Lock()
        self._tries = 3

    def reset(self) -> None:
        """Back to the idle counter with all tries."""
        self._tries = 3
        self._view = IDLE

    def show(self, stage: Stage, step: Step, **changes: object) -> None:
        """The next picture; fields of the visit not given become empty."""
        visit = dict.fromkeys(("person", "pin", "bill", "split", "result", "refusal"))
        with self._lock:
            self._view = msgspec.structs.replace(
                self._view, stage=stage, step=step, **{"actions": POSSIBLE[stage], **visit, **changes}
            )
            view = self._view
        for callback in self._callbacks:
            callback(view)

    def change(self, **changes: object) -> None:
        """Like `show`, but everything else stays."""
        with self._lock:
            self._view = msgspec.structs.replace(self._view, **changes)
            view = self._view
        for callback in self._callbacks:
            callback(view)

    def insert_card(self) -> None:
        self.show("reading", "person")

    def ask_pin(self, *, wrong: bool = False) -> None:
        self.show("pin", "pin", person=PERSON, pin=PinView(self._tries, wrong))

    def ask_change(self, *, wrong: bool = False) -> None:
        self.show("change", "pin", person=PERSON, pin=PinView(self._tries, wrong, min_digits=6))

    def wait_at_pad(self, *, trouble: NoticeView | None = None) -> None:
        pad, again = ("waiting", ()) if trouble is None else ("idle", ("ask_pad",))
        pin = msgspec.convert({"tries": self._tries, "wrong": False, "pad": pad}, PinView)
        actions = (*again, "begin_change", "full_cash", "cancel")
        self.show("pin", "pin", person=PERSON, pin=msgspec.structs.replace(pin, trouble=trouble), actions=actions)

    def refuse_default_pin(self) -> None:
        actions = ("begin_change", *POSSIBLE["refused"])
        self.show("refused", "pin", person=PERSON, refusal=DEFAULT_PIN, actions=actions)

    def want_bill(self) -> None:
        self.show("bill", "bill", person=msgspec.structs.replace(PERSON, pin="verified"))

    def view(self) -> CounterView:
        return self._view

    def subscribe(self, callback: Callable[[CounterView], None]) -> None:
        self._callbacks.append(callback)

    def enter_pin(self, digits: bytearray, *, tries: int | None = None) -> None:
        self._take("pin", None)
        self.tries.append(tries)
        self.pins.append(digits)
        if digits.decode() == PIN:
            self.want_bill()
            return
        self._tries -= 1
        if self._tries:
            self.ask_pin(wrong=True)
        else:
            self.show("refused", "pin", person=PERSON, refusal=LOCKED)

    def ask_pad(self) -> None:
        self._take("ask_pad", None)
        self.wait_at_pad()

    def begin_change(self) -> None:
        self._take("begin_change", None)
        self.ask_change()

    def change_pin(self, old: bytearray, new: bytearray, repeat: bytearray, *, tries: int | None = None) -> None:
        self._take("change_pin", None)
        self.tries.append(tries)
        self.pins += [old, new, repeat]
        if new != repeat:
            raise NotNow("change_pin", "change", "pin_mismatch")
        if old.decode() == PIN:
            self.show(
                "pin", "pin", person=msgspec.structs.replace(PERSON, notices=(CHANGED,)), pin=PinView(3, wrong=False)
            )
        else:
            self._tries -= 1
            self.ask_change(wrong=True)

    def keep_pin(self) -> None:
        self._take("keep_pin", None)
        self.ask_pin()

    def enter_bill(self, med_type: str, lines: Sequence[CatalogueLine | FeeLine]) -> None:
        self._take("bill", med_type)
        self.bills.append((med_type, tuple(lines)))
        shown = []
        for number, line in enumerate(lines, 1):
            if isinstance(line, CatalogueLine):
                try:
                    line = load_catalogue().line(line.code, line.cnt)  # noqa: PLW2901
                except BillError as error:
                    raise BillError(error.code, line=number, field=error.field) from None
            name = line.medins_list_name or ""
            shown.append(LineView(line.med_list_codg, name, line.chrgitm_lv, line.pric, line.cnt, _fen(line)))
        self.show("presettled", "bill", person=self._view.person, bill=BillView(med_type, tuple(shown)), split=ONLINE)

    def settle(self, quote_id: str | None = None) -> None:
        self._take("settle", quote_id)
        self.show("done", "take", person=self._view.person, split=self._view.split, result=STORED)

    def full_cash(self, reason_key: str) -> None:
        self._take("full_cash", reason_key)
        self.show("bill", "bill", person=self._view.person, bill=self._view.bill)

    def refund(self, event_id: str) -> None:
        self._take("refund", event_id)
        back = {name: -amount for name, amount in msgspec.structs.asdict(D2).items() if amount is not None}
        result = ResultView("990101-0007/1/43", "refund", "99010100070143", True, True)
        split = msgspec.structs.replace(ONLINE, split=Split(**back), deductible_fen=None)
        self.show("done", "take", result=result, split=split)

    def reprint(self, event_id: str) -> None:
        self._take("reprint", event_id)

    def print_guide(self) -> None:
        self._take("print_guide", None)

    def cancel(self) -> None:
        self._take("cancel", None)
        self.show("idle", "insert")

    def finish(self) -> None:
        self._take("finish", None)
        self.show("idle", "insert")

    def search(self, text: str) -> tuple[ItemView, ...]:
        found = load_catalogue().search(text)[:8]
        return tuple(ItemView(each.code, each.name, each.pinyin, each.lv, each.pric, each.unit) for each in found)

    def past(self) -> tuple[PastView, ...]:
        return PAST

    def _take(self, action: Action, value: object) -> None:
        if self.failing is not None:
            raise self.failing
        if action not in self._view.actions:
            raise NotNow(action, self._view.stage)
        self.calls.append((action, value))
