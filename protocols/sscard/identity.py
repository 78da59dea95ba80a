"""Who a card names: citizen number, card number, person class, and their masks (settlement.md D.1, D.2)."""

from datetime import date
from typing import Literal

import msgspec

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_PROVINCES = frozenset(
    (
        *range(11, 16),
        *range(21, 24),
        *range(31, 38),
        *range(41, 47),
        *range(50, 55),
        *range(61, 66),
        71,
        81,
        82,
        83,
    )
)
"""settlement.md D.3, 83 for residents from Taiwan. Numbers from 9 are foreigners' or fictitious."""
_CARD_NO_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_DIGITS = frozenset("0123456789")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HIDDEN = "*"
_HIDDEN_NAME = "＊"

_RESIDENTS = ("380", "390", "391")
_RETIRED_CADRE = "340"
_PERSON_CLASSES = {"11": "1101", "21": "1201", "22": "1201"}
ADULT = 18

Problem = Literal["characters", "check", "birth_date", "sex", "province"]


class CitizenNumberError(ValueError):
    """The first check a citizen number fails, in the order of settlement.md D.1; never the number itself."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(f"citizen number: wrong {problem}")


class CitizenNumber(msgspec.Struct, frozen=True):
    """A checked number of 18 characters; `gend` 1 male, 2 female."""

    number: str
    brdy: date
    gend: Literal["1", "2"]


def check_citizen_number(text: str, on: date, gend: str | None = None) -> CitizenNumber:
    """Check a citizen number as settlement.md D.1 orders; `CitizenNumberError` names the first fault.

    Old numbers of 15 digits are converted. `on` is today, `gend` the sex on the card where it is known.
    An unknown area inside a known province is not a fault.
    """
    number = citizen_number_18(text.upper())
    if len(number) != 18 or not set(number[:17]) <= _DIGITS or number[17] not in _CHECK:
        raise CitizenNumberError("characters")
    if number[17] != citizen_check(number[:17]):
        raise CitizenNumberError("check")
    brdy = _birth_date(number)
    if brdy is None or brdy > on:
        raise CitizenNumberError("birth_date")
    sex: Literal["1", "2"] = "1" if int(number[16]) % 2 else "2"
    if gend in ("1", "2") and gend != sex:
        raise CitizenNumberError("sex")
    if number[0] != "9" and int(number[:2]) not in _PROVINCES:
        raise CitizenNumberError("province")
    return CitizenNumber(number, brdy, sex)


def citizen_check(digits: str) -> str:
    """The check character over the first 17 digits (ISO 7064 MOD 11-2)."""
    return _CHECK[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11]


def citizen_number_18(number: str) -> str:
    """A number of 15 digits in its form of 18; anything else as it is."""
    if len(number) != 15 or not set(number) <= _DIGITS:
        return number
    digits = f"{number[:6]}19{number[6:]}"
    return digits + citizen_check(digits)


def card_no_check(body: str) -> str:
    """The check character of a card number's eight body characters (ssc-card.md 3.3)."""
    total = sum(weight * int(character, 36) for weight, character in zip(_CARD_NO_WEIGHTS, body, strict=True))
    check = 11 - total % 11
    return {10: "X", 11: "0"}.get(check, str(check))


def card_no_valid(card_no: str) -> bool:
    """Whether nine characters begin with a letter and end in the right check character."""
    body = card_no[:8]
    if len(card_no) != 9 or body[0] not in _LETTERS or not set(body) <= _DIGITS.union(_LETTERS):
        return False
    return card_no[8] == card_no_check(body)


def age_on(brdy: date, on: date) -> int:
    """Completed years."""
    return on.year - brdy.year - ((on.month, on.day) < (brdy.month, brdy.day))


def psn_type_of(person_class: str, insutype: str, age: int) -> str:
    """The national person kind of tag 8C, insurance type of tag 81 and age; `KeyError` where none fits.

    1101 in service, 1201 retired, 1300 retired cadre, 1401 minor and 1501 adult resident (settlement.md B.6,
    ssc-card.md 3.7).
    """
    if insutype in _RESIDENTS:
        return "1401" if age < ADULT else "1501"
    if insutype == _RETIRED_CADRE:
        return "1300"
    return _PERSON_CLASSES[person_class]


def person_class_of(psn_type: str) -> str:
    """Tag 8C of a national person kind: 11 working, 21 retired, 91 other (ssc-card.md 3.7)."""
    return {"11": "11", "12": "21", "13": "21"}.get(psn_type[:2], "91")


def mask_certno(number: str) -> str:
    """First six and last four (settlement.md D.2): `990101********0036`."""
    if len(number) <= 10:
        return _HIDDEN * len(number)
    return number[:6] + _HIDDEN * (len(number) - 10) + number[-4:]


def mask_card_no(card_no: str) -> str:
    """Last four (settlement.md D.2): `*****5674`."""
    return _HIDDEN * (len(card_no) - 4) + card_no[-4:] if len(card_no) > 4 else _HIDDEN * len(card_no)


def mask_name(name: str) -> str:
    """First and last character: `李＊华`; of two the first: `李＊`."""
    if len(name) < 3:
        return name[:1] + _HIDDEN_NAME if len(name) == 2 else _HIDDEN_NAME * len(name)
    return name[0] + _HIDDEN_NAME * (len(name) - 2) + name[-1]


def _birth_date(number: str) -> date | None:
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
