"""What can be wrong with a card. Errors carry facts, never card data; `key` names their catalogue text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from host_bridge.readers.reader import ReaderError
from protocols.iso7816 import status
from protocols.sscard.commands import CHANGE_PIN, VERIFY
from protocols.sscard.pin import MAX_DIGITS, MIN_DIGITS

STATUS_TEXTS = {
    status.SW_MEMORY_FAILURE: "card_memory_failure",
    status.SW_WRONG_LENGTH: "card_wrong_length",
    status.SW_STATE_NOT_ACCEPTED: "card_state_not_accepted",
    status.SW_FILE_STRUCTURE: "card_file_structure",
    status.SW_REFERENCED_DATA_INVALID: "card_challenge_missing",
    status.SW_NO_CURRENT_EF: "card_no_current_file",
    status.SW_MAC_MISSING: "card_mac_missing",
    status.SW_MAC_WRONG: "card_mac_wrong",
    status.SW_WRONG_DATA: "card_wrong_data",
    status.SW_FUNCTION_NOT_SUPPORTED: "card_function_not_supported",
    status.SW_RECORD_NOT_FOUND: "card_record_missing",
    status.SW_NO_SPACE: "card_file_full",
    status.SW_TLV_LENGTH: "card_record_length",
    status.SW_WRONG_P1P2: "card_wrong_parameters",
    status.SW_KEY_NOT_FOUND: "card_key_not_found",
    status.SW_OFFSET_OUTSIDE: "card_offset_outside",
    status.SW_INS_UNKNOWN: "card_instruction_unknown",
    status.SW_CLA_UNKNOWN: "card_class_unknown",
    status.SW_INVALID_DATA: "card_invalid_data",
    status.SW_PAYMENT_MAC_INVALID: "card_payment_mac_wrong",
    status.SW_AMOUNT_NOT_SUFFICIENT: "card_balance_too_small",
    status.SW_COUNTER_AT_MAXIMUM: "card_counter_used_up",
    status.SW_KEY_INDEX_NOT_SUPPORTED: "card_key_index_unknown",
    status.SW_MAC_NOT_AVAILABLE: "card_proof_missing",
}
"""Text keys of the status words of ssc-card.md 4.4 that need no class of their own."""
PIN_INSTRUCTIONS = (VERIFY, CHANGE_PIN)
"""Those whose 63Cx and 6983 are about the PIN; of every other instruction they are about a key."""


class CardError(Exception):
    """The card, or what is on it, does not allow the step."""

    key: str = "card_unexpected_status"

    @property
    def facts(self) -> dict[str, str]:
        """The placeholders of the text."""
        return {}


class WrongCard(CardError):
    """No social security card: its answer to reset, its selection or its name is another's."""

    key = "card_wrong"


class CardIdMalformed(CardError):
    """The card identification code is not one, or its region is not the chip's (-20)."""

    key = "card_id_malformed"


class MalformedFile(CardError):
    """A file on the card is not as the table of its version says; `tag` where one item is to blame."""

    key = "card_file_malformed"

    def __init__(self, file: str, tag: int | None = None) -> None:
        self.file, self.tag = file, tag
        super().__init__(f"{file}{'' if tag is None else f' item {tag:02X}'} is malformed")

    @property
    def facts(self) -> dict[str, str]:
        return {"file": self.file}


class NotSupported(CardError):
    """A value this terminal does not know: a version of the file structure (tag 03), a person class (8C)."""

    key = "card_not_supported"

    def __init__(self, tag: int) -> None:
        self.tag = tag
        super().__init__(f"the value of item {tag:02X} is not supported")

    @property
    def facts(self) -> dict[str, str]:
        return {"tag": f"{self.tag:02X}"}


class PinEntryError(CardError):
    """The entry came to nothing: the card was not asked and no try is used."""

    key = "pin_format"


class PinFormat(PinEntryError):
    """Not digits, fewer than `min_digits`, or more than 16 (-33)."""

    key = "pin_format"

    def __init__(self, min_digits: int = MIN_DIGITS) -> None:
        self.min_digits = min_digits
        super().__init__(f"a PIN has {min_digits} to {MAX_DIGITS} digits")

    @property
    def facts(self) -> dict[str, str]:
        return {"min": str(self.min_digits)}


class NoPin(PinEntryError):
    """The card has no PIN that could be changed."""

    key = "pin_none"


class PinMismatch(PinEntryError):
    """The new PIN was not the same twice (-34)."""

    key = "pin_mismatch"


class PinForbidden(PinEntryError):
    """The new PIN is one that cards have at first (-36)."""

    key = "pin_forbidden"


class PinCancelled(PinEntryError):
    """The holder ended the entry at the pad (-31)."""

    key = "pin_cancelled"


class PinTimedOut(PinEntryError):
    """No PIN was entered at the pad in time (-32)."""

    key = "pin_timed_out"


class PinOutcomeUnknown(CardError):
    """A new PIN was sent and no answer came: the chip has it or the old one (-37)."""

    key = "pin_outcome_unknown"


class UnblockOutcomeUnknown(CardError):
    """Unblocking was sent and no answer came: the PIN has its tries again or not (-38)."""

    key = "pin_unblock_unknown"


class PinNotTyped(PinEntryError):
    """There is nobody who could type it: the input has ended (-39)."""

    key = "pin_not_typed"


class StatusError(CardError):
    """The card refused by status word `sw`."""

    def __init__(self, sw: int, detail: str = "") -> None:
        self.sw = sw
        super().__init__(f"{sw:04X}{detail and f' {detail}'}")

    @property
    def facts(self) -> dict[str, str]:
        return {"sw": f"{self.sw:04X}"}


class VerificationFailed(StatusError):
    """63Cx: what was shown is not right; `tries` are left."""

    def __init__(self, tries: int) -> None:
        self.tries = tries
        super().__init__(0x63C0 | tries)

    @property
    def facts(self) -> dict[str, str]:
        return {**super().facts, "tries": str(self.tries)}


class PinWrong(VerificationFailed):
    """The PIN was wrong; `tries` are left, at least one (-51)."""

    key = "pin_wrong"


class PinLocked(StatusError):
    """No try is left (-52)."""

    key = "pin_locked"
    tries: ClassVar[int] = 0


class AccessRefused(StatusError):
    """The right to read or do this is missing."""

    key = "card_access_refused"


class ConditionsNotMet(AccessRefused):
    """The card does not allow this now (-27013)."""

    key = "card_conditions_not_met"


class KeyMissing(AccessRefused):
    """The file opens with a key that this terminal has not got; `rule` is that of the table, the PIN is not enough."""

    key = "card_key_missing"

    def __init__(self, sw: int, rule: str) -> None:
        self.rule = rule
        super().__init__(sw, f"needs {rule}")

    @property
    def facts(self) -> dict[str, str]:
        return {**super().facts, "rule": self.rule}


class FileMissing(StatusError):
    """The card has no such directory or file, `file` (-27266)."""

    key = "card_file_missing"

    def __init__(self, sw: int, file: str = "?") -> None:
        self.file = file
        super().__init__(sw, f"no {file}")

    @property
    def facts(self) -> dict[str, str]:
        return {**super().facts, "file": self.file}


class KeyWrong(VerificationFailed):
    """The card does not accept a key; `tries` are left (-25536 and following)."""

    key = "card_key_wrong"


class KeyLocked(StatusError):
    """The key is locked for good (-27011)."""

    key = "card_key_locked"


class ApplicationBlocked(StatusError):
    """The social security application is blocked for good."""

    key = "card_application_blocked"


class CardBlocked(StatusError):
    """The card is blocked for good."""

    key = "card_blocked"


class UnexpectedStatus(StatusError):
    """A status word that this step does not expect; `key` names its condition, `ins` is its instruction."""

    def __init__(self, sw: int, ins: int) -> None:
        self.ins = ins
        if status.more_data(sw) is not None:
            self.key = "card_answer_unfinished"
        elif status.exact_le(sw) is not None:
            self.key = "card_wrong_answer_length"
        else:
            self.key = STATUS_TEXTS.get(sw, "card_unexpected_status")
        super().__init__(sw, f"to INS {ins:02X}")


_KINDS: dict[int, type[AccessRefused | FileMissing | ApplicationBlocked]] = {
    status.SW_SECURITY_STATUS: AccessRefused,
    status.SW_CONDITIONS_OF_USE: ConditionsNotMet,
    status.SW_FILE_NOT_FOUND: FileMissing,
    status.SW_APPLICATION_BLOCKED: ApplicationBlocked,
}


def refusal(sw: int, ins: int) -> StatusError:
    """The condition that a status word other than 9000 stands for in the answer to `ins` (ssc-card.md 4.4)."""
    tries, about_pin = status.tries_left(sw), ins in PIN_INSTRUCTIONS
    if sw == status.SW_AUTHENTICATION_BLOCKED:
        return PinLocked(sw) if about_pin else KeyLocked(sw)
    if tries is not None:
        if not about_pin:
            return KeyWrong(tries)
        return PinWrong(tries) if tries else PinLocked(sw)
    return _KINDS[sw](sw) if sw in _KINDS else UnexpectedStatus(sw, ins)


@contextmanager
def sending(unknown: type[PinOutcomeUnknown | UnblockOutcomeUnknown]) -> Iterator[None]:
    """Around the exchange that changes the card: a card or reader that goes away in it leaves the outcome open."""
    try:
        yield
    except ReaderError as error:
        raise unknown from error


def text_key(error: CardError | ReaderError) -> tuple[str, dict[str, str]]:
    """Key and facts of the catalogue text for what went wrong with card or reader."""
    return error.key, error.facts
