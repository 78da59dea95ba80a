"""Command APDUs of the social security application (ssc-card.md 4.1), built for T=0: no Le beside data."""

from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.security import MAC_BYTES

SELECT, READ_RECORD, READ_BINARY, VERIFY, GET_RESPONSE = 0xA4, 0xB2, 0xB0, 0x20, 0xC0
UPDATE_RECORD, UPDATE_BINARY, CHANGE_PIN, PIN_UNBLOCK = 0xDC, 0xD6, 0x5E, 0x24
GET_CHALLENGE, INTERNAL_AUTHENTICATION, EXTERNAL_AUTHENTICATION = 0x84, 0x88, 0x82
APPLICATION_BLOCK, CARD_BLOCK = 0x1E, 0x16

PLAIN, WITH_MAC, PROPRIETARY, PROPRIETARY_WITH_MAC = 0x00, 0x04, 0x80, 0x84
"""CLA."""

BY_FID, EF_BELOW_DF, BY_NAME = 0x00, 0x02, 0x04
"""P1 of SELECT."""
NUMBER, TO_LAST, FROM_LAST = 0b100, 0b101, 0b110
"""Bits 3-1 of READ RECORD's P2, P1 a record number: that record, from it to the last, from the last to it."""
FIRST_TAG, LAST_TAG, NEXT_TAG, PREVIOUS_TAG = 0b000, 0b001, 0b010, 0b011
"""The same with a tag in P1 (ssc-card.md 4.2)."""
SFI_IN_P1 = 0x80
"""Bit 8 of READ BINARY's P1: the low five bits are an SFI (ssc-card.md 4.1)."""

PIN_SEPARATOR = b"\xff"
"""Between old and new PIN; no PIN has an FF byte (ssc-card.md 4.1)."""
UNBLOCK, RESET = 0x00, 0x01
"""P2 of PIN CHANGE/UNBLOCK."""


def select_name(df_name: bytes) -> CommandApdu:
    """SELECT the SSSE or a DF by its name of 5 to 16 bytes."""
    return CommandApdu(0x00, SELECT, BY_NAME, 0x00, df_name)


def select_fid(fid: bytes) -> CommandApdu:
    """SELECT a DF by its two-byte identifier; empty means the MF."""
    return CommandApdu(0x00, SELECT, BY_FID, 0x00, fid)


def select_ef(fid: bytes) -> CommandApdu:
    """SELECT an EF below the current DF."""
    return CommandApdu(0x00, SELECT, EF_BELOW_DF, 0x00, fid)


def read_record(number: int, le: int, *, sfi: int = 0, mode: int = NUMBER) -> CommandApdu:
    """READ RECORD by number in the current EF, or in the one with this SFI."""
    return CommandApdu(0x00, READ_RECORD, number, sfi << 3 | mode, le=le)


def read_tag(tag: int, le: int, *, sfi: int = 0) -> CommandApdu:
    """READ RECORD: the first record with this tag."""
    return CommandApdu(0x00, READ_RECORD, tag, sfi << 3 | FIRST_TAG, le=le)


def read_binary(offset: int, le: int) -> CommandApdu:
    """READ BINARY of the current EF from an offset of 0 to 7FFF."""
    return CommandApdu(0x00, READ_BINARY, offset >> 8, offset & 0xFF, le=le)


def read_binary_sfi(sfi: int, offset: int, le: int) -> CommandApdu:
    """READ BINARY of the EF with this SFI, which becomes the current one, from an offset of 0 to FF."""
    return CommandApdu(0x00, READ_BINARY, SFI_IN_P1 | sfi, offset, le=le)


def verify_pin(block: bytes | bytearray) -> CommandApdu:
    """VERIFY with a packed PIN (`pin.pin_block`)."""
    return CommandApdu(0x00, VERIFY, 0x00, 0x00, bytes(block))


def verify_status() -> CommandApdu:
    """VERIFY without data: is there a PIN, and how many tries are left? Uses none (ssc-card.md 4.1)."""
    return CommandApdu(0x00, VERIFY, 0x00, 0x00)


def get_response(length: int) -> CommandApdu:
    """GET RESPONSE for 1 to 256 waiting bytes."""
    return CommandApdu(0x00, GET_RESPONSE, 0x00, 0x00, le=length)


def update_record(number: int, record: bytes, *, sfi: int = 0, mode: int = NUMBER) -> CommandApdu:
    """UPDATE RECORD with the whole record, tag and length included; a number that is not there appends it."""
    return CommandApdu(PLAIN, UPDATE_RECORD, number, sfi << 3 | mode, record)


def update_tag(record: bytes, *, sfi: int = 0) -> CommandApdu:
    """UPDATE RECORD: the first record with the tag of this one; a tag that is not there appends it."""
    return CommandApdu(PLAIN, UPDATE_RECORD, record[0], sfi << 3 | FIRST_TAG, record)


def append_cyclic(record: bytes, *, sfi: int = 0) -> CommandApdu:
    """UPDATE RECORD of a cyclic file: the record becomes the newest (ssc-card.md 4.1)."""
    return CommandApdu(PLAIN, UPDATE_RECORD, 0x00, sfi << 3 | PREVIOUS_TAG, record)


def update_binary(offset: int, data: bytes) -> CommandApdu:
    """UPDATE BINARY of the current EF from an offset of 0 to 7FFF."""
    return CommandApdu(PLAIN, UPDATE_BINARY, offset >> 8, offset & 0xFF, data)


def update_binary_sfi(sfi: int, offset: int, data: bytes) -> CommandApdu:
    """UPDATE BINARY of the EF with this SFI, which becomes the current one, from an offset of 0 to FF."""
    return CommandApdu(PLAIN, UPDATE_BINARY, SFI_IN_P1 | sfi, offset, data)


def change_pin(old: bytes | bytearray, new: bytes | bytearray) -> CommandApdu:
    """CHANGE PIN with packed PINs (`pin.pin_block`); either may be empty: no PIN before, or none after."""
    return CommandApdu(PROPRIETARY, CHANGE_PIN, 0x01, 0x00, bytes(old) + PIN_SEPARATOR + bytes(new))


def get_challenge(length: int) -> CommandApdu:
    """GET CHALLENGE of 4, 8 or 16 bytes."""
    return CommandApdu(PLAIN, GET_CHALLENGE, 0x00, 0x00, le=length)


def internal_authentication(factor: bytes, source: bytes, key_version: int | None = None) -> CommandApdu:
    """INTERNAL AUTHENTICATION: the card proves its IRK over 8 bytes each; answers 8 bytes."""
    return CommandApdu(PLAIN, INTERNAL_AUTHENTICATION, 0x00, 0x00, factor + source + _optional(key_version))


def external_authentication(
    key_id: int, authentication: bytes, source: bytes, key_version: int | None = None
) -> CommandApdu:
    """EXTERNAL AUTHENTICATION with 8 bytes of proof over the last challenge and a source of 8 bytes."""
    return CommandApdu(PLAIN, EXTERNAL_AUTHENTICATION, 0x00, key_id, authentication + source + _optional(key_version))


def unblock_pin() -> CommandApdu:
    """PIN CHANGE/UNBLOCK that restores the tries, before its MAC is added."""
    return CommandApdu(PROPRIETARY_WITH_MAC, PIN_UNBLOCK, 0x00, UNBLOCK)


def reset_pin(encrypted: bytes) -> CommandApdu:
    """PIN CHANGE/UNBLOCK with a new PIN (`security.encrypt_data` of a PIN block), before its MAC is added."""
    return CommandApdu(PROPRIETARY_WITH_MAC, PIN_UNBLOCK, 0x00, RESET, encrypted)


def application_block() -> CommandApdu:
    """APPLICATION BLOCK of the current application, for ever, before its MAC is added."""
    return CommandApdu(PROPRIETARY_WITH_MAC, APPLICATION_BLOCK, 0x00, 0x01)


def card_block() -> CommandApdu:
    """CARD BLOCK, for ever, before its MAC is added."""
    return CommandApdu(PROPRIETARY_WITH_MAC, CARD_BLOCK, 0x00, 0x00)


def mac_message(command: CommandApdu) -> bytes:
    """What the MAC of a command goes over: CLA with the bit for it, header, Lc with the MAC, data (ssc-card.md 6.3)."""
    header = bytes((command.cla | WITH_MAC, command.ins, command.p1, command.p2, len(command.data) + MAC_BYTES))
    return header + command.data


def with_mac(command: CommandApdu, mac: bytes) -> CommandApdu:
    """The command with its MAC behind its data."""
    return CommandApdu(command.cla | WITH_MAC, command.ins, command.p1, command.p2, command.data + mac)


def _optional(key_version: int | None) -> bytes:
    return b"" if key_version is None else bytes((key_version,))
