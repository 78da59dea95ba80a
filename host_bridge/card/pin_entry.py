"""Where a PIN is entered: at the reader's pad, or through this computer. What a city demands of it is the same.

At a pad the digits go from the keys to the chip. Through this computer they are one bytearray for each PIN, wiped
whatever happens; that is a best effort, the pad is safer.
"""

import hmac
from typing import NamedTuple, Protocol, runtime_checkable

from host_bridge.card.errors import (
    CardError,
    PinCancelled,
    PinForbidden,
    PinFormat,
    PinMismatch,
    PinOutcomeUnknown,
    PinTimedOut,
    refusal,
    sending,
)
from host_bridge.card.session import CardSession
from host_bridge.readers.reader import Reader
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands, pad
from protocols.sscard.pad import PadAnswer, PadLimits
from protocols.sscard.pin import MAX_DIGITS, MIN_DIGITS, pin_block, wipe

ENTRY_S = 30
"""How long the pad waits for each PIN."""
CHANGE = CommandApdu(commands.PROPRIETARY, commands.CHANGE_PIN, 0x01, 0x00)
"""What CHANGE PIN begins with (ssc-card.md 9.4)."""

_PAD_ERRORS: dict[int, type[CardError]] = {
    pad.SW_TIMED_OUT: PinTimedOut,
    pad.SW_CANCELLED: PinCancelled,
    pad.SW_ENTRIES_DIFFER: PinMismatch,
}


class PinRules(NamedTuple):
    """What a new PIN has at least, and the PINs that cards have at first, as digits."""

    min_digits: int = MIN_DIGITS
    forbidden: tuple[str, ...] = ()


@runtime_checkable
class PinPad(Protocol):
    """The keys of a reader, for the card that is connected in it. Errors are those of its `CardConnection`."""

    def verify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        """Let the holder enter a PIN and send it below this header; as long as the holder takes."""
        ...

    def modify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        """The old PIN, then the new one twice; a forbidden new PIN never reaches the card."""
        ...

    def cancel(self) -> None:
        """End an entry that goes on in another thread; harmless when none does."""
        ...


def pad_of(reader: Reader) -> PinPad | None:
    """The pad of a reader that has one."""
    found = getattr(reader, "pin_pad", None)
    return found if isinstance(found, PinPad) else None


def verify_typed(session: CardSession, digits: bytearray, rules: PinRules) -> bool | None:
    """`CardSession.verify_pin`; whether the PIN, which was right, is a forbidden one, None where none is."""
    was_forbidden = _is_forbidden(digits, rules) if rules.forbidden else None
    session.verify_pin(digits)
    return was_forbidden


def verify_at_pad(session: CardSession, keys: PinPad, rules: PinRules) -> bool | None:
    """VERIFY at the pad; whether the PIN, which was right, is a forbidden one, None where nothing was compared.

    `PinCancelled`, `PinTimedOut`, `PinFormat`, and the errors of `CardSession.verify_pin`.
    """
    session.select_application()
    answer = keys.verify(commands.verify_status(), _limits(rules, MIN_DIGITS))
    if answer.sw != status.SW_SUCCESS:
        raise _pad_refusal(answer, commands.VERIFY, MIN_DIGITS)
    return answer.was_forbidden if rules.forbidden else None


def check_new(new: bytearray, repeat: bytearray, rules: PinRules) -> None:
    """`PinMismatch`, `PinFormat` or `PinForbidden` where a card may not have this new PIN."""
    if not hmac.compare_digest(new, repeat):
        raise PinMismatch
    if len(new) < rules.min_digits:
        raise PinFormat(rules.min_digits)
    if _is_forbidden(new, rules):
        raise PinForbidden


def change_typed(session: CardSession, old: bytearray, new: bytearray, repeat: bytearray, rules: PinRules) -> None:
    """`CardSession.change_pin` after a look at the new PIN; all three are wiped, whatever happens.

    `PinMismatch`, `PinFormat` and `PinForbidden` before the card is asked.
    """
    try:
        check_new(new, repeat, rules)
        session.change_pin(old, new)
    finally:
        for digits in (old, new, repeat):
            wipe(digits)


def change_at_pad(session: CardSession, keys: PinPad, rules: PinRules) -> None:
    """CHANGE PIN at the pad, which asks for the new one twice; errors as `verify_at_pad` and `change_typed`.

    `PinOutcomeUnknown` also where card or reader went before the pad had sent anything: it does not say.
    """
    session.select_application()
    with sending(PinOutcomeUnknown):
        answer = keys.modify(CHANGE, _limits(rules, rules.min_digits))
    if answer.sw != status.SW_SUCCESS:
        raise _pad_refusal(answer, commands.CHANGE_PIN, rules.min_digits)


def _is_forbidden(digits: bytearray, rules: PinRules) -> bool:
    """Compared with each, so that the time says nothing."""
    found = [hmac.compare_digest(digits, pin.encode()) for pin in rules.forbidden]
    return any(found)


def _limits(rules: PinRules, min_digits: int) -> PadLimits:
    forbidden = tuple(bytes(pin_block(bytearray(pin.encode()))) for pin in rules.forbidden[: pad.MAX_FORBIDDEN])
    return PadLimits(min_digits, MAX_DIGITS, ENTRY_S, forbidden)


def _pad_refusal(answer: PadAnswer, ins: int, min_digits: int) -> CardError:
    if answer.sw == pad.SW_NOT_CONFORMING:
        return PinForbidden() if answer.was_forbidden else PinFormat(min_digits)
    return _PAD_ERRORS[answer.sw]() if answer.sw in _PAD_ERRORS else refusal(answer.sw, ins)
