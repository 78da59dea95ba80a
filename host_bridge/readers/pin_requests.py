"""What a reader's PIN pad is asked for, so that the card gets VERIFY and CHANGE PIN (ssc-card.md 5, 9.4).

Pads of other makers are asked as PC/SC part 10 says. Its PINs have fixed places, so that a change takes PINs of one
length only, that of nearly every card.
"""

from protocols.ccid.pin_format import PinFormat
from protocols.ccid.secure import ASK_CURRENT, BY_KEY, CONFIRM, Change, PinRequest, Prompts
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.commands import PIN_SEPARATOR
from protocols.sscard.pad import PadLimits

PACKED = PinFormat(0x81, 0x00, 0x00)
"""Two digits to a byte from the first byte on, as many as there are."""
USUAL_DIGITS = 6
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


def fixed_change_request(header: CommandApdu, limits: PadLimits) -> PinRequest:
    """The same for PINs of `USUAL_DIGITS`, for any pad."""
    block = USUAL_DIGITS // 2
    template = 2 * block + len(PIN_SEPARATOR)
    return PinRequest(
        limits.timeout_s,
        PinFormat(PACKED.format_string, block, 0x00),
        USUAL_DIGITS,
        USUAL_DIGITS,
        BY_KEY,
        CHANGE_PROMPTS,
        _template(header) + bytes([template]) + PIN_SEPARATOR * template,
        Change(0, block + len(PIN_SEPARATOR), CONFIRM | ASK_CURRENT),
    )


def part_10(request: PinRequest) -> bytes:
    """PIN_VERIFY_STRUCTURE or PIN_MODIFY_STRUCTURE (PC/SC part 10, 2.5): one time-out more, and the APDU's length."""
    operation_and_timeout, fields = request.to_bytes()[:2], request.to_bytes()[2 : -len(request.apdu)]
    timeout = operation_and_timeout[1:]
    return timeout + timeout + fields + len(request.apdu).to_bytes(4, "little") + request.apdu


def _template(header: CommandApdu) -> bytes:
    return bytes((header.cla, header.ins, header.p1, header.p2))
