"""A card and a terminal prove their keys to each other, through a security module (ssc-card.md 6.3, 9.2, 9.5)."""

import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

from host_bridge.card.errors import CardError, PinOutcomeUnknown, UnblockOutcomeUnknown, refusal, sending
from host_bridge.card.security_module import KeyVersionMissing, RootKeyMissing, SecurityModule, Wanted
from host_bridge.readers.reader import CardConnection
from protocols.events.keys import KeyUse
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands
from protocols.sscard.files import CardFiles
from protocols.sscard.keys import Key
from protocols.sscard.pin import pin_block, wipe
from protocols.sscard.security import MAC_BYTES

CHALLENGE_BYTES = 8
GENUINE_KEY, PIN_KEY = "IRK", "PUK"
_ALGORITHM = re.compile(rb"\x9f\x0c\x03\x86\x01(.)", re.DOTALL)
"""Issuer data of an FCI that name the algorithm (ssc-card.md 3.1, 10 no. 18)."""


class NotGenuine(CardError):
    """The card does not know its issuer's key (-21)."""

    key = "card_not_genuine"


class CardFacts(NamedTuple):
    """What the keys of a card depend on."""

    tables: CardFiles
    algorithm: int
    region: str


class KeyVersion(NamedTuple):
    """The version of a card's keys that the module has too. `told` is the 17th byte, None to a card that takes none.

    `unasked` is the one that the card takes where no command can name one, for its MACs; the lowest (INF).
    """

    used: int
    told: int | None
    unasked: int


def algorithm_of(fci: bytes) -> int | None:
    """The algorithm that the SSSE's FCI names, if any."""
    found = _ALGORITHM.search(fci)
    return None if found is None else found[1][0]


def keys_of(rule: str) -> tuple[str, ...]:
    """The keys of the first way in that needs any: `PIN and RK1DF04` gives RK1DF04; empty where no key helps."""
    for way in rule.split(" or "):
        keys = tuple(name for name in way.split(" and ") if name not in ("PIN", "free", "never"))
        if keys:
            return keys
    return ()


class Authentication:
    """The keys of one powered card. Steps raise `CardError`, the module's among them, and reader errors.

    The directory that a key belongs to must be the current one. `random` gives so many random bytes.
    """

    def __init__(
        self, connection: CardConnection, module: SecurityModule, card: CardFacts, random: Callable[[int], bytes]
    ) -> None:
        self._connection = connection
        self._module = module
        self._card = card
        self._random = random
        self._version: KeyVersion | None = None

    def check_genuine(self) -> KeyVersion:
        """INTERNAL AUTHENTICATION, once; the version of the keys, which the card tells by refusing others with 6A88.

        `NotGenuine`; `KeyVersionMissing` where card and module have no version in common. Both numbers are ours: a card
        that chose them could replay.
        """
        if self._version is None:
            self._version = self._agreed()
        return self._version

    def external(self, name: str, use: KeyUse) -> None:
        """EXTERNAL AUTHENTICATION with a key; only a genuine card is shown what its keys give.

        `KeyWrong` and `KeyLocked` of the card; `NotGenuine`. The source is ours (ssc-card.md 6.3): hosts seen fetch a
        second challenge for it.
        """
        version = self.check_genuine()
        key = self._key(name)
        if key.id is None:
            raise RootKeyMissing(name)
        source, challenge = self._random(CHALLENGE_BYTES), self._challenge()
        proof = self._module.authentication_data(self._wanted(key, version.used, use), challenge, source)
        self._perform(commands.external_authentication(key.id, proof, source, version.told))

    def unblock_pin(self) -> None:
        """Restore the tries of the PIN (ssc-card.md 9.5)."""
        self.external(PIN_KEY, "unblock_pin")
        wanted = self._wanted_for_mac("unblock_pin")
        mac = self._module.unblock_mac(wanted, self._challenge())
        with sending(UnblockOutcomeUnknown):
            self._perform(commands.with_mac(commands.unblock_pin(), mac))

    def reset_pin(self, new: bytearray) -> None:
        """Set a PIN of 4 to 16 ASCII digits and restore its tries; `new` is wiped, whatever happens.

        `pin.PinFormatError` before anything is asked.
        """
        block = bytearray()
        try:
            block = pin_block(new)
            self.external(PIN_KEY, "reset_pin")
            wanted = self._wanted_for_mac("reset_pin")
            data = self._module.reset_data(wanted, self._challenge(), block)
            cipher, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
            with sending(PinOutcomeUnknown):
                self._perform(commands.with_mac(commands.reset_pin(cipher), mac))
        finally:
            wipe(new)
            wipe(block)

    def _agreed(self) -> KeyVersion:
        key, lacking = self._key(GENUINE_KEY), list[int]()
        for version in self._card.tables.keys.versions:
            challenge, source = self._random(CHALLENGE_BYTES), self._random(CHALLENGE_BYTES)
            told: int | None = version
            answer = self._connection.transmit(commands.internal_authentication(challenge, source, told))
            if answer.sw == status.SW_WRONG_LENGTH:
                told = None
                answer = self._connection.transmit(commands.internal_authentication(challenge, source))
            elif answer.sw == status.SW_KEY_NOT_FOUND:
                continue
            data = _taken(answer, commands.INTERNAL_AUTHENTICATION)
            try:
                proof = self._module.authentication_data(self._wanted(key, version, "genuine"), challenge, source)
            except KeyVersionMissing:
                if told is None:
                    raise
                lacking.append(version)
                continue
            if not hmac.compare_digest(data, proof):
                raise NotGenuine
            return KeyVersion(version, told, min((*lacking, version)))
        if lacking:
            raise KeyVersionMissing(key.name, lacking[-1])
        raise refusal(status.SW_KEY_NOT_FOUND, commands.INTERNAL_AUTHENTICATION)

    def _key(self, name: str) -> Key:
        try:
            return self._card.tables.keys.key(name)
        except KeyError:
            raise RootKeyMissing(name) from None

    def _wanted(self, key: Key, version: int, use: KeyUse) -> Wanted:
        card, historical_bytes = self._card, bytes(self._connection.atr.historical_bytes)
        return Wanted(key, version, use, card.algorithm, card.region, historical_bytes)

    def _wanted_for_mac(self, use: KeyUse) -> Wanted:
        return self._wanted(self._card.tables.keys.pin_mac, self.check_genuine().unasked, use)

    def _challenge(self) -> bytes:
        return self._data(commands.get_challenge(CHALLENGE_BYTES))

    def _data(self, command: CommandApdu) -> bytes:
        return _taken(self._connection.transmit(command), command.ins)

    def _perform(self, command: CommandApdu) -> None:
        self._data(command)


def _taken(answer: ResponseApdu, ins: int) -> bytes:
    """The data of an answer; `CardError` where it is a refusal."""
    if answer.sw != status.SW_SUCCESS:
        raise refusal(answer.sw, ins)
    return answer.data
