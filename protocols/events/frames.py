"""What travels on the topics around the events: frames up, receipts down, presence, questions and answers."""

from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocols.events.events import Count
from protocols.settlement.bill import Accumulators, Fen

RECEIPT_SIGNATURE = b"ssc-receipt-1"
EVENT_SIGNATURE = b"ssc-sign-1"


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The deletable part beside an event: citizen number, card number and the salt of `person_hash` (hex)."""

    certno: str
    card_no: str
    salt: str


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One journal event, its bytes untouched, and its person part."""

    event: msgspec.Raw
    person: Person | None = None


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Consecutive events of one terminal and epoch; `signature` (hex) is that of the last event."""

    version: Literal[1] = 1
    terminal: str
    epoch: Count
    entries: tuple[Entry, ...]
    signature: str


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An authentic event that went to quarantine; `reason` is a catalogue number."""

    seq: Count
    reason: str


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The centre has everything up to `seq` (0: nothing yet; then `hash` is the enrolment record's)."""

    version: Literal[1] = 1
    terminal: str
    epoch: Count
    seq: Count
    hash: str
    refused: tuple[Refused, ...] = ()
    missing: tuple[tuple[Count, Count], ...] = ()
    time: str


class SignedReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt's bytes and their Ed25519 signature (hex) by the centre's receipt key."""

    receipt: msgspec.Raw
    signature: str


class Presence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Birth or death of a terminal; both carry the same `incarnation`, so a late will cannot kill a new birth."""

    version: Literal[1] = 1
    state: Literal["birth", "death"]
    incarnation: str
    epoch: Count
    end: Count = 0
    mark: Count = 0
    oldest: str | None = None
    software: str = ""
    profile: str = ""
    catalogue: str = ""
    reader: str = ""
    counter: str = ""
    time: str | None = None


class CentreState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The holder of a bucket listens (retained, every few seconds), or is gone (last will)."""

    version: Literal[1] = 1
    state: Literal["listening", "gone"]
    lease: Count
    incarnation: str
    time: str | None = None


class PersonQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="person"):
    """Who is this, insured how, with which accumulators? `card_no` is the one on the chip."""

    certno: str
    card_no: str
    med_type: str


class PersonAnswer(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="person"
):
    """The centre's view (settlement.md B.3). `balc` fen, absent without an account at the centre.

    `card_state` is one of active, picked_up, pre_lost, formal_lost, exchanged, void, unknown (settlement.md A.6).
    """

    insutype: str
    psn_type: str
    psn_insu_stas: str
    insuplc_admdvs: str
    balc: Fen | None
    card_state: str
    default_pin: bool
    year: Count
    version: Count
    accumulators: Accumulators


class Unknown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="unknown"):
    """The centre cannot answer; `number` names the catalogue text."""

    number: str


Query = PersonQuery
Answer = PersonAnswer | Unknown


class EnrolmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One-time code and the terminal's Ed25519 public key (hex)."""

    code: str
    public_key: str


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a terminal finds a broker."""

    host: str
    port: int
    tls: bool = False


class EnrolmentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both sides keep, as the same bytes; their SHA-256 is `prev` of seq 1."""

    version: Literal[1] = 1
    terminal: str
    epoch: Count
    bucket: int
    role: Literal["counter", "agency"]
    fixmedins_code: str
    fixmedins_name: str
    city: str
    public_key: str
    brokers: tuple[Broker, ...]
    mqtt_password: str
    receipt_key: str
    time: str


def sign_event(key: Ed25519PrivateKey, digest: str) -> str:
    """The terminal's signature (hex) over an event hash (hex)."""
    return key.sign(EVENT_SIGNATURE + bytes.fromhex(digest)).hex()


def event_signature_holds(key: Ed25519PublicKey, digest: str, signature: str) -> bool:
    """Whether `signature` (hex) is the terminal's over this event hash."""
    return _holds(key, EVENT_SIGNATURE + bytes.fromhex(digest), signature)


def sign_receipt(key: Ed25519PrivateKey, receipt: Receipt) -> bytes:
    """A receipt as it goes out."""
    body = msgspec.json.encode(receipt)
    return msgspec.json.encode(SignedReceipt(msgspec.Raw(body), key.sign(RECEIPT_SIGNATURE + body).hex()))


def open_receipt(key: Ed25519PublicKey, data: bytes) -> Receipt:
    """The receipt in a payload; `ValueError` where it is malformed or not signed by the centre."""
    try:
        signed = msgspec.json.decode(data, type=SignedReceipt)
        receipt = msgspec.json.decode(signed.receipt, type=Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("malformed receipt") from error
    if not _holds(key, RECEIPT_SIGNATURE + bytes(signed.receipt), signed.signature):
        raise ValueError("receipt signature does not hold")
    return receipt


def _holds(key: Ed25519PublicKey, data: bytes, signature: str) -> bool:
    try:
        key.verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
