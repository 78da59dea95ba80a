"""Journals as the centre can see them: chained, signed events in frames, made with the contract's own functions."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.events.events import (
    Basis,
    Event,
    EventData,
    Mode,
    PinService,
    Refund,
    Refusal,
    Settlement,
    Stamp,
    Versions,
    encode_event,
    event_hash,
    event_id,
    person_hash,
)
from protocols.events.frames import EnrolmentRecord, Entry, Frame, Person, Presence, sign_event
from protocols.events.topics import topic
from protocols.settlement.bill import AcctScope, Accumulators, FeeLine, Rounding
from protocols.settlement.profile import city_of_version
from protocols.settlement.split import SPLIT_VERSION, full_cash, refund_of, split_bill

BEIJING = "110000@2026-01-01+simulated"
SALT = "00112233445566778899aabbccddeeff"
TIME = "2026-11-21T09:58:00.123+08:00"
NOTHING = Accumulators(0, 0)
LI = Person("990101198802290036", "A12345678", SALT)


class Written(NamedTuple):
    """One journalled event."""

    id: str
    data: bytes
    hash: str
    person: Person | None
    event: Event


class Chain:
    """One terminal's journal in one epoch."""

    def __init__(self, record: bytes, key: Ed25519PrivateKey) -> None:
        self.record = msgspec.json.decode(record, type=EnrolmentRecord)
        self.key = key
        self.start = hashlib.sha256(record).hexdigest()
        self.events: list[Written] = []

    @property
    def terminal(self) -> str:
        return self.record.terminal

    def topic(self, name: str) -> str:
        return topic(self.terminal, name)

    def hash(self, seq: int) -> str:
        return self.events[seq - 1].hash if seq else self.start

    def append(self, data: EventData, person: Person | None, **envelope: Any) -> Written:
        """Journal an event; `envelope` overrides fields to make bad ones."""
        seq = len(self.events) + 1
        values: dict[str, Any] = {
            "id": event_id(self.terminal, self.record.epoch, seq),
            "source": self.terminal,
            "type": f"ssc.{data.__struct_config__.tag}",
            "time": TIME,
            "prev": self.hash(seq - 1),
            "clock": Stamp(seq * 1000, "boot", True),
            "data": data,
        }
        event = Event(**(values | envelope))
        return self.append_bytes(encode_event(event), person, event)

    def append_bytes(self, data: bytes, person: Person | None, event: Event | None = None) -> Written:
        seq = len(self.events) + 1
        name = event_id(self.terminal, self.record.epoch, seq)
        written = Written(name, data, event_hash(data), person, event)  # type: ignore[arg-type]
        self.events.append(written)
        return written

    def settle(
        self,
        lines: Sequence[FeeLine],
        before: Accumulators,
        version: int,
        *,
        mode: Mode = "online",
        person: Person | None = LI,
        split_name: str = "BJ-E",
        psn_type: str = "1101",
        profile: str = BEIJING,
        account: int | None = None,
        acct_scope: AcctScope | None = None,
        rounding: Rounding = "bill",
        reason: str | None = None,
        **overrides: Any,
    ) -> Written:
        """Journal a settlement computed as a counter would; `overrides` replace fields of it."""
        if mode == "full_cash":
            split = full_cash(lines, before, rounding)
        else:
            rules = city_of_version(profile).rules(split_name)
            split = split_bill(lines, rules, before, account=account, acct_scope=acct_scope, rounding=rounding)
        values: dict[str, Any] = {
            "mdtrt_id": f"{self.terminal}-{len(self.events) + 1}",
            "fixmedins_code": self.record.fixmedins_code,
            "opter": "02",
            "med_type": "11",
            "insutype": "310",
            "psn_type": psn_type,
            "insuplc_admdvs": "110000",
            "person_hash": None if person is None else person_hash(person.certno, person.salt),
            "pin": "not_asked",
            "mode": mode,
            "reason": reason,
            "versions": Versions(profile, "1", SPLIT_VERSION),
            "split_name": split_name,
            "year": 2026,
            "basis": Basis(version, "centre" if mode == "online" else "cached"),
            "before": before,
            "account": account,
            "acct_scope": acct_scope,
            "rounding": rounding,
            "lines": tuple(lines),
            "split": split,
        }
        return self.append(Settlement(**(values | overrides)), person)

    def refund(self, original: Written, *, after: Accumulators = NOTHING, **overrides: Any) -> Written:
        """Journal the refund of a settlement."""
        data = original.event.data
        assert isinstance(data, Settlement)
        values: dict[str, Any] = {
            "original": original.id,
            "mdtrt_id": data.mdtrt_id,
            "fixmedins_code": self.record.fixmedins_code,
            "opter": "02",
            "person_hash": data.person_hash,
            "split": refund_of(data.split, after.inscope, after.big),
        }
        return self.append(Refund(**(values | overrides)), original.person)

    def refuse(self, number: str = "-52") -> Written:
        return self.append(Refusal(number=number, step="pin", sw="6983"), None)

    def pin_service(self, person: Person | None = LI, **fields: Any) -> Written:
        values = {"service": "change", "state": "done", "opter": "02"} | fields
        digest = None if person is None else person_hash(person.certno, person.salt)
        return self.append(PinService(person_hash=digest, **values), person)

    def frame(self, first: int = 1, last: int | None = None, **overrides: Any) -> bytes:
        """Events `first` to `last` as they go out."""
        chosen = self.events[first - 1 : last]
        values: dict[str, Any] = {
            "terminal": self.terminal,
            "epoch": self.record.epoch,
            "entries": tuple(Entry(msgspec.Raw(each.data), each.person) for each in chosen),
            "signature": sign_event(self.key, chosen[-1].hash),
        }
        return msgspec.json.encode(Frame(**(values | overrides)))

    def birth(self, incarnation: str = "i1", **overrides: Any) -> bytes:
        values: dict[str, Any] = {
            "state": "birth",
            "incarnation": incarnation,
            "epoch": self.record.epoch,
            "end": len(self.events),
            "software": "0.1.0",
            "time": TIME,
        }
        return msgspec.json.encode(Presence(**(values | overrides)))


def line(lv: str, pric: str, cnt: str = "1", prop: str | None = None, uplmt: str | None = None) -> FeeLine:
    """A fee line in the short form of settlement.md C.4."""
    return FeeLine(lv, pric, cnt, prop, uplmt)  # type: ignore[arg-type]
