"""Where root keys live, behind one door: a SAM in a second slot, or the centre, which computes for the terminal."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from host_bridge.card.errors import CardError
from protocols.events.keys import (
    AuthenticationData,
    AuthenticationStep,
    CardKey,
    KeyAnswer,
    KeyRefusal,
    KeyStep,
    KeyUse,
    Mac,
    MacStep,
    SessionKey,
    SessionStep,
)
from protocols.sscard import commands, security
from protocols.sscard.keys import Key
from protocols.texts.catalogue import text_of

CENTRE_S = 10.0
"""How long the centre may take for a step."""

_Answer = TypeVar("_Answer", bound=KeyAnswer)


class SecurityModuleError(CardError):
    """The security module does not do its part; the card is unchanged."""


class NoSecurityModule(SecurityModuleError):
    """There is none, or none in its slot or at the centre (-2201); `key_name` is what was wanted."""

    key = "card_key_missing"

    def __init__(self, key_name: str) -> None:
        self.key_name = key_name
        super().__init__(f"no security module for {key_name}")

    @property
    def facts(self) -> dict[str, str]:
        return {"rule": self.key_name}


class AlgorithmMissing(SecurityModuleError):
    """It has not got the card's algorithm (-2202)."""

    key = "security_algorithm_missing"

    def __init__(self, algorithm: int) -> None:
        self.algorithm = algorithm
        super().__init__(f"algorithm {algorithm:02X}")

    @property
    def facts(self) -> dict[str, str]:
        return {"algorithm": f"{self.algorithm:02X}"}


class RootKeyMissing(SecurityModuleError):
    """It has not got the key (-2203)."""

    key = "security_key_missing"

    def __init__(self, key_name: str) -> None:
        self.key_name = key_name
        super().__init__(key_name)

    @property
    def facts(self) -> dict[str, str]:
        return {"name": self.key_name}


class KeyVersionMissing(SecurityModuleError):
    """It has the key, but not in the card's version."""

    key = "security_key_version_missing"

    def __init__(self, key_name: str, version: int) -> None:
        self.key_name, self.version = key_name, version
        super().__init__(f"{key_name} version {version}")

    @property
    def facts(self) -> dict[str, str]:
        return {"name": self.key_name, "version": str(self.version)}


class KeyRefused(SecurityModuleError):
    """It may not be used like this here; `key` names the reason, `request` what the centre could approve."""

    def __init__(self, key: str, request: int | None = None) -> None:
        self.key, self.request = key, request
        super().__init__(key)

    @property
    def facts(self) -> dict[str, str]:
        return {"request": "—" if self.request is None else str(self.request)}


class SecurityModuleSilent(SecurityModuleError):
    """No answer in time, or none that makes sense; nothing was used up at the card."""

    key = "security_module_silent"


class Wanted(NamedTuple):
    """A key of one card in a version, and what for; `region` are six digits."""

    key: Key
    version: int
    use: KeyUse
    algorithm: int
    region: str
    historical_bytes: bytes

    @property
    def factors(self) -> tuple[bytes, bytes, bytes]:
        """Province, city, card (ssc-card.md 6.2)."""
        return security.factors(self.region, self.historical_bytes)


class SecurityModule(Protocol):
    """Computes with a card's keys. Every call may raise a `SecurityModuleError`; a SAM's reader its `ReaderError`."""

    def authentication_data(self, wanted: Wanted, challenge: bytes, source: bytes) -> bytes:
        """8 bytes for a challenge and a source of 8 bytes (ssc-card.md 6.3)."""
        ...

    def unblock_mac(self, wanted: Wanted, challenge: bytes) -> bytes:
        """4 bytes for PIN CHANGE/UNBLOCK that restores the tries."""
        ...

    def reset_data(self, wanted: Wanted, challenge: bytes, block: bytearray) -> bytes:
        """Cipher and MAC for PIN CHANGE/UNBLOCK with this PIN block."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


AskCentre = Callable[[KeyStep, float], KeyAnswer | None]
"""A step and how long its answer may take; None where none came."""


class CentreModule:
    """The centre's key service; the terminal carries bytes. A new PIN is enciphered here and never travels."""

    def __init__(self, ask: AskCentre) -> None:
        self._ask_centre = ask

    def authentication_data(self, wanted: Wanted, challenge: bytes, source: bytes) -> bytes:
        step = AuthenticationStep(
            use=wanted.use, card_key=_card_key(wanted), challenge=challenge.hex(), source=source.hex()
        )
        return bytes.fromhex(self._ask(step, AuthenticationData).data)

    def unblock_mac(self, wanted: Wanted, challenge: bytes) -> bytes:
        message = commands.mac_message(commands.unblock_pin()).hex()
        step = MacStep(use=wanted.use, card_key=_card_key(wanted), challenge=challenge.hex(), message=message)
        return bytes.fromhex(self._ask(step, Mac).mac)

    def reset_data(self, wanted: Wanted, challenge: bytes, block: bytearray) -> bytes:
        step = SessionStep(use=wanted.use, card_key=_card_key(wanted), challenge=challenge.hex())
        session = bytes.fromhex(self._ask(step, SessionKey).session)
        try:
            cipher = security.encrypt_data(wanted.algorithm, session, bytes(block))
            message = commands.mac_message(commands.reset_pin(cipher))
            return cipher + security.command_mac(wanted.algorithm, session, message)
        except security.AlgorithmMissing:
            raise AlgorithmMissing(wanted.algorithm) from None

    def close(self) -> None:
        """Nothing: the link is its owner's."""

    def _ask(self, step: KeyStep, kind: type[_Answer]) -> _Answer:
        answer = self._ask_centre(step, CENTRE_S)
        if isinstance(answer, KeyRefusal):
            raise _refusal(step, answer)
        if not isinstance(answer, kind):
            raise SecurityModuleSilent
        return answer


def _card_key(wanted: Wanted) -> CardKey:
    historical_bytes = wanted.historical_bytes.hex()
    return CardKey(wanted.key.name, wanted.algorithm, wanted.region, historical_bytes, wanted.version)


def _refusal(step: KeyStep, answer: KeyRefusal) -> SecurityModuleError:
    try:
        key = text_of(answer.number).key
    except KeyError:
        return SecurityModuleSilent()
    match key:
        case "security_algorithm_missing":
            return AlgorithmMissing(step.card_key.algorithm)
        case "security_key_missing":
            return RootKeyMissing(step.card_key.key)
        case "security_key_version_missing":
            return KeyVersionMissing(step.card_key.key, step.card_key.version)
        case "key_service_absent":
            return NoSecurityModule(step.card_key.key)
        case _:
            return KeyRefused(key, answer.request)
