"""Random mornings at a counter: whatever happens in whatever order, these never break."""

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from host_bridge.counter.view import CounterView
from host_bridge.counter.visit import NotNow
from host_bridge.journal.chain import Stored
from host_bridge.printer.printer import PaperOut
from protocols.events.events import Refund, Settlement
from protocols.settlement.bill import FeeLine
from protocols.settlement.split import BillError, broken_identities
from tests.host_bridge.counter.till import Till

PEOPLE = {"pharmacy": "271828", "locked": "662607"}
SECRETS = ("990101197108240034", "990101199307160052", "陈演示", "周练习", "陈＊示", "周＊习")
MED_TYPES = st.sampled_from(["41", "11", "13", "12", "21"])
LINES = st.lists(
    st.builds(
        FeeLine,
        chrgitm_lv=st.sampled_from(["01", "02", "03"]),
        pric=st.integers(1, 50000).map(lambda fen: f"{fen // 100}.{fen % 100:02d}"),
        cnt=st.integers(1, 9).map(str),
        selfpay_prop=st.just("0.10"),
    ),
    min_size=1,
    max_size=3,
)
NAMES = st.sampled_from(sorted(PEOPLE))
REASONS = st.sampled_from(["not_shown", "pin_locked", "card_unreadable", "arrears", "centre_away", "nonsense"])


class Morning(RuleBasedStateMachine):
    """One counter where the PIN is asked; people come, try, and go."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ssc-till-"))
        self.till = Till(self.folder, "990101", "P99010100007")
        self.card = ""
        self.visit_began = 0
        self.till.counter.subscribe(self.look)
        for name in PEOPLE:
            self.card_in(name)
            self.card_out()

    def look(self, view: CounterView) -> None:
        """At every single picture: what is shown as a result is in the journal."""
        if view.result is not None:
            stored = self.till.journal.find(view.result.event_id)
            assert stored is not None
            assert view.split is not None
            assert isinstance(stored.event.data, Settlement | Refund)
            assert view.split.split == stored.event.data.split
        if view.stage in {"idle", "stopped"}:
            assert not [secret for secret in SECRETS if secret in msgspec.json.encode(view).decode()]
        assert json.loads(msgspec.json.encode(view))["stage"] == view.stage

    @precondition(lambda self: not self.card)
    @rule(name=NAMES)
    def card_in(self, name: str) -> None:
        if (kept := self.folder / f"{name}.card").exists():
            kept.replace(self.till.slot)
            self.till.counter.poll()
        else:
            self.till.person(name)
        self.card = name

    @precondition(lambda self: self.card)
    @rule()
    def card_out(self) -> None:
        self.till.slot.replace(self.folder / f"{self.card}.card")
        with_card = self.till.counter._visit.with_card
        self.till.counter.poll()
        self.card = ""
        if with_card:
            assert self.till.view.stage == "idle"
            assert self.till.view.person is None

    @precondition(lambda self: self.card)
    @rule()
    def card_pulled_unseen(self) -> None:
        """The card is out before the counter has looked."""
        self.till.slot.replace(self.folder / f"{self.card}.card")
        self.card = ""

    @rule(name=NAMES, med_type=MED_TYPES, lines=LINES, steps=st.integers(4, 8))
    def whole_visit(self, name: str, med_type: str, lines: list[FeeLine], steps: int) -> None:
        self.as_usual(name, med_type, lines, steps)

    @rule(name=NAMES, med_type=MED_TYPES, lines=LINES, steps=st.integers(1, 4))
    def part_of_a_visit(self, name: str, med_type: str, lines: list[FeeLine], steps: int) -> None:
        self.as_usual(name, med_type, lines, steps)

    @rule(name=NAMES, lines=LINES)
    def without_the_centre(self, name: str, lines: list[FeeLine]) -> None:
        self.centre(up=False)
        self.as_usual(name, "41", lines, 8)

    def as_usual(self, name: str, med_type: str, lines: list[FeeLine], steps: int) -> None:
        """The next few things a clerk and a holder would do, so that visits get somewhere."""
        for _ in range(steps):
            stage = self.till.view.stage
            if stage == "idle" and not self.card:
                self.card_in(name)
            elif stage == "pin":
                self.pin(right=True)
            elif stage == "bill":
                self.bill(med_type, lines)
            elif stage == "presettled":
                self.settle(again=False)
            elif self.card:
                self.card_out()
            else:
                self.other("finish")

    @rule(right=st.booleans())
    def pin(self, right: bool) -> None:
        digits = bytearray(PEOPLE.get(self.card, "000000").encode()) if right else bytearray(b"998877")
        with suppress(NotNow):
            self.till.counter.enter_pin(digits)
        assert not any(digits)

    @rule(right=st.booleans(), same=st.booleans())
    def change_pin(self, right: bool, same: bool) -> None:
        """To the PIN it was, so that everybody still knows it."""
        own = PEOPLE.get(self.card, "000000")
        entered = [bytearray(pin.encode()) for pin in (own if right else "998877", own, own if same else "112233")]
        before = self.till.view
        try:
            self.till.counter.change_pin(*entered)
        except NotNow:
            assert self.till.view.pin == before.pin
        assert not any(map(any, entered))

    @rule(med_type=MED_TYPES, lines=LINES)
    def bill(self, med_type: str, lines: list[FeeLine]) -> None:
        before = len(self.till.stored())
        with suppress(NotNow, BillError):
            self.till.counter.enter_bill(med_type, lines)
        assert len(self.money()) == len([each for each in self.till.stored()[:before] if is_money(each)])

    @rule(again=st.booleans())
    def settle(self, again: bool) -> None:
        money, quote = len(self.money()), self.till.view.split
        presettled = self.till.view.stage == "presettled"
        for _ in range(1 + again):
            try:
                self.till.counter.settle()
            except NotNow:
                break
        made = self.money()[money:]
        assert len(made) <= presettled
        for each in made:
            assert quote is not None
            assert isinstance(each.event.data, Settlement)
            assert each.event.data.split == quote.split
            assert each.event.data.mode == quote.mode
            assert self.till.view.stage == "done"

    @rule(reason=REASONS)
    def full_cash(self, reason: str) -> None:
        with suppress(NotNow):
            self.till.counter.full_cash(reason)

    @rule(action=st.sampled_from(["cancel", "finish", "print_guide", "begin_change", "keep_pin", "ask_pad"]))
    def other(self, action: str) -> None:
        with suppress(NotNow):
            getattr(self.till.counter, action)()

    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        stored = self.till.stored()
        if not stored:
            return
        chosen = data.draw(st.sampled_from([each.id for each in stored]))
        before = self.till.journal.refund_of(chosen)
        try:
            self.till.counter.refund(chosen)
        except NotNow:
            return
        assert before is None
        assert self.till.journal.refund_of(chosen) is not None

    @rule(data=st.data())
    def reprint(self, data: st.DataObject) -> None:
        if self.money():
            with suppress(NotNow):
                self.till.counter.reprint(data.draw(st.sampled_from([each.id for each in self.money()])))

    @rule(up=st.booleans())
    def centre(self, up: bool) -> None:
        self.till.centre.up = up
        self.till.counter.poll()

    @rule(out=st.booleans())
    def paper(self, out: bool) -> None:
        self.till.printer.trouble = PaperOut("list", "no paper") if out else None

    @rule()
    def receipt(self) -> None:
        self.till.receipt()

    @invariant()
    def money_is_sound(self) -> None:
        if not hasattr(self, "till"):
            return
        refunded = [each.event.data.original for each in self.money() if isinstance(each.event.data, Refund)]
        assert len(refunded) == len(set(refunded))
        for each in self.money():
            assert isinstance(each.event.data, Settlement | Refund)
            assert broken_identities(each.event.data.split) == ()
        view = self.till.view
        splits = [each.event.data.split for each in self.money() if isinstance(each.event.data, Settlement | Refund)]
        assert view.today.fund_fen == sum(split.fund_pay_sumamt for split in splits)
        assert view.today.cash_fen == sum(split.psn_cash_pay for split in splits)

    @invariant()
    def every_first_print_is_unmarked_and_single(self) -> None:
        if not hasattr(self, "till"):
            return
        firsts = [slip for slip in self.till.printer.slips if "补打" not in slip and "#110102-0012/1/" in slip]
        ids = [slip.split("#")[1].split(" ")[0] for slip in firsts]
        assert len(ids) == len(set(ids))

    def money(self) -> list[Stored]:
        return [each for each in self.till.stored() if is_money(each)]

    def teardown(self) -> None:
        if hasattr(self, "till"):
            self.till.close()
            shutil.rmtree(self.folder)


def is_money(stored: Stored) -> bool:
    return isinstance(stored.event.data, Settlement | Refund)


TestMorning = Morning.TestCase
TestMorning.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
