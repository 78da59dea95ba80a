"""A counter with all around it: real journal, split and card; a centre and a printer that do as they are told."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hardware.virtual.people import GALLERY, VirtualPerson, load_person, make_card
from hardware.virtual.pressed_keys import Keys
from host_bridge.card.security_module import SecurityModule
from host_bridge.counter.counter import Counter
from host_bridge.counter.view import CounterView
from host_bridge.journal.chain import Stored
from host_bridge.journal.journal import Journal
from host_bridge.printer.printer import PrinterError, PrinterState
from host_bridge.readers.virtual import VirtualReader
from protocols.events.clock import SHANGHAI, rfc3339
from protocols.events.events import Event, PinService, Refund, Refusal, Settlement
from protocols.events.frames import Answer, Broker, EnrolmentRecord, PersonAnswer, Query, Receipt
from protocols.events.topics import bucket
from protocols.settlement.bill import Accumulators, FeeLine
from protocols.settlement.catalogue import load_catalogue
from protocols.settlement.money import fen
from protocols.settlement.profile import load_city

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=SHANGHAI)
D2_LINES = (FeeLine("01", "250.00", "1"), FeeLine("02", "166.67", "1", selfpay_prop="0.10"))
"""settlement.md C.4 D2."""


class HandClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now, self.ms, self.sure = NOON, 1_000, True

    def wall(self) -> datetime:
        return self.now

    def monotonic_ms(self) -> int:
        return self.ms

    def boot_id(self) -> str:
        return "boot"

    def trusted(self) -> bool:
        return self.sure


class Status(msgspec.Struct, frozen=True):
    listening: bool
    ms: int | None


class ToldCentre:
    """Answers from `answers` while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.answers: dict[str, Answer] = {}
        self.woken = 0
        self.on_ask: Callable[[], None] = lambda: None

    @property
    def centre(self) -> Status:
        return Status(self.up, 86 if self.up else None)

    def ask(self, query: Query, timeout_s: float) -> Answer | None:
        self.on_ask()
        return self.answers.get(query.certno) if self.up else None

    def wake(self) -> None:
        self.woken += 1


class ListPrinter:
    """Keeps what was printed, as text; fails with `trouble`."""

    address = "list"

    def __init__(self) -> None:
        self.slips: list[str] = []
        self.trouble: PrinterError | None = None

    def state(self) -> PrinterState:
        return "ready" if self.trouble is None else "away"

    def print(self, data: bytes) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.slips.append(data.decode("gb18030", "replace"))


def answer_of(person: VirtualPerson, **change: Any) -> PersonAnswer:
    """What the centre says of a gallery person."""
    centre = person.centre
    answer = PersonAnswer(
        insutype=person.insurance.insutype,
        psn_type=centre.psn_type or person.insurance.psn_type,
        psn_insu_stas=centre.psn_insu_stas,
        insuplc_admdvs=person.insurance.insuplc_admdvs,
        balc=None if centre.balc is None else fen(centre.balc),
        card_state=centre.card_state,
        default_pin=centre.default_pin,
        year=centre.year,
        version=7,
        accumulators=Accumulators(fen(centre.inscope), fen(centre.big)),
    )
    return msgspec.structs.replace(answer, **change)


class Till:
    """One counter of a city; cards go in and out, and every picture that was shown is kept."""

    def __init__(
        self,
        folder: Path,
        city: str = "110000",
        fixmedins_code: str = "H11010200012",
        keys: Keys | None = None,
        *,
        compares: bool = True,
    ) -> None:
        """`keys` are those of a PIN pad, which `compares` with forbidden PINs."""
        self.folder = folder
        self.key, self.clock = Ed25519PrivateKey.generate(), HandClock()
        self.centre, self.printer = ToldCentre(), ListPrinter()
        record = EnrolmentRecord(
            terminal="110102-0012",
            epoch=1,
            bucket=bucket("110102-0012"),
            role="counter",
            fixmedins_code=fixmedins_code,
            fixmedins_name="示范社区卫生服务中心",
            city=city,
            public_key=self.key.public_key().public_bytes_raw().hex(),
            brokers=(Broker("127.0.0.1", 1),),
            mqtt_password="secret",
            receipt_key=self.key.public_key().public_bytes_raw().hex(),
            time="2026-11-21T08:00:00.000+08:00",
        )
        self.steps: list[tuple[str, str]] = []
        self.journal = Journal.create(
            folder / "journal.db",
            msgspec.json.encode(record),
            self.key,
            self.clock,
            secret=bytes(32),
            on_step=self._step,
        )
        self.slot = folder / "slot.card"
        self.reader: Any = VirtualReader(str(self.slot), keys, compares=compares)
        self.security: SecurityModule | None = None
        self.salts = 0
        self.shown: list[CounterView] = []
        self.counter = self.make_counter(city)

    def make_counter(self, city: str) -> Counter:
        counter = Counter(
            reader=self,
            city=load_city(city, NOON.date(), simulated=True),
            catalogue=load_catalogue(),
            journal=self.journal,
            link=self.centre,
            printer=self.printer,
            clock=self.clock,
            clerk="05",
            salt=self._salt,
            on_step=self._step,
            security=self.security,
        )
        counter.subscribe(self.shown.append)
        return counter

    # the reader, so that a test can put another in its place
    address = "virtual:test"

    @property
    def pin_pad(self) -> Any:
        return self.reader.pin_pad

    def card_present(self) -> bool:
        present: bool = self.reader.card_present()
        return present

    def connect(self) -> Any:
        return self.reader.connect()

    def close(self) -> None:
        self.counter.stop()
        self.reader.close()
        self.journal.close()

    @property
    def view(self) -> CounterView:
        return self.counter.view()

    def person(
        self,
        name: str,
        *,
        known: bool = True,
        poll: bool = True,
        card: dict[str, Any] | None = None,
        insurance: dict[str, Any] | None = None,
        **change: Any,
    ) -> VirtualPerson:
        """Put a gallery person's card in, and let the counter see it; the centre knows them with these changes."""
        person = load_person(GALLERY / f"{name}.toml")
        if card:
            person = msgspec.structs.replace(person, card=msgspec.structs.replace(person.card, **card))
        if insurance:
            person = msgspec.structs.replace(person, insurance=msgspec.structs.replace(person.insurance, **insurance))
        if known:
            self.centre.answers[person.certno] = answer_of(person, **change)
        draft = self.folder / "draft.card"
        make_card(person, draft)
        draft.replace(self.slot)
        if poll:
            self.counter.poll()
        return person

    def stage(self) -> str:
        return self.view.stage

    def take(self) -> None:
        """Take the card out."""
        self.slot.unlink(missing_ok=True)
        self.counter.poll()

    def pin(self, digits: str) -> bytearray:
        """Enter a PIN; what is left of the digits."""
        entered = bytearray(digits.encode())
        self.counter.enter_pin(entered)
        return entered

    def stored(self) -> list[Stored]:
        return self.journal.after(0, 1000)

    def events(self) -> list[Event]:
        return [each.event for each in self.stored()]

    def settlements(self) -> list[Settlement]:
        return [each.data for each in self.events() if isinstance(each.data, Settlement)]

    def refunds(self) -> list[Refund]:
        return [each.data for each in self.events() if isinstance(each.data, Refund)]

    def refusals(self) -> list[Refusal]:
        return [each.data for each in self.events() if isinstance(each.data, Refusal)]

    def pin_services(self) -> list[PinService]:
        return [each.data for each in self.events() if isinstance(each.data, PinService)]

    def receipt(self) -> None:
        """The centre has everything."""
        tail = self.journal.tail
        self.journal.apply_receipt(
            Receipt(terminal="110102-0012", epoch=1, seq=tail.seq, hash=tail.hash, time=rfc3339(self.clock.now))
        )
        self.counter.poll()

    def _salt(self) -> str:
        self.salts += 1
        return f"{self.salts:032x}"

    def _step(self, step: str) -> None:
        stage = self.counter.view().stage if hasattr(self, "counter") else ""
        self.steps.append((step, stage))


def nobody_in(till: Till, *secrets: str) -> None:
    """Nothing of a person is left in the picture."""
    picture = msgspec.json.encode(till.view).decode()
    assert till.view.person is None
    assert not [secret for secret in secrets if secret in picture]
