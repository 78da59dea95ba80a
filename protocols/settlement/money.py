"""Money: integer fen everywhere, yuan only as text at the edges."""

import re

_YUAN = re.compile(r"(-?)(\d{1,14})(?:\.(\d{1,2}))?")


def fen(yuan: str) -> int:
    """Fen of an amount written in yuan with at most two decimals, such as `"12.30"`; `ValueError` otherwise."""
    match = _YUAN.fullmatch(yuan)
    if match is None or not yuan.isascii():
        raise ValueError(f"not an amount in yuan: {yuan!r}")
    sign, whole, cents = match.groups()
    amount = int(whole) * 100 + int((cents or "0").ljust(2, "0"))
    return -amount if sign else amount


def yuan(amount: int) -> str:
    """The amount in yuan with two decimals: `1230` is `"12.30"`."""
    whole, cents = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole}.{cents:02d}"


def halves_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` rounded to an integer, halves away from zero (settlement.md C.1)."""
    quotient = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -quotient if numerator < 0 else quotient
