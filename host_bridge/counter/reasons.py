"""Why a bill is paid in full cash: what a clerk may say, as a table (settlement.md A.7, 003-2.4)."""

from typing import Literal, NamedTuple

from protocols.texts.catalogue import Text, texts

Card = Literal["with", "without", "either"]


class Reason(NamedTuple):
    """`key` is what the page sends, `text` the catalogue key, `card` whether a card is read in such a visit."""

    key: str
    text: str
    card: Card


REASONS = (
    Reason("not_shown", "cash_not_shown", "without"),
    Reason("emergency", "cash_emergency", "without"),
    Reason("not_issued", "cash_not_issued", "without"),
    Reason("reissue", "cash_reissue", "without"),
    Reason("card_unreadable", "cash_card_unreadable", "either"),
    Reason("reader_broken", "cash_reader_broken", "without"),
    Reason("arrears", "cash_arrears", "either"),
    Reason("maternity", "cash_maternity", "either"),
    Reason("birth_control", "cash_birth_control", "either"),
    Reason("work_injury", "cash_work_injury", "either"),
    Reason("manual_claim", "cash_manual_claim", "either"),
    Reason("pin_forgotten", "cash_pin_forgotten", "with"),
    Reason("pin_locked", "pin_locked", "with"),
    Reason("centre_away", "visit_centre_away", "either"),
)


def possible_reasons(*, with_card: bool) -> tuple[Reason, ...]:
    """Those a clerk may choose in a visit with or without a card, in the order they are offered."""
    fitting = ("either", "with" if with_card else "without")
    return tuple(reason for reason in REASONS if reason.card in fitting)


def reason_text(key: str, *, with_card: bool) -> Text | None:
    """The catalogue text of a reason that may be chosen; None where it may not."""
    for reason in possible_reasons(with_card=with_card):
        if reason.key == key:
            return texts()[reason.text]
    return None
