"""Journal events: what a terminal writes once, signs, sends and the centre stores, byte for byte.

The envelope uses CloudEvents words. An event names its person only by a salted hash; numbers and salt travel beside it
(`frames.Person`) and can be deleted without breaking the chain. Names of people are never in an event.
"""

import hashlib
import re
from typing import Annotated, Literal

import msgspec

from protocols.events.topics import is_terminal_id
from protocols.settlement.bill import AcctScope, Accumulators, FeeLine, Fen, Rounding, Split

EVENT_HASH = b"ssc-event-1"
PERSON_HASH = b"ssc-person-1"

Mode = Literal["online", "provisional", "full_cash"]
Service = Literal["change", "unblock", "reset"]
ServiceState = Literal["begun", "done", "failed"]
Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
"""A number that only grows: epoch, sequence, version, milliseconds."""


class Stamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The clocks at the moment of writing; order comes from `seq`, never from these."""

    monotonic_ms: Count
    boot_id: str
    trusted: bool


class Basis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger version of the person's accumulators, and how the terminal had it."""

    version: Count
    source: Literal["centre", "cached", "none"]


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bill was computed with. `profile` is `<city>@<valid from>[+simulated]`."""

    profile: str
    catalogue: str
    split: str


class Settlement(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="settlement"
):
    """A settled bill. `mode` full_cash has a `reason` (catalogue number) and touches no accumulators."""

    mdtrt_id: str
    fixmedins_code: str
    opter: str
    med_type: str
    insutype: str
    psn_type: str
    insuplc_admdvs: str
    person_hash: str | None
    pin: Literal["verified", "not_asked"]
    mode: Mode
    reason: str | None = None
    versions: Versions
    split_name: str
    year: Annotated[int, msgspec.Meta(ge=1900, le=9999)]
    basis: Basis
    before: Accumulators
    account: Fen | None
    acct_scope: AcctScope | None
    rounding: Rounding
    lines: tuple[FeeLine, ...]
    split: Split


class Refund(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="refund"):
    """Takes back one whole settlement (settlement.md B.7-5): `split` holds the original's amounts, negated."""

    original: str
    mdtrt_id: str
    fixmedins_code: str
    opter: str
    person_hash: str | None
    split: Split


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="refusal"):
    """A visit that ended without money: the catalogue number shown, the step it stood at, the status word if any."""

    number: str
    step: str
    sw: str | None = None
    med_type: str | None = None
    person_hash: str | None = None


class PinService(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="pin"):
    """What is done to the PIN of a card: `begun` before the card is asked, then `done`, or `failed` with a number."""

    service: Service
    state: ServiceState
    opter: str
    number: str | None = None
    person_hash: str | None = None

    @property
    def renewed(self) -> bool:
        """Whether the card has another PIN since."""
        return self.state == "done" and self.service != "unblock"


EventData = Settlement | Refund | Refusal | PinService


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The envelope. `id` is `terminal/epoch/seq`; `prev` the hash of the event before, or of the enrolment record."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: Literal["ssc.settlement", "ssc.refund", "ssc.refusal", "ssc.pin"]
    time: str
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["ssc:event/1"] = "ssc:event/1"
    prev: str
    clock: Stamp
    data: EventData


_EVENT_ID = re.compile(r"([0-9A-Za-z-]{1,32})/([1-9][0-9]{0,8})/([1-9][0-9]{0,17})")
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)


def event_id(terminal: str, epoch: int, seq: int) -> str:
    """The event's name for ever, on every retry."""
    return f"{terminal}/{epoch}/{seq}"


def event_key(name: str) -> tuple[str, int, int]:
    """(terminal, epoch, seq) of an event id; `ValueError` where it is none."""
    match = _EVENT_ID.fullmatch(name)
    if match is None or not is_terminal_id(match[1]):
        raise ValueError("not an event id")
    return match[1], int(match[2]), int(match[3])


def encode_event(event: Event) -> bytes:
    """Serialise once; afterwards only these bytes are stored, hashed, signed and sent."""
    return _ENCODER.encode(event)


def decode_event(data: bytes | msgspec.Raw) -> Event:
    """Read an event of a known schema; `msgspec.MsgspecError` otherwise."""
    try:
        return _DECODER.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError("malformed JSON") from error


def event_hash(data: bytes | msgspec.Raw) -> str:
    """SHA-256(`ssc-event-1` ‖ bytes), hex."""
    return hashlib.sha256(EVENT_HASH + bytes(data)).hexdigest()


def person_hash(certno: str, salt: str) -> str:
    """SHA-256(`ssc-person-1` ‖ salt ‖ citizen number), hex; the salt is hex."""
    return hashlib.sha256(PERSON_HASH + bytes.fromhex(salt) + certno.encode()).hexdigest()
