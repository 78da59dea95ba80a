"""The language of a security module (PSAM) for the social security card (ssc-card.md 6.5).

For SM4 nothing is public: names, block size and MAC are those of SSF33 (INF, 10 no. 14).
"""

from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import security
from protocols.sscard.commands import PROPRIETARY

CLASS = 0xBF
INITIALIZE_ENVIRONMENT, DELIVERY_SESSION_KEY, CIPHER_DATA, LOAD_KEY = 0xEC, 0xDE, 0xFA, 0xD4
INIT_FOR_PURCHASE, CREDIT_FOR_PURCHASE = 0x70, 0x72

APPLICATION = bytes.fromhex("D15600000590")
ENVIRONMENTS = {
    security.TRIPLE_DES: bytes.fromhex("7378312E73682EC9E7BBE1B1A3D5CF"),
    security.SM4: bytes.fromhex("7378322E73682EC9E7BBE1B1A3D5CF"),
}
"""Names sx1.sh.社会保障 and sx2.sh.社会保障."""

ENCRYPT_LAST, MAC_LAST, ENCRYPT_MORE, MAC_NEXT, MAC_SINGLE, MAC_FIRST = 0x00, 0x01, 0x02, 0x03, 0x05, 0x07
CIPHER_MODES = (ENCRYPT_LAST, MAC_LAST, ENCRYPT_MORE, MAC_NEXT, MAC_SINGLE, MAC_FIRST)
"""P1 of CIPHER DATA; MAC_SINGLE and MAC_FIRST begin with the initial value."""
PURCHASE, MAC, ENCRYPT, BOTH = 2, 6, 7, 8
"""Type of a key, the low five bits of its usage byte."""
PURCHASE_VERSIONS = range(0x01, 0x04)
"""What a purchase key (DPK) has in place of an id (ssc-card.md 6.1)."""
PURCHASE_BYTES = 0x1C
"""INIT SAM FOR PURCHASE before its factors: the card's random 4 and sequence 2, amounts 12, type 1, time 7, key
version 1, algorithm 1."""
LEVEL_SHIFT, TYPE_MASK = 5, 0x1F
"""The high three bits of a usage byte: levels of diversification still to apply."""
CREATE, CHANGE = 0x00, 0x01
"""P1 of loading a key; P2 is the low byte of the key file."""
OWN_KEY, OWN_KEYS_END = 0x00, 0x08
NATIONAL_DATA, PROVINCE_DATA, CITY_DATA = 0x1A, 0x1B, 0x1C
"""SFIs of the files with purchase key index, version of the keys for authentication, first and last day.

Where they are is not told; taken for files of the application (INF).
"""
AREA_DATA_BYTES = 10
AREA_KEYS = {
    NATIONAL_DATA: (range(0x08, 0x10), range(0x20, 0x40)),
    PROVINCE_DATA: (range(0x10, 0x18), range(0x40, 0x80)),
    CITY_DATA: (range(0x18, 0x20), range(0x80, 0xC0)),
}
"""Ids of the keys that each of the files is about."""


def initialize_environment(region: str) -> CommandApdu:
    """INITIALIZE ENVIRONMENT with the first byte of the card identification code, which begins with the region."""
    return CommandApdu(CLASS, INITIALIZE_ENVIRONMENT, 0x00, 0x00, bytes.fromhex(region[:2]))


def area_data(key_id: int) -> int:
    """SFI of the file that is about a key; `KeyError` where none is."""
    for sfi, ranges in AREA_KEYS.items():
        if any(key_id in each for each in ranges):
            return sfi
    raise KeyError(key_id)


def authentication_version(area_data: bytes) -> int:
    """Version of the keys for authentication that a file of `AREA_KEYS` names; `ValueError` where it is none."""
    if len(area_data) != AREA_DATA_BYTES:
        raise ValueError(f"{len(area_data)} bytes")
    return area_data[1]


def delivery_session_key(usage: int, key_id: int, factors: bytes, challenge: bytes) -> CommandApdu:
    """DELIVERY SESSION KEY; factors are card, city, province, as many as the key's levels."""
    return CommandApdu(CLASS, DELIVERY_SESSION_KEY, usage, key_id, factors + challenge)


def cipher_data(mode: int, data: bytes) -> CommandApdu:
    """CIPHER DATA of whole blocks."""
    return CommandApdu(PROPRIETARY, CIPHER_DATA, mode, 0x00, data)


def loading_mac(algorithm: int, own: bytes, challenge: bytes, message: bytes) -> bytes:
    """MAC of loading: the key itself, a challenge of 8 bytes as initial value (ssc-card.md 10 no. 13)."""
    size = security.block_bytes(algorithm)
    first = security.xor(message[:size].ljust(size, b"\0"), challenge.ljust(size, b"\0"))
    return security.command_mac(algorithm, own, first + message[size:])
