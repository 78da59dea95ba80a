"""Steps of the vectors' card."""

from protocols.events.keys import AuthenticationStep, CardKey, KeyUse, MacStep, SessionStep
from tests.server.keys.conftest import VECTORS

HISTORICAL_BYTES = VECTORS["historical_bytes"].lower()
CHALLENGE, SOURCE = VECTORS["challenge"], VECTORS["source"]
OTHER_CARD = HISTORICAL_BYTES[:-2] + "02"
UNBLOCK = "8424000004"


def card_key(key: str, algorithm: int = 3, card: str = HISTORICAL_BYTES) -> CardKey:
    return CardKey(key, algorithm, VECTORS["region"], card)


def authentication(use: KeyUse, key: str, algorithm: int = 3, card: str = HISTORICAL_BYTES) -> AuthenticationStep:
    return AuthenticationStep(use=use, card_key=card_key(key, algorithm, card), challenge=CHALLENGE, source=SOURCE)


def mac(use: KeyUse, key: str, algorithm: int = 3, message: str = UNBLOCK) -> MacStep:
    return MacStep(use=use, card_key=card_key(key, algorithm), challenge=CHALLENGE, message=message)


def session(use: KeyUse, key: str, algorithm: int = 3) -> SessionStep:
    return SessionStep(use=use, card_key=card_key(key, algorithm), challenge=CHALLENGE)
