"""Words for codes, numbers and durations on the operator pages, Chinese first."""

from protocols.events.clock import rfc3339
from protocols.settlement.codes import label
from protocols.texts.catalogue import text_of
from server.store.store import moment
from server.web.pictures import Both

MODES = {
    "online": Both("联机", "Online"),
    "provisional": Both("临时", "Provisional"),
    "full_cash": Both("全额现金", "Full cash"),
}
KINDS = {
    "settlement": Both("结算", "Settlement"),
    "refund": Both("退费", "Refund"),
    "refusal": Both("拒绝", "Refusal"),
    "pin": Both("密码业务", "PIN service"),
    "adjustment": Both("调整", "Adjustment"),
    "quarantine": Both("隔离", "Quarantine"),
    "unreadable": Both("无法识别", "Unreadable"),
}
PIN_SERVICES = {
    "change": Both("修改密码", "PIN change"),
    "unblock": Both("密码解锁", "PIN unblock"),
    "reset": Both("密码重置", "PIN reset"),
}
PIN_STATES = {
    "begun": Both("开始", "Begun"),
    "done": Both("完成", "Done"),
    "failed": Both("未成", "Failed"),
}
ACCOUNTS = {
    "institution": Both("医药机构", "Institution"),
    "big": Both("统筹/大额", "Pooling or large-amount fund"),
    "supp": Both("补充", "Supplement"),
    "acct": Both("个人账户", "Personal account"),
    "cash": Both("个人现金", "Cash"),
    "due": Both("待结清", "Due"),
}
PAYEES = {"person": Both("参保人", "Person"), "fund": Both("基金", "Fund")}
CHANNELS = {
    "card_bank_account": Both("社保卡银行账户", "Bank account of the card"),
    "account": Both("个人账户", "Personal account"),
    "agency": Both("经办机构", "Agency"),
}
ADJUSTMENT_STATES = {
    "open": Both("待处理", "Open"),
    "paid": Both("已支付", "Paid"),
    "waived": Both("已免除", "Waived"),
}

SHORT = {
    ("med_type", "11"): Both("门诊", "Outpatient"),
    ("med_type", "12"): Both("挂号", "Registration"),
    ("med_type", "14"): Both("慢特病", "Chronic disease"),
    ("med_type", "41"): Both("购药", "Pharmacy"),
    ("psn_type", "14"): Both("居民", "Resident"),
    ("psn_type", "15"): Both("居民", "Resident"),
    ("psn_type", "16"): Both("居民", "Resident"),
}
"""Shorter than the national labels, for the stream; a person kind by its first two digits."""


def named(table: dict[str, Both], code: str) -> Both:
    """The words of a code of ours; a code that has none stands for itself."""
    return table.get(code) or Both(code, code)


def coded(table: str, code: str | None) -> Both:
    """The words of a national code (settlement.md B.6); empty where there is no code."""
    if not code:
        return Both("", "")
    found = label(table, code)
    return Both(found.zh, found.en)


def short(table: str, code: str | None) -> Both:
    """A national code in as few words as there are."""
    return SHORT.get((table, (code or "")[:2])) or coded(table, code)


def titled(number: str | None) -> Both:
    """The title of a catalogue number; the number alone where the catalogue does not know it."""
    return _words(number, "title")


def explained(number: str | None) -> Both:
    """What a catalogue number means."""
    return _words(number, "what")


def stamp(ms: int) -> str:
    """A stored moment in Shanghai; `—` where it lies outside the calendar."""
    try:
        return rfc3339(moment(ms))
    except (OverflowError, ValueError):
        return "—"


def duration(seconds: float) -> str:
    """`00:37`, `37:12`, `1:02:03`, and days from two days on: `3 d`."""
    whole = max(0, int(seconds))
    if whole >= 2 * 86400:
        return f"{whole // 86400} d"
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{last:02d}" if hours else f"{minutes:02d}:{last:02d}"


def rough(seconds: float) -> Both:
    """`37 分` and `37 min`: the largest unit alone."""
    whole = max(0, int(seconds))
    for size, zh, en in ((86400, "天", "d"), (3600, "小时", "h"), (60, "分", "min")):
        if whole >= size:
            return Both(f"{whole // size} {zh}", f"{whole // size} {en}")
    return Both(f"{whole} 秒", f"{whole} s")


def money(fen: int) -> str:
    """`1,234.56`, with a true minus sign."""
    whole, cents = divmod(abs(fen), 100)
    return f"{'−' if fen < 0 else ''}{whole:,}.{cents:02d}"


def _words(number: str | None, part: str) -> Both:
    if not number:
        return Both("", "")
    try:
        text = text_of(number)
    except KeyError:
        return Both(number, number)
    return Both(getattr(text.zh, part), getattr(text.en, part))
