"""The commands about the PIN, as a card does them (ssc-card.md 4.1, 5). A try is gone on disk before any answer."""

import hmac

import msgspec

from hardware.virtual.card_file import Pin
from hardware.virtual.card_keys import check_mac
from hardware.virtual.card_state import SUCCESS, CardState, Refused
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import security
from protocols.sscard.commands import PIN_SEPARATOR, RESET, UNBLOCK
from protocols.sscard.pin import MAX_DIGITS, MIN_DIGITS, pin_block

PIN_BYTES = range(2, 9)
CHANGE_BYTES = range(0x03, 0x12)
MAX_CIPHER_BYTES = 16
"""Of a new PIN's cipher block."""
PIN_LIMIT = 3
"""Tries of a PIN that a card without one is given."""
WRONG_PIN = 0x63C0


def verify(state: CardState, command: CommandApdu) -> ResponseApdu:
    if command.p1 or command.p2:
        raise Refused(status.SW_WRONG_P1P2)
    if command.data and len(command.data) not in PIN_BYTES:
        raise Refused(status.SW_WRONG_LENGTH)
    pin = state.image.pin
    if command.data:
        _present(state, command.data)
        if pin is not None:
            state.change(pin=msgspec.structs.replace(pin, tries=pin.limit))
        state.pin_verified = True
    elif pin is not None:
        raise Refused(WRONG_PIN | pin.tries if pin.tries else status.SW_AUTHENTICATION_BLOCKED)
    return SUCCESS


def change_pin(state: CardState, command: CommandApdu) -> ResponseApdu:
    if (command.p1, command.p2) != (0x01, 0x00):
        raise Refused(status.SW_WRONG_P1P2)
    if len(command.data) not in CHANGE_BYTES:
        raise Refused(status.SW_WRONG_LENGTH)
    old, separator, new = command.data.partition(PIN_SEPARATOR)
    if not separator:
        raise Refused(status.SW_WRONG_DATA)
    for block in filter(None, (old, new)):
        _digits(block)
    verified = state.pin_verified
    _present(state, old)
    _set_pin(state, new)
    state.pin_verified = verified
    return SUCCESS


def pin_unblock(state: CardState, command: CommandApdu) -> ResponseApdu:
    """All tries again, and with P2 = 01 another PIN: the right of the PUK, then a MAC over a fresh challenge."""
    if command.p1 or command.p2 not in (UNBLOCK, RESET):
        raise Refused(status.SW_WRONG_P1P2)
    block_bytes = security.block_bytes(state.tables.algorithm)
    allowed = (0,) if command.p2 == UNBLOCK else range(0, MAX_CIPHER_BYTES + 1, block_bytes)
    if len(command.data) - security.MAC_BYTES not in allowed:
        raise Refused(status.SW_WRONG_LENGTH)
    state.require_key("PIN", "SSSE")
    encrypted, session = check_mac(state, command, state.tables.keys.pin_mac)
    if command.p2 == RESET:
        _set_pin(state, _decrypted(state, session, encrypted))
        return SUCCESS
    if state.image.pin is None:
        raise Refused(status.SW_CONDITIONS_OF_USE)
    state.change(pin=msgspec.structs.replace(state.image.pin, tries=state.image.pin.limit))
    return SUCCESS


def _decrypted(state: CardState, session: bytes, encrypted: bytes) -> bytes:
    """The packed PIN, empty where there is no cipher block; 6A80 where it is not of this session."""
    try:
        return security.decrypt_data(state.tables.algorithm, session, encrypted) if encrypted else b""
    except security.CipherTextError:
        raise Refused(status.SW_WRONG_DATA) from None


def _set_pin(state: CardState, block: bytes) -> None:
    """Another PIN with all its tries, none where the block is empty; 6A80 where it is no PIN."""
    limit = PIN_LIMIT if state.image.pin is None else state.image.pin.limit
    state.change(pin=Pin(_digits(block), limit, limit) if block else None)


def _present(state: CardState, block: bytes) -> None:
    """Compare with the PIN, an empty block with none; `Refused` and a try less where it is another."""
    pin = state.image.pin
    if pin is None:
        if block:
            raise Refused(WRONG_PIN)
        return
    if pin.tries == 0:
        raise Refused(status.SW_AUTHENTICATION_BLOCKED)
    state.pin_verified = False
    # One try is gone for good before the comparison, so that pulling the card in between gives none back.
    state.change(pin=msgspec.structs.replace(pin, tries=pin.tries - 1))
    if not hmac.compare_digest(block, bytes(pin_block(bytearray(pin.digits, "ascii")))):
        raise Refused(WRONG_PIN | (pin.tries - 1))


def _digits(block: bytes) -> str:
    """The digits of a packed PIN; 6A80 where it is none."""
    digits = block.hex().removesuffix("f")
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS or not digits.isdecimal():
        raise Refused(status.SW_WRONG_DATA)
    return digits
