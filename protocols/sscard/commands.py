"""Command APDUs of the social security application (ssc-card.md 4.1), built for T=0: no Le beside data."""

from protocols.iso7816.apdu import CommandApdu

SELECT, READ_RECORD, READ_BINARY, VERIFY, GET_RESPONSE = 0xA4, 0xB2, 0xB0, 0x20, 0xC0

BY_FID, EF_BELOW_DF, BY_NAME = 0x00, 0x02, 0x04
"""P1 of SELECT."""
NUMBER, TO_LAST, FROM_LAST = 0b100, 0b101, 0b110
"""Bits 3-1 of READ RECORD's P2, P1 a record number: that record, from it to the last, from the last to it."""
FIRST_TAG, LAST_TAG, NEXT_TAG, PREVIOUS_TAG = 0b000, 0b001, 0b010, 0b011
"""The same with a tag in P1 (ssc-card.md 4.2)."""
SFI_IN_P1 = 0x80
"""Bit 8 of READ BINARY's P1: the low five bits are an SFI (ssc-card.md 4.1)."""


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
