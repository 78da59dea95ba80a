"""One visit as a pure state machine: every event gives the next `Visit`, nothing is read or written here."""

from dataclasses import dataclass, field, replace

from host_bridge.card.session import Holder, Insurance, Issuer
from host_bridge.counter.bill import Quote
from host_bridge.counter.decide import NOTHING, Insured, Known, insured_by
from host_bridge.counter.view import Action, PadState, Stage, Step
from host_bridge.journal.chain import Stored
from protocols.events.events import Settlement
from protocols.settlement.bill import FeeLine

POSSIBLE: dict[Action, frozenset[Stage]] = {
    "pin": frozenset({"pin"}),
    "ask_pad": frozenset({"pin", "change"}),
    "begin_change": frozenset({"pin", "bill", "presettled", "refused"}),
    "change_pin": frozenset({"change"}),
    "keep_pin": frozenset({"change"}),
    "bill": frozenset({"idle", "bill", "presettled"}),
    "settle": frozenset({"presettled"}),
    "full_cash": frozenset({"idle", "pin", "bill", "presettled", "refused"}),
    "refund": frozenset({"idle"}),
    "reprint": frozenset({"idle", "done", "stopped"}),
    "print_guide": frozenset({"refused"}),
    "cancel": frozenset({"pin", "bill", "presettled"}),
    "finish": frozenset({"refused", "done"}),
}
"""What the clerk can do at which stage; a bill or full cash in idle begins a visit without a card."""


class NotNow(Exception):
    """An action that is not possible; nothing has changed. `key` is the catalogue text that says why, with `facts`."""

    def __init__(self, action: str, stage: Stage, key: str = "web_not_now", **facts: str) -> None:
        self.action, self.stage, self.key, self.facts = action, stage, key, facts
        super().__init__(f"{action} at {stage}: {key}")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the visit stops: catalogue key, placeholders, the step it stood at, the chip's status word, tries left."""

    key: str
    step: Step
    facts: dict[str, str] = field(default_factory=dict)
    sw: str | None = None
    tries: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """Everything of one visit; the default is the idle counter.

    `cash` is the catalogue key of the full-cash reason that was chosen or followed from a refusal; `outlook` that of
    why a bill would not be settled online. `tries` are the PIN tries left, None where the card has no PIN or was not
    asked; `pin_trouble` is the text, with facts, of why an entry at the reader's pad came to nothing. `change_here`:
    this counter may change the PIN. `original` is what a refund took back.
    """

    stage: Stage = "idle"
    step: Step = "insert"
    with_card: bool = False
    issuer: Issuer | None = None
    holder: Holder | None = None
    known: Known = NOTHING
    chip: Insurance | None = None
    pad: PadState = "none"
    change_here: bool = False
    pin_changed: bool = False
    pin_trouble: tuple[str, dict[str, str]] | None = None
    tries: int | None = None
    pin_wrong: bool = False
    pin_verified: bool = False
    pin_free: bool = False
    med_type: str = ""
    lines: tuple[FeeLine, ...] = ()
    cash: str | None = None
    quote: Quote | None = None
    quote_id: str = ""
    outlook: str | None = None
    notices: tuple[str, ...] = ()
    refused: Refused | None = None
    result: Stored | None = None
    original: Settlement | None = None

    @property
    def insured(self) -> Insured | None:
        """The insurance in force, if one is known."""
        return insured_by(self.chip, self.known)

    @property
    def pin_done(self) -> bool:
        """Whether the PIN was verified, or the card has none."""
        return self.pin_verified or self.pin_free

    def actions(self) -> tuple[Action, ...]:
        """What the clerk can do now."""
        return tuple(action for action in POSSIBLE if self.allows(action))

    def allows(self, action: Action) -> bool:
        """Whether the clerk can do this now: PINs are typed only where the reader has no pad."""
        if self.stage not in POSSIBLE[action]:
            return False
        if action in {"pin", "change_pin"}:
            return self.pad == "none"
        if action == "ask_pad":
            return self.pad == "idle"
        if action == "begin_change":
            other = self.refused is not None and self.refused.key != "pin_default"
            return self.change_here and not self.pin_free and self.cash is None and not other
        return True

    def takes_card(self, *, arrived: bool) -> bool:
        """Whether a card in the slot begins a visit now; the result of a visit without one makes way for a new card."""
        return self.stage == "idle" or (self.stage == "done" and not self.with_card and arrived)

    def card_in(self, med_type: str) -> "Visit":
        """A card was put in; `med_type` is the kind of care assumed until a bill says another."""
        return Visit(stage="reading", step="person", with_card=True, med_type=med_type)

    def without_card(self, med_type: str) -> "Visit":
        """A visit without a card: only full cash can come of it."""
        return Visit(stage="bill", step="bill", med_type=med_type)

    def issuer_read(self, issuer: Issuer) -> "Visit":
        """SSSE EF05 was read."""
        return replace(self, issuer=issuer)

    def holder_read(self, holder: Holder) -> "Visit":
        """SSSE EF06 was read."""
        return replace(self, holder=holder)

    def answered(self, known: Known) -> "Visit":
        """The centre answered, or something was remembered, or neither."""
        return replace(self, known=known)

    def pin_wanted(self, tries: int) -> "Visit":
        """The holder has to enter the PIN; `tries` are left."""
        return replace(self._asking(), stage="pin", step="pin", tries=tries)

    def pin_refused(self, tries: int) -> "Visit":
        """The chip refused the PIN, that of a change too; `tries` are left, at least one."""
        return replace(self._asking(), tries=tries, pin_wrong=True)

    def pin_right(self, chip: Insurance | None) -> "Visit":
        """The chip took the PIN; its insurance file, where it could be read."""
        return replace(self._settled_pin(), pin_verified=True, chip=chip)

    def changing(self, tries: int) -> "Visit":
        """The PIN is being changed; `tries` are left for the old one."""
        return replace(self._asking(), stage="change", step="pin", tries=tries)

    def keeping(self) -> "Visit":
        """The PIN stays as it is."""
        return self._settled_pin()

    def changed(self) -> "Visit":
        """The chip has the new PIN; it has not been verified."""
        return replace(self._settled_pin(), pin_changed=True, pin_verified=False, refused=None)

    def pad_asked(self) -> "Visit":
        """The reader's pad is to take the PIN, once more."""
        return self._asking()

    def pad_waits(self) -> "Visit":
        """The pad waits for the holder."""
        return replace(self, pad="waiting")

    def pad_came_to_nothing(self, key: str, facts: dict[str, str]) -> "Visit":
        """The entry ended without a PIN for the chip."""
        return replace(self, pad="idle", pin_trouble=(key, facts))

    def _asking(self) -> "Visit":
        pad: PadState = "none" if self.pad == "none" else "wanted"
        return replace(self, pad=pad, pin_wrong=False, pin_trouble=None)

    def _settled_pin(self) -> "Visit":
        """Nobody is asked for a PIN any more; the visit goes on."""
        pad: PadState = "none" if self.pad == "none" else "idle"
        return replace(self, stage="reading", pad=pad, pin_wrong=False, pin_trouble=None, tries=None)

    def without_pin(self) -> "Visit":
        """The card has no PIN to ask for (ssc-card.md 9.0)."""
        return replace(self, pin_free=True)

    def ready(self, outlook: str | None) -> "Visit":
        """Person known, the bill can be entered."""
        return replace(self, stage="bill", step="bill", outlook=outlook)

    def noticed(self, *keys: str) -> "Visit":
        """Texts to show that do not stop the visit; each once."""
        return replace(self, notices=tuple(dict.fromkeys([*self.notices, *keys])))

    def billed(self, med_type: str, lines: tuple[FeeLine, ...]) -> "Visit":
        """Another bill; what was computed before no longer counts."""
        return replace(self, stage="bill", step="bill", med_type=med_type, lines=lines, quote=None)

    def paid_in_cash(self, key: str) -> "Visit":
        """Goes on in full cash, because of a reason or of the refusal it stood at."""
        return replace(self, stage="bill", step="bill", cash=key, outlook=None, quote=None)

    def quoted(self, quote: Quote) -> "Visit":
        """Pre-settled: nothing is recorded yet."""
        return replace(self, stage="presettled", step="bill", quote=quote, outlook=quote.reason)

    def refuse(
        self, key: str, *, facts: dict[str, str] | None = None, sw: int | None = None, tries: int | None = None
    ) -> "Visit":
        """Stops here; it can end, or go on in full cash."""
        word = None if sw is None else f"{sw:04X}"
        refused = Refused(key, self.step, facts or {}, word, tries)
        return replace(self, stage="refused", refused=refused, quote=None)

    def card_lost(self, key: str) -> "Visit":
        """Stops here whatever becomes of the card; it can end, or go on as a visit without a card."""
        return Visit(step=self.step, med_type=self.med_type, lines=self.lines).refuse(key)

    def settling(self) -> "Visit":
        """The record is being written."""
        return replace(self, stage="settling", step="settle")

    def settled(self, result: Stored) -> "Visit":
        """Durable; the card can be taken."""
        return replace(self, stage="done", step="take", result=result)

    def refunded(self, result: Stored, original: Settlement) -> "Visit":
        """A past settlement was taken back, durably."""
        return Visit(stage="done", step="take", result=result, original=original)

    def stopped(self, refused: Refused) -> "Visit":
        """The journal does not write any more. Of the person nothing is kept."""
        return Visit(stage="stopped", refused=refused)
