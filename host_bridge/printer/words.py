"""Amounts in words as Chinese bills want them (大写金额, 支付结算办法 annex 1)."""

DIGITS = "零壹贰叁肆伍陆柒捌玖"
PLACES = ("仟", "佰", "拾", "")
GROUPS = ("", "万", "亿", "万亿")


def rmb_words(amount: int) -> str:
    """Fen in words: `41667` is 肆佰壹拾陆元陆角柒分; 整 follows 元 where nothing smaller does."""
    yuan, rest = divmod(abs(amount), 100)
    jiao, cents = divmod(rest, 10)
    text = "负" if amount < 0 else ""
    if yuan or not rest:
        text += _integer(yuan) + "元"
    if not rest:
        return text + "整"
    if jiao:
        text += DIGITS[jiao] + "角"
    elif yuan:
        text += DIGITS[0]
    return text + (DIGITS[cents] + "分" if cents else "")


def _integer(number: int) -> str:
    """One 零 for any run of zeros between digits, none at the end of a group of four."""
    text, gap = "", False
    for group in range(len(GROUPS) - 1, -1, -1):
        part = number // 10000**group % 10000
        if not part:
            gap = bool(text)
            continue
        for place, digit in enumerate(f"{part:04d}"):
            if digit == "0":
                gap = bool(text)
                continue
            text += (DIGITS[0] if gap else "") + DIGITS[int(digit)] + PLACES[place]
            gap = False
        text += GROUPS[group]
        gap = False
    return text or DIGITS[0]
