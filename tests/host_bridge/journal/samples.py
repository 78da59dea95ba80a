"""Events, people, receipts and clocks for tests of journal and link; everybody here is fictitious (prefix 99)."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from host_bridge.journal.chain import Mark, Stored
from host_bridge.journal.journal import Journal
from protocols.events.clock import SHANGHAI, rfc3339
from protocols.events.events import Basis, Mode, Refund, Settlement, Versions, person_hash
from protocols.events.frames import Broker, EnrolmentRecord, Person, PersonAnswer, Receipt, Refused
from protocols.events.steps import OnStep, pass_by
from protocols.events.topics import bucket
from protocols.settlement.bill import Accumulators, FeeLine, Split

TERMINAL = "bj-01"
PERSON = Person("990101198802290036", "A12345678", "00" * 16)
SECRET = bytes(range(32))
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=SHANGHAI)


class HandClock:
    """A clock that stands still until it is set."""

    def __init__(self, wall: datetime = NOON) -> None:
        self.now = wall
        self.ms = 1_000
        self.sure = True

    def wall(self) -> datetime:
        return self.now

    def monotonic_ms(self) -> int:
        return self.ms

    def boot_id(self) -> str:
        return "boot"

    def trusted(self) -> bool:
        return self.sure

    def pass_by(self, step: timedelta) -> None:
        """Both clocks move on."""
        self.now += step
        self.ms += step // timedelta(milliseconds=1)


def record_for(
    key: Ed25519PrivateKey,
    receipt_key: Ed25519PrivateKey,
    *,
    terminal: str = TERMINAL,
    epoch: int = 1,
    brokers: tuple[Broker, ...] = (Broker("127.0.0.1", 1),),
    role: Literal["counter", "agency"] = "counter",
) -> bytes:
    """The exact bytes of an enrolment record; with a blank, which a second serialising would lose."""
    record = EnrolmentRecord(
        terminal=terminal,
        epoch=epoch,
        bucket=bucket(terminal),
        role=role,
        fixmedins_code="H11010100001",
        fixmedins_name="模拟药店",
        city="110000",
        public_key=key.public_key().public_bytes_raw().hex(),
        brokers=brokers,
        mqtt_password="secret",
        receipt_key=receipt_key.public_key().public_bytes_raw().hex(),
        time="2026-11-21T08:00:00.000+08:00",
    )
    return b" " + msgspec.json.encode(record)


def split_of(medfee: int = 10_000, *, sign: int = 1, acct_pay: int = 0, after: int = 10_000) -> Split:
    """Half paid by the fund, half by the person; the journal does not look inside."""
    half = medfee // 2
    return Split(
        medfee_sumamt=sign * medfee,
        fulamt_ownpay_amt=0,
        overlmt_selfpay=0,
        preselfpay_amt=0,
        inscp_scp_amt=sign * medfee,
        act_pay_dedc=0,
        big=sign * half,
        supp=0,
        fund_pay_sumamt=sign * half,
        self1=sign * half,
        self1_ratio=sign * half,
        self1_above_cap=0,
        self2=0,
        self_out=0,
        psn_part_amt=sign * half,
        acct_pay=sign * acct_pay,
        psn_cash_pay=sign * (half - acct_pay),
        after_inscope=after,
        after_big=after // 2,
    )


def settlement(
    number: str = "1",
    *,
    person: Person | None = PERSON,
    mode: Mode = "online",
    split: Split | None = None,
    year: int = 2026,
) -> Settlement:
    return Settlement(
        mdtrt_id=number,
        fixmedins_code="H11010100001",
        opter="02",
        med_type="11",
        insutype="310",
        psn_type="1101",
        insuplc_admdvs="110000",
        person_hash=None if person is None else person_hash(person.certno, person.salt),
        pin="verified",
        mode=mode,
        versions=Versions("110000@2026-01-01+simulated", "1", "1"),
        split_name="BJ-E",
        year=year,
        basis=Basis(1, "centre"),
        before=Accumulators(0, 0),
        account=None,
        acct_scope=None,
        rounding="line",
        lines=(FeeLine("01", "100.00", "1"),),
        split=split or split_of(),
    )


def refund(original: Stored, number: str = "2", split: Split | None = None) -> Refund:
    data = original.event.data
    assert isinstance(data, Settlement)
    return Refund(
        original=original.id,
        mdtrt_id=number,
        fixmedins_code=data.fixmedins_code,
        opter="02",
        person_hash=data.person_hash,
        split=split or split_of(sign=-1, after=0),
    )


def answer(*, version: int = 1, year: int = 2026, inscope: int = 0, balc: int | None = 8_000) -> PersonAnswer:
    return PersonAnswer(
        insutype="310",
        psn_type="1101",
        psn_insu_stas="1",
        insuplc_admdvs="110000",
        balc=balc,
        card_state="active",
        default_pin=False,
        year=year,
        version=version,
        accumulators=Accumulators(inscope, inscope // 2),
    )


def receipt_at(
    mark: Mark,
    *,
    terminal: str = TERMINAL,
    epoch: int = 1,
    refused: tuple[Refused, ...] = (),
    missing: tuple[tuple[int, int], ...] = (),
    time: datetime = NOON,
) -> Receipt:
    return Receipt(
        terminal=terminal,
        epoch=epoch,
        seq=mark.seq,
        hash=mark.hash,
        refused=refused,
        missing=missing,
        time=rfc3339(time),
    )


class Desk:
    """A journal's surroundings: its keys, clock and file; opens it again as the next process would."""

    def __init__(self, directory: Path, *, brokers: tuple[Broker, ...] = (Broker("127.0.0.1", 1),)) -> None:
        self.path = directory / "journal.db"
        self.key = Ed25519PrivateKey.generate()
        self.receipt_key = Ed25519PrivateKey.generate()
        self.clock = HandClock()
        self.record = record_for(self.key, self.receipt_key, brokers=brokers)
        self._open: list[Journal] = []

    def create(self, on_step: OnStep = pass_by) -> Journal:
        journal = Journal.create(self.path, self.record, self.key, self.clock, secret=SECRET, on_step=on_step)
        self._open.append(journal)
        return journal

    def open(self, on_step: OnStep = pass_by) -> Journal:
        """Close what is open and open the file again."""
        self.close()
        journal = Journal.open(self.path, self.key, self.clock, on_step)
        self._open.append(journal)
        return journal

    def close(self) -> None:
        while self._open:
            self._open.pop().close()
