"""Steps of the vectors' card."""

from protocols.events.keys import AuthenticationStep, CardKey, KeyUse, MacStep, SessionStep
from tests.server.keys.conftest import VECTORS

HISTORICAL_BYTES = VECTORS["historical_bytes"].lower()
CHALLENGE, SOURCE = VECTORS["challenge"], VECTORS["source"]
REGION, OTHER_REGION = VECTORS["region"], "320100"
OTHER_CARD = HISTORICAL_BYTES[:-2] + "02"
UNBLOCK = "8424000004"


def card_key(
    key: str, algorithm: int = 3, card: str = HISTORICAL_BYTES, region: str = REGION, version: int = 1
) -> CardKey:
    return CardKey(key, algorithm, region, card, version)


def authentication(
    use: KeyUse, key: str, algorithm: int = 3, card: str = HISTORICAL_BYTES, region: str = REGION
) -> AuthenticationStep:
    of = card_key(key, algorithm, card, region)
    return AuthenticationStep(use=use, card_key=of, challenge=CHALLENGE, source=SOURCE)


def mac(use: KeyUse, key: str, algorithm: int = 3, message: str = UNBLOCK, region: str = REGION) -> MacStep:
    return MacStep(use=use, card_key=card_key(key, algorithm, region=region), challenge=CHALLENGE, message=message)


def session(use: KeyUse, key: str, algorithm: int = 3, region: str = REGION) -> SessionStep:
    return SessionStep(use=use, card_key=card_key(key, algorithm, region=region), challenge=CHALLENGE)
