"""What travels on `key`: steps in which the centre computes with a card key and the terminal only carries bytes."""

from typing import Annotated, Literal

import msgspec

from protocols.events.events import Count

KeyUse = Literal["genuine", "read", "update", "unblock_pin", "reset_pin"]
"""What a key is wanted for; it decides who may have it."""

# `$` lets a final line feed pass; where a length is fixed, saying it is enough.
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{2,8}$(?!\n)", max_length=8)]
_Region = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}$", max_length=6)]
_HistoricalBytes = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{26}$", max_length=26)]
_FourBytes = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}$", max_length=8)]
_EightBytes = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$", max_length=16)]
_SessionKey = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{16}){1,2}$", max_length=32)]
_Message = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2}){5,255}$", max_length=510)]


class CardKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which key of which card (ssc-card.md 6.1, 6.2), in which version: its name, the card's algorithm and facts."""

    key: _Name
    algorithm: Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
    region: _Region
    historical_bytes: _HistoricalBytes
    version: Annotated[int, msgspec.Meta(ge=0, le=0xFF)]


class AuthenticationStep(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="authentication"
):
    """Authentication data of a key, for the card's `challenge` and the terminal's `source` (hex)."""

    use: KeyUse
    card_key: CardKey
    challenge: _EightBytes
    source: _EightBytes


class MacStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="mac"):
    """The MAC over a command's header and data (hex)."""

    use: KeyUse
    card_key: CardKey
    challenge: _EightBytes
    message: _Message


class SessionStep(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="session"
):
    """The session key of one challenge: with it the terminal enciphers a new PIN, which so never travels."""

    use: KeyUse
    card_key: CardKey
    challenge: _EightBytes


class AuthenticationData(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="authentication"
):
    """8 bytes (hex) for INTERNAL or EXTERNAL AUTHENTICATION."""

    data: _EightBytes


class Mac(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="mac"):
    """4 bytes (hex)."""

    mac: _FourBytes


class SessionKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="session"):
    """8 bytes of 3DES or 16 of SM4 (hex); worth nothing after the card's next challenge."""

    session: _SessionKey

    def __repr__(self) -> str:
        return "SessionKey(…)"


class KeyRefusal(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="refused"
):
    """Nothing was computed; `number` names the catalogue text, `request` what an operator of the centre can approve."""

    number: str
    request: Count | None = None


KeyStep = AuthenticationStep | MacStep | SessionStep
KeyAnswer = AuthenticationData | Mac | SessionKey | KeyRefusal
