"""The commands with keys, as a card does them: challenge, authentication, blocking (ssc-card.md 4.1, 6.3).

A challenge serves one command, right or wrong. A try of a key is gone on disk before any answer.
"""

import hmac

import msgspec

from hardware.virtual.card_state import SUCCESS, CardState, Refused, p3
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import security
from protocols.sscard.commands import mac_message
from protocols.sscard.keys import Key

CHALLENGE_BYTES = (4, 8, 16)
PART_BYTES = 8
"""Of factor, source and authentication data."""
WRONG_PROOF = 0x63C0


def get_challenge(state: CardState, command: CommandApdu) -> ResponseApdu:
    if command.p1 or command.p2:
        raise Refused(status.SW_WRONG_P1P2)
    if p3(command) not in CHALLENGE_BYTES:
        raise Refused(status.SW_WRONG_LENGTH)
    state.challenge = state.random(p3(command))
    return ResponseApdu(state.challenge, status.SW_SUCCESS)


def internal_authentication(state: CardState, command: CommandApdu) -> ResponseApdu:
    if command.p1 or command.p2:
        raise Refused(status.SW_WRONG_P1P2)
    factor, source, version = _parts(command)
    (key,) = state.tables.keys.of("SSSE", "internal authentication")
    algorithm = state.tables.algorithm
    session = security.session_key(algorithm, _value(state, key, version), factor)
    return state.later(security.authentication_data(algorithm, session, source))


def external_authentication(state: CardState, command: CommandApdu) -> ResponseApdu:
    if command.p1:
        raise Refused(status.SW_WRONG_P1P2)
    proof, source, version = _parts(command)
    try:
        key = state.tables.keys.by_id(state.directory.name, command.p2)
    except KeyError:
        raise Refused(status.SW_KEY_NOT_FOUND) from None
    value, tries = _value(state, key, version), state.image.keys[key.name].tries
    counted = key.purpose != "blocking"  # failing with one of these locks nothing (ssc-card.md 4.1)
    if counted and tries == 0:
        raise Refused(status.SW_AUTHENTICATION_BLOCKED)
    session = _session(state, value)
    state.rights -= {key.name}
    if counted:
        tries -= 1
        _set_tries(state, key, tries)
    expected = security.authentication_data(state.tables.algorithm, session, source)
    if not hmac.compare_digest(proof, expected):
        raise Refused(WRONG_PROOF | tries)
    if counted:
        _set_tries(state, key, state.image.keys[key.name].limit)
    state.rights |= {key.name}
    return SUCCESS


def application_block(state: CardState, command: CommandApdu) -> ResponseApdu:
    if (command.p1, command.p2) != (0x00, 0x01):
        raise Refused(status.SW_WRONG_P1P2)
    if len(command.data) != security.MAC_BYTES:
        raise Refused(status.SW_WRONG_LENGTH)
    if not state.blocked(state.directory):
        name = state.directory.name
        state.require_key("blocking", "SSSE", name)
        check_mac(state, command, mac_key(state, name))
        state.change(blocked=(*state.image.blocked, name))
    return SUCCESS


def card_block(state: CardState, command: CommandApdu) -> ResponseApdu:
    if command.p1 or command.p2:
        raise Refused(status.SW_WRONG_P1P2)
    if len(command.data) != security.MAC_BYTES:
        raise Refused(status.SW_WRONG_LENGTH)
    state.require_key("blocking", "SSSE")
    check_mac(state, command, mac_key(state, "SSSE"))
    state.change(card_blocked=True)
    return SUCCESS


def mac_key(state: CardState, directory: str) -> Key:
    """The key for MACs in a directory; 6A88 where it has none."""
    keys = state.tables.keys.of(directory, "MAC")
    if not keys:
        raise Refused(status.SW_KEY_NOT_FOUND)
    return keys[0]


def check_mac(state: CardState, command: CommandApdu, key: Key) -> tuple[bytes, bytes]:
    """The data of a command before its MAC, and the session key; `Refused` where the MAC is not made with this key."""
    if len(command.data) < security.MAC_BYTES:
        raise Refused(status.SW_WRONG_LENGTH)
    session = _session(state, _value(state, key))
    data, mac = command.data[: -security.MAC_BYTES], command.data[-security.MAC_BYTES :]
    message = mac_message(CommandApdu(command.cla, command.ins, command.p1, command.p2, data))
    if not hmac.compare_digest(mac, security.command_mac(state.tables.algorithm, session, message)):
        raise Refused(status.SW_MAC_WRONG)
    return data, session


def _parts(command: CommandApdu) -> tuple[bytes, bytes, int | None]:
    """Two parts and the key version, None where there is none."""
    data = command.data
    if len(data) not in (2 * PART_BYTES, 2 * PART_BYTES + 1):
        raise Refused(status.SW_WRONG_LENGTH)
    return data[:PART_BYTES], data[PART_BYTES : 2 * PART_BYTES], data[-1] if len(data) % 2 else None


def _value(state: CardState, key: Key, version: int | None = None) -> bytes:
    """The key in a version, the first it has where none is asked for; 6A88 where the card has none."""
    kept, versions = state.image.keys.get(key.name), state.tables.keys.versions
    values = () if kept is None else zip(versions, kept.values, strict=False)
    for each, value in values:
        if value and version in (None, each):
            return bytes.fromhex(value)
    raise Refused(status.SW_KEY_NOT_FOUND)


def _session(state: CardState, value: bytes) -> bytes:
    """The session key of the live challenge, which it ends; 6984 where there is none or it is longer than a block."""
    challenge, state.challenge = state.challenge, b""
    algorithm = state.tables.algorithm
    if not 0 < len(challenge) <= security.block_bytes(algorithm):
        raise Refused(status.SW_REFERENCED_DATA_INVALID)
    return security.session_key(algorithm, value, challenge)


def _set_tries(state: CardState, key: Key, tries: int) -> None:
    kept = msgspec.structs.replace(state.image.keys[key.name], tries=tries)
    state.change(keys={**state.image.keys, key.name: kept})
