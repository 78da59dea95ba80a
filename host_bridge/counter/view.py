"""What a screen shows of the counter: one immutable picture, made by `Counter`, sent to pages and others as JSON."""

from typing import Literal

import msgspec

from protocols.settlement.bill import Accumulators, Split
from protocols.sscard.pin import MIN_DIGITS
from protocols.texts.catalogue import Words

Step = Literal["insert", "person", "pin", "bill", "settle", "take"]
"""The steps that are always on screen: 插卡 身份 密码 账单 结算 取卡."""
Stage = Literal["idle", "reading", "pin", "change", "bill", "presettled", "settling", "done", "refused", "stopped"]
Action = Literal[
    "pin",
    "ask_pad",
    "begin_change",
    "change_pin",
    "keep_pin",
    "bill",
    "settle",
    "full_cash",
    "refund",
    "reprint",
    "print_guide",
    "cancel",
    "finish",
]
PadState = Literal["none", "idle", "wanted", "waiting"]
"""The reader's PIN pad: there is none, nobody is asked, it is about to take a PIN, it waits for the holder."""


class Both(msgspec.Struct, frozen=True):
    """A short label, Chinese first."""

    zh: str
    en: str


class TerminalView(msgspec.Struct, frozen=True):
    id: str
    name: str
    city: Both
    clerk: str
    simulated: bool


class PartView(msgspec.Struct, frozen=True):
    """Reader, centre or printer: `state` is ready, away or attention; `text` says it in words."""

    state: Literal["ready", "away", "attention"]
    text: Both


class UploadView(msgspec.Struct, frozen=True):
    """What the centre has not yet receipted, and up to when it has everything."""

    backlog: int
    oldest: str | None
    through: str | None


class TodayView(msgspec.Struct, frozen=True):
    settled: int
    fund_fen: int
    cash_fen: int


class NoticeView(msgspec.Struct, frozen=True):
    """A catalogue text that does not stop the visit."""

    number: str
    zh: Words
    en: Words


class PersonView(msgspec.Struct, frozen=True):
    """Masked for the screen: 李＊华, 990101********0036."""

    name: str
    certno: str
    psn_type: Both
    insutype: Both
    insuplc: Both
    pin: Literal["verified", "not_asked", "wanted"]
    notices: tuple[NoticeView, ...] = ()


class PinView(msgspec.Struct, frozen=True):
    """`min_digits` of a new PIN; `trouble`: why the last entry at the pad came to nothing."""

    tries: int | None
    wrong: bool
    pad: PadState = "none"
    min_digits: int = MIN_DIGITS
    trouble: NoticeView | None = None


class LineView(msgspec.Struct, frozen=True):
    code: str | None
    name: str
    lv: str
    pric: str
    cnt: str
    amount_fen: int


class BillView(msgspec.Struct, frozen=True):
    med_type: str
    lines: tuple[LineView, ...]


class SplitView(msgspec.Struct, frozen=True):
    """A pre-settlement or result: `deductible_fen` the year's or visit's, absent where the split has none."""

    split: Split
    split_name: str
    mode: Literal["online", "provisional", "full_cash"]
    before: Accumulators
    deductible_fen: int | None
    ratio: str | None
    fund_name: Both
    account_fen: int | None
    simulated: bool
    quote: str = ""
    """Names this pre-settlement; sent with `settle`, it keeps a late press from settling another bill."""


class ResultView(msgspec.Struct, frozen=True):
    """A durable settlement or refund; `received` once the centre's receipt covers it."""

    event_id: str
    kind: Literal["settlement", "refund"]
    mdtrt_id: str
    received: bool
    printed: bool


class RefusalView(msgspec.Struct, frozen=True):
    number: str
    sw: str | None
    tries: int | None
    zh: Words
    en: Words


class ReasonView(msgspec.Struct, frozen=True):
    """A full-cash reason that may be chosen now: `key` goes back to `full_cash`."""

    key: str
    number: str
    zh: Words
    en: Words


class CounterView(msgspec.Struct, frozen=True):
    """The whole picture. `actions` and `reasons` (of full cash) are those possible now."""

    terminal: TerminalView
    reader: PartView
    centre: PartView
    printer: PartView
    upload: UploadView
    today: TodayView
    stage: Stage
    step: Step
    actions: tuple[Action, ...]
    time: str
    person: PersonView | None = None
    pin: PinView | None = None
    bill: BillView | None = None
    split: SplitView | None = None
    result: ResultView | None = None
    refusal: RefusalView | None = None
    reasons: tuple[ReasonView, ...] = ()


class ItemView(msgspec.Struct, frozen=True):
    """A catalogue item offered for a bill."""

    code: str
    name: str
    pinyin: str
    lv: str
    pric: str
    unit: str


class PastView(msgspec.Struct, frozen=True):
    """A settlement or refund of today, for refunding and reprinting."""

    event_id: str
    kind: Literal["settlement", "refund"]
    time: str
    mdtrt_id: str
    medfee_fen: int
    psn_part_fen: int
    mode: str
    refunded: bool
    received: bool
