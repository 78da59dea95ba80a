"""What a host and a reader's PIN pad say to each other, after PC/SC part 10: limits there, a status word back.

The host also names PINs that are forbidden; the pad compares on the board and says one thing, whether the PIN was one
of them. Digits are in neither direction.
"""

from typing import NamedTuple

SW_TIMED_OUT = 0x6400
SW_CANCELLED = 0x6401
SW_ENTRIES_DIFFER = 0x6402
SW_NOT_CONFORMING = 0x6403
"""The pad's own status words; every other one is the card's."""
MAX_FORBIDDEN = 8
"""PINs compared at most: the flag must not become a way to find a PIN out."""


class PadLimits(NamedTuple):
    """Digits of a PIN (of a new one in a change; an old one has the card's own limits), seconds for each entry.

    `forbidden` are packed PINs (`pin.pin_block`).
    """

    min_digits: int
    max_digits: int
    timeout_s: int
    forbidden: tuple[bytes, ...] = ()


class PadAnswer(NamedTuple):
    """`was_forbidden` is told only beside 9000 or, of a new PIN that was not sent, `SW_NOT_CONFORMING`.

    None: the pad did not compare.
    """

    sw: int
    was_forbidden: bool | None = None
