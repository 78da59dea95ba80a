"""Plays a morning at a site as clerks and patients would: cards into slots, buttons of the clerk page."""

import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from hardware.virtual.processes import SiteError
from hardware.virtual.site import PEOPLE, Counter, Site

MORNING = Path(__file__).with_name("morning.toml")
UPLOADED_WITHIN_S = 60.0

Ending = Literal["settled", "refused", "refunded"]


class Bill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Catalogue items and how many of each."""

    med_type: str
    lines: dict[str, str]


class Visit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One patient at one counter. `full_cash` is the reason a refused visit goes on with.

    `refund` names an earlier visit of the same counter that is taken back; `offline` visits happen without the broker.
    """

    name: str
    terminal: str
    card: str | None = None
    bill: Bill | None = None
    pins: tuple[Literal["right", "wrong"], ...] = ()
    full_cash: str | None = None
    refund: str | None = None
    offline: bool = False
    ends: Ending
    number: str | None = None


class Morning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The counters of a site and the visits in their order."""

    counter: list[dict[str, str]]
    visit: list[Visit]


def load_morning(path: Path = MORNING) -> Morning:
    """The script of a morning."""
    return msgspec.toml.decode(path.read_bytes(), type=Morning)


class Player:
    """Plays visits at a running site; `say` gets one line a visit, `pace_s` leaves time to watch."""

    def __init__(self, site: Site, say: Callable[[str], None], pace_s: float = 0.0) -> None:
        self._site, self._say, self._pace_s = site, say, pace_s
        self._events: dict[str, str] = {}
        self._online = True
        self.first_settlement_s: float | None = None

    def play(self, visits: list[Visit]) -> int:
        """All visits in order, then the upload; how many were played. `SiteError` where one ends otherwise."""
        started = time.monotonic()
        for visit in visits:
            if visit.offline == self._online:
                self._switch(online=not visit.offline)
            counter = self._site.counters[visit.terminal]
            state = self._refund(counter, visit) if visit.refund else self._visit(counter, visit)
            if self.first_settlement_s is None and visit.ends == "settled":
                self.first_settlement_s = time.monotonic() - started
            self._say(_told(visit, state))
        if not self._online:
            self._switch(online=True)
        self.wait_uploaded()
        return len(visits)

    def wait_uploaded(self) -> None:
        """Until the centre has receipted everything."""
        for counter in self._site.counters.values():
            counter.wait("the centre's receipt", lambda state: state["upload"]["backlog"] == 0, UPLOADED_WITHIN_S)

    def _switch(self, *, online: bool) -> None:
        if online:
            self._site.start_broker()
        else:
            self.wait_uploaded()
            self._site.stop_broker()
        wanted = "ready" if online else "away"
        for counter in self._site.counters.values():
            counter.wait(f"the centre to be {wanted}", lambda state: (state["centre"]["state"] == "ready") == online)
        self._online = online
        self._say(
            "—— 中心恢复 · The line to the centre is back ——"
            if online
            else "—— 中心断线 · The line to the centre is cut ——"
        )

    def _visit(self, counter: Counter, visit: Visit) -> dict[str, Any]:
        counter.wait_idle()
        if visit.card:
            self._site.insert(counter.terminal, visit.card)
            state = counter.wait("the card to be read", lambda state: state["stage"] in {"pin", "bill", "refused"})
        else:
            state = counter.state()
        self._pause()
        for pin in visit.pins:
            state = counter.post("pin", {"pin": self._digits(visit.card, right=pin == "right")})
            self._pause()
        if visit.full_cash:
            state = counter.post("full_cash", {"reason": visit.full_cash})
        if visit.bill is not None and state["stage"] != "refused":
            lines = [{"code": code, "cnt": cnt} for code, cnt in visit.bill.lines.items()]
            state = counter.post("bill", {"med_type": visit.bill.med_type, "lines": lines})
            self._pause()
        if state["stage"] == "presettled":
            state = counter.post("settle", {})
        state = self._ended(counter, visit, state)
        if visit.card:
            self._site.remove(counter.terminal, visit.card)
        else:
            counter.post("finish", {})
        counter.wait_idle()
        return state

    def _refund(self, counter: Counter, visit: Visit) -> dict[str, Any]:
        counter.wait_idle()
        state = counter.post("refund", {"event_id": self._events[visit.refund or ""]})
        state = self._ended(counter, visit, state)
        counter.post("finish", {})
        return state

    def _ended(self, counter: Counter, visit: Visit, state: dict[str, Any]) -> dict[str, Any]:
        wanted = "refused" if visit.ends == "refused" else "done"
        if state["stage"] not in {"settling", wanted}:
            raise SiteError(f"{visit.name}: {state['stage']} {state.get('refusal')} {state.get('error')}, not {wanted}")
        if wanted == "refused":
            if visit.number and state["refusal"]["number"] != visit.number:
                raise SiteError(f"{visit.name}: refused with {state['refusal']['number']}, not {visit.number}")
            return state
        state = counter.wait("the receipt", lambda state: state["stage"] == "done" and state["result"]["printed"])
        self._events[visit.name] = state["result"]["event_id"]
        self._pause()
        return state

    def _digits(self, card: str | None, *, right: bool) -> str:
        digits: str = tomllib.loads((PEOPLE / f"{card}.toml").read_text())["card"]["pin"]
        return digits if right else "".join(str((int(digit) + 1) % 10) for digit in digits)

    def _pause(self) -> None:
        if self._pace_s:
            time.sleep(self._pace_s)


def _told(visit: Visit, state: dict[str, Any]) -> str:
    person = (state.get("person") or {}).get("name", "")
    if visit.ends == "refused":
        refusal = state["refusal"]
        words = f"{refusal['zh']['title']} · {refusal['en']['title']}"
        return f"{visit.terminal}  {person:　<4}  拒绝 {refusal['number']} {words}"
    split = state["split"]["split"]
    mode = {"online": "", "provisional": "  临时 · provisional", "full_cash": "  全额现金 · full cash"}[
        state["split"]["mode"]
    ]
    word = "退费" if visit.ends == "refunded" else "结算"
    fund, part = (f"{split[name] / 100:.2f}" for name in ("fund_pay_sumamt", "psn_part_amt"))
    return f"{visit.terminal}  {person:　<4}  {word} {split['medfee_sumamt'] / 100:.2f}  基金 {fund}  个人 {part}{mode}"
