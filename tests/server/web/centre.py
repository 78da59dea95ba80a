"""A centre whose store is filled as in life: enrolment, signed frames, the real inbox and booking."""

import copy
import hashlib
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select
from starlette.testclient import TestClient

from protocols.events.clock import SHANGHAI, rfc3339
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
from protocols.events.frames import EnrolmentRecord, EnrolmentRequest, Entry, Frame, Person, Presence, sign_event
from protocols.events.steps import pass_by
from protocols.events.topics import topic
from protocols.settlement.bill import Accumulators
from protocols.settlement.catalogue import load_catalogue
from protocols.settlement.profile import load_city
from protocols.settlement.split import SPLIT_VERSION, full_cash, refund_of, split_bill
from server.inbox.intake import take_message
from server.inbox.message import Message
from server.people.files import PersonFile, import_person, read_person
from server.people.persons import PersonYear, balance, person_id, standing
from server.store.store import Store, millis
from server.store.tables import enrolments
from server.terminals.registry import Enrolment, add_terminal, enrol
from server.web.app import create_app

PEOPLE = Path(__file__).parents[3] / "hardware" / "virtual" / "people"
DATABASE = "centre.db"
SALT = "00" * 16
NOON = datetime(2026, 11, 21, 12, 41, 7, tzinfo=SHANGHAI)


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def wall(self) -> datetime:
        return self.now

    def monotonic_ms(self) -> int:
        return millis(self.now)

    def boot_id(self) -> str:
        return "boot"

    def trusted(self) -> bool:
        return True

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Sent(NamedTuple):
    """An event and its person part, on their way."""

    id: str
    data: bytes
    person: Person | None


class Terminal:
    """A terminal's half: it makes events, signs frames and hands them to the centre's inbox."""

    def __init__(self, centre: "Centre", key: Ed25519PrivateKey, record: bytes) -> None:
        self._centre = centre
        self._key = key
        self.record = msgspec.json.decode(record, type=EnrolmentRecord)
        self._head = hashlib.sha256(record).hexdigest()
        self.end = 0
        self.trusted = True

    @property
    def id(self) -> str:
        return self.record.terminal

    def at(self, centre: "Centre") -> "Terminal":
        """The same terminal, speaking to another centre."""
        twin = copy.copy(self)
        twin._centre = centre
        return twin

    def settle(
        self,
        person: str,
        *lines: tuple[str, str],
        med_type: str = "11",
        mode: Mode = "online",
        basis: tuple[int, Accumulators] | None = None,
        visit: str = "",
        edit: Callable[[Settlement], Settlement] = lambda data: data,
    ) -> Sent:
        """A settlement journalled now; `basis` where the terminal had an older picture than the centre.

        `edit` changes it before it is signed.
        """
        who = self._centre.people[person]
        city = load_city(who.insurance.insuplc_admdvs, self._centre.clock.now.date(), simulated=True)
        psn_type = who.centre.psn_type or who.insurance.psn_type
        age = self._centre.clock.now.year - int(who.certno[6:10])
        rules = city.split_for(who.insurance.insutype, psn_type, age, med_type)
        version, before, account = self._centre.standing(who)
        if basis is not None:
            version, before = basis
        bill = tuple(load_catalogue().line(code, count) for code, count in lines)
        scope = city.acct_scope(who.insurance.insutype, med_type)
        cash = mode == "full_cash"
        split = (
            full_cash(bill, before, city.rounding)
            if cash
            else split_bill(bill, rules, before, account=account, acct_scope=scope, rounding=city.rounding)
        )
        data = Settlement(
            mdtrt_id=visit or f"V{self.end + 1:08d}",
            fixmedins_code=self.record.fixmedins_code,
            opter="02",
            med_type=med_type,
            insutype=who.insurance.insutype,
            psn_type=psn_type,
            insuplc_admdvs=who.insurance.insuplc_admdvs,
            person_hash=person_hash(who.certno, SALT),
            pin="verified" if city.pin_asked(med_type) else "not_asked",
            mode=mode,
            reason="-52" if cash else None,
            versions=Versions(city.versions_name, load_catalogue().version, SPLIT_VERSION),
            split_name=rules.name,
            year=2026,
            basis=Basis(version, "centre" if mode == "online" else "cached"),
            before=before,
            account=None if cash else account,
            acct_scope=scope,
            rounding=city.rounding,
            lines=bill,
            split=split,
        )
        return self.write(edit(data), Person(who.certno, who.card.card_no, SALT))

    def refund(self, original: Sent) -> Sent:
        """Takes a settlement back; the accumulators after it are the centre's to know."""
        source = msgspec.json.decode(original.data, type=Event).data
        assert isinstance(source, Settlement)
        split = refund_of(source.split, source.before.inscope, source.before.big)
        data = Refund(
            original=original.id,
            mdtrt_id=source.mdtrt_id,
            fixmedins_code=source.fixmedins_code,
            opter="02",
            person_hash=source.person_hash,
            split=split,
        )
        return self.write(data, original.person)

    def refuse(self, number: str = "-52", step: str = "pin", sw: str | None = "6983") -> Sent:
        """A visit that ended without money."""
        return self.write(Refusal(number=number, step=step, sw=sw, med_type="11"), None)

    def pin_service(self, **fields: Any) -> Sent:
        """What was done to a PIN."""
        return self.write(PinService(**{"service": "reset", "state": "done", "opter": "02"} | fields), None)

    def write(self, data: EventData, person: Person | None) -> Sent:
        """The next event of the chain."""
        self.end += 1
        event = Event(
            id=event_id(self.id, self.record.epoch, self.end),
            source=self.id,
            type=f"ssc.{data.__struct_config__.tag}",  # type: ignore[arg-type]
            time=rfc3339(self._centre.clock.now),
            prev=self._head,
            clock=Stamp(self._centre.clock.monotonic_ms(), "boot", self.trusted),
            data=data,
        )
        sent = Sent(event.id, encode_event(event), person)
        self._head = event_hash(sent.data)
        return sent

    def frame(self, *events: Sent) -> bytes:
        """A signed frame of consecutive events."""
        frame = Frame(
            terminal=self.id,
            epoch=self.record.epoch,
            entries=tuple(Entry(msgspec.Raw(each.data), each.person) for each in events),
            signature=sign_event(self._key, event_hash(events[-1].data)),
        )
        return msgspec.json.encode(frame)

    def send(self, *events: Sent) -> None:
        """Hand a frame to the inbox."""
        self._centre.take(topic(self.id, "event"), self.frame(*events))

    def presence(self, state: str = "birth", oldest: datetime | None = None, **parts: Any) -> None:
        """Say that the terminal is there, or that its connection was lost."""
        presence = Presence(
            state=state,  # type: ignore[arg-type]
            incarnation="1",
            epoch=self.record.epoch,
            end=self.end,
            oldest=None if oldest is None else rfc3339(oldest),
            time=rfc3339(self._centre.clock.now),
            **({"software": "0.1.0", "profile": "110000@2026-01-01", "reader": "ready"} | parts),
        )
        self._centre.take(topic(self.id, "presence"), msgspec.json.encode(presence))


class Centre:
    """The centre's store, its people and its clock."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.clock = FakeClock(now)
        self.store = Store.open(f"sqlite:///{folder / DATABASE}")
        self.people: dict[str, PersonFile] = {path.stem: read_person(path) for path in sorted(PEOPLE.glob("*.toml"))}
        self._random = 0

    def meet(self) -> None:
        """Take all the people in."""
        with self.store.write() as connection:
            for person in self.people.values():
                import_person(connection, person)

    def enrol(
        self, terminal: str, name: str, *, city: str = "110000", fixmedins_code: str = "H11010200001"
    ) -> Terminal:
        """A new terminal, or a new epoch of a known one."""
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(terminal.encode()).digest())
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        now_ms = millis(self.clock.now)
        with self.store.write() as connection:
            code = add_terminal(
                connection,
                terminal,
                fixmedins_code=fixmedins_code,
                fixmedins_name=name,
                city=city,
                role="counter",
                random=self._bytes,
                now_ms=now_ms,
            )
            record = enrol(connection, EnrolmentRequest(code, public), Enrolment("00" * 32, (), self._bytes), now_ms)
        return Terminal(self, key, record)

    def take(self, full_topic: str, payload: bytes) -> None:
        """One message, in one transaction, as the inbox does."""
        with self.store.write() as connection:
            message = Message(full_topic, payload, False, 1, 0)
            take_message(connection, message, millis(self.clock.now), pass_by)

    def standing(self, who: PersonFile) -> tuple[int, Accumulators, int | None]:
        """Version and accumulators of a person, and the account."""
        with self.store.read() as connection:
            key = person_id(connection, who.certno)
            assert key is not None
            found = standing(connection, PersonYear(key, who.insurance.insutype, 2026))
            return found.version, found.amounts, balance(connection, key)

    def marks(self) -> dict[str, int]:
        """Up to where each terminal's events stand."""
        with self.store.read() as connection:
            return {row.terminal: row.mark_seq for row in connection.execute(select(enrolments))}

    def app(self, *, connected: Callable[[], bool] = lambda: True) -> Any:
        """The operator pages over this store."""
        return create_app(self.store, self.clock, connected=connected)

    def client(self, *, connected: Callable[[], bool] = lambda: True) -> TestClient:
        """A browser on this machine."""
        return TestClient(self.app(connected=connected), base_url="http://127.0.0.1", raise_server_exceptions=False)

    def _bytes(self, count: int) -> bytes:
        self._random += 1
        return hashlib.sha512(str(self._random).encode()).digest()[:count]


def one_fen_more(data: Settlement) -> Settlement:
    """A total that is not the sum of its parts."""
    return msgspec.structs.replace(
        data, split=msgspec.structs.replace(data.split, medfee_sumamt=data.split.medfee_sumamt + 1)
    )


class Morning(NamedTuple):
    """What happened at the centre of `morning`."""

    centre: Centre
    clinic: Terminal
    pharmacy: Terminal
    away: Terminal
    first: Sent
    refunded: Sent
    refund: Sent
    provisional: Sent
    refused: Sent
    quarantined: Sent


def move(morning: Morning, old: Path, new: Path) -> Morning:
    """The same morning on a copy of its store; the old one is closed."""
    shutil.copy(old / DATABASE, new / DATABASE)
    centre = Centre(new, morning.centre.clock.now)
    clinic, pharmacy, away = (each.at(centre) for each in (morning.clinic, morning.pharmacy, morning.away))
    return morning._replace(centre=centre, clinic=clinic, pharmacy=pharmacy, away=away)


def play_morning(centre: Centre) -> Morning:
    """Fifty minutes of a centre with three terminals, ending at noon."""
    clinic = centre.enrol("110102-0001", "示范社区卫生服务中心")
    pharmacy = centre.enrol("990101-0007", "示范大药房 · 西城店", city="990101", fixmedins_code="P99010100007")
    away = centre.enrol("110102-0031", "示范医院门诊部", fixmedins_code="H11010200031")
    for terminal in (clinic, pharmacy, away):
        terminal.presence()
    centre.clock.move(60)

    def at_once(terminal: Terminal, sent: Sent, after_s: float) -> Sent:
        centre.clock.move(0.12)
        terminal.send(sent)
        centre.clock.move(after_s)
        return sent

    basis = centre.standing(centre.people["employee"])[:2]
    first = at_once(clinic, clinic.settle("employee", ("X1001", "2"), ("X1002", "2")), 240)
    at_once(pharmacy, pharmacy.settle("pharmacy", ("X1003", "2"), med_type="41"), 200)
    refunded = at_once(clinic, clinic.settle("retired", ("X1005", "4")), 180)
    at_once(away, away.settle("resident", ("X1004", "1")), 240)
    refund = at_once(clinic, clinic.refund(refunded), 150)
    for _ in range(3):
        refused = at_once(pharmacy, pharmacy.refuse(), 20)

    provisional = away.settle("employee", ("X1002", "1"), mode="provisional", basis=basis)
    at_once(clinic, clinic.settle("employee", ("X1002", "3")), 300)
    at_once(clinic, clinic.settle("locked", ("X1001", "1"), mode="full_cash"), 240)
    away.send(provisional)
    centre.clock.move(120)
    at_once(clinic, clinic.settle("resident", ("X1001", "3"), ("X1005", "1")), 200)
    quarantined = at_once(clinic, clinic.settle("employee", ("X1001", "1"), edit=one_fen_more), 100)
    away.presence("death")
    centre.take(topic("990101-9999", "event"), b"{}")
    centre.clock.now = NOON
    clinic.presence()
    pharmacy.presence()
    return Morning(centre, clinic, pharmacy, away, first, refunded, refund, provisional, refused, quarantined)
