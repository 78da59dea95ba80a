"""What a reader's PIN pad is asked for, so that the card gets VERIFY and CHANGE PIN (ssc-card.md 5, 9.4)."""

from protocols.ccid.pin_format import PinFormat
from protocols.ccid.secure import ASK_CURRENT, BY_KEY, CONFIRM, Change, PinRequest, Prompts
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.commands import PIN_SEPARATOR
from protocols.sscard.pad import PadLimits

PACKED = PinFormat(0x81, 0x00, 0x00)
"""Two digits to a byte from the first byte on, as many as there are."""
CHINESE = 0x0804
"""wLangId."""
VERIFY_PROMPTS = Prompts(1, CHINESE, b"\x00")
CHANGE_PROMPTS = Prompts(3, CHINESE, b"\x00\x01\x02")


def verify_request(header: CommandApdu, limits: PadLimits) -> PinRequest:
    """One PIN below the header."""
    return PinRequest(
        limits.timeout_s, PACKED, limits.min_digits, limits.max_digits, BY_KEY, VERIFY_PROMPTS, _template(header)
    )


def change_request(header: CommandApdu, limits: PadLimits) -> PinRequest:
    """The old PIN, then the new one twice; the separator is between them however long they are."""
    change = Change(0, len(PIN_SEPARATOR), CONFIRM | ASK_CURRENT)
    template = _template(header) + bytes([len(PIN_SEPARATOR)]) + PIN_SEPARATOR
    return PinRequest(
        limits.timeout_s, PACKED, limits.min_digits, limits.max_digits, BY_KEY, CHANGE_PROMPTS, template, change
    )


def _template(header: CommandApdu) -> bytes:
    return bytes((header.cla, header.ins, header.p1, header.p2))
