"""Which key a terminal may use for what. Pure."""

import re
from typing import NamedTuple

from protocols.events.keys import AuthenticationStep, KeyStep, KeyUse, MacStep, SessionStep
from protocols.sscard.commands import mac_message, unblock_pin
from protocols.sscard.files import card_files, versions
from server.errors import CentreError
from server.terminals.registry import Role

UNBLOCK = mac_message(unblock_pin()).hex()
"""What the MAC of an unblock goes over; a counter reset needs no more (ssc-card.md 9.5)."""


class StepRefused(CentreError):
    """A step that is not answered with anything computed; `key` names the text."""


class Rule(NamedTuple):
    """A key of this name, in a step of this kind. `approved`: an agency's terminal alone, with an approved request."""

    step: type[KeyStep]
    keys: re.Pattern[str]
    approved: bool


_PUK = re.compile("PUK")
_PIN_MAC = re.compile(
    "|".join(sorted({row.name for version in versions() for row in card_files(version).keys.rows if row.pin_mac}))
)
"""The key of cipher and MAC of PIN CHANGE/UNBLOCK is an open question that the tables answer (ssc-card.md 10 no. 11).

It is never the key that authenticates: a session key of that would be a second proof.
"""

RULES: dict[KeyUse, tuple[Rule, ...]] = {
    "genuine": (Rule(AuthenticationStep, re.compile("IRK"), approved=False),),
    "read": (Rule(AuthenticationStep, re.compile("RK[0-9A-Z]+"), approved=False),),
    "update": (Rule(AuthenticationStep, re.compile("UK[0-9A-Z]+"), approved=True),),
    "unblock_pin": (Rule(AuthenticationStep, _PUK, approved=True), Rule(MacStep, _PIN_MAC, approved=True)),
    "reset_pin": (Rule(AuthenticationStep, _PUK, approved=True), Rule(SessionStep, _PIN_MAC, approved=True)),
}


def needs_approval(step: KeyStep, role: Role) -> bool:
    """Whether a request must have been approved; `StepRefused` where no approval would help."""
    for rule in RULES[step.use]:
        if isinstance(step, rule.step) and rule.keys.fullmatch(step.card_key.key):
            if isinstance(step, MacStep) and step.message != UNBLOCK:
                break
            if rule.approved and role != "agency":
                raise StepRefused("key_not_for_counter")
            return rule.approved
    raise StepRefused("key_use_unknown")
