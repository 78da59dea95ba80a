"""What the journal tells the counter: limits, sums of the day, what the centre has, who is remembered."""

from datetime import date
from typing import NamedTuple

from host_bridge.counter.decide import Known, Standing, known_of
from host_bridge.counter.view import PastView, TodayView, UploadView
from host_bridge.journal.chain import Stored
from host_bridge.journal.journal import Journal
from protocols.events.clock import SHANGHAI, Clock, business_day, rfc3339
from protocols.events.events import Refund, Settlement
from protocols.events.frames import Person, PersonAnswer
from protocols.settlement.bill import Accumulators


class Summary(NamedTuple):
    """What the page always shows, as of a business day, the journal's end and the centre's mark."""

    day: str
    end: int
    mark_seq: int
    upload: UploadView
    today: TodayView


class Books:
    """Questions to one journal; every call may raise `JournalBroken`."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    def today(self) -> date:
        """The business day, Asia/Shanghai."""
        return self._journal.now().astimezone(SHANGHAI).date()

    def time(self) -> str:
        """Now, RFC 3339."""
        return rfc3339(self._journal.now())

    def standing(self, certno: str) -> Standing:
        """Backlog, clock and this person's provisional bills of the day that were not taken back."""
        now, day = self._journal.now(), self._day()
        taken_back = {each.event.data.original for each in day if isinstance(each.event.data, Refund)}
        spent = sum(
            each.event.data.split.medfee_sumamt
            for each in day
            if isinstance(each.event.data, Settlement)
            and each.event.data.mode == "provisional"
            and each.person is not None
            and each.person.certno == certno
            and each.id not in taken_back
        )
        return Standing(now, self._clock.trusted(), self._journal.backlog(), spent)

    def learn(self, certno: str, answer: PersonAnswer) -> Known:
        """Keep the centre's answer and give it with this terminal's own bills since."""
        self._journal.remember_person(certno, answer)
        return known_of(self._journal.recall_person(certno), "centre")

    def recall(self, certno: str) -> Known:
        """What is remembered of a person."""
        return known_of(self._journal.recall_person(certno), "cached")

    def current(self, person: Person | None, settled: Settlement) -> Accumulators:
        """The person's accumulators as last known here, otherwise as this settlement left them."""
        if person is not None and settled.mode != "full_cash":
            known = self.recall(person.certno)
            if known.answer is not None and known.answer.year == settled.year:
                return known.accumulators
        return Accumulators(settled.split.after_inscope, settled.split.after_big)

    def summary(self, last: Summary | None) -> Summary:
        """The sums of the day and the backlog; `last` again while the journal has not changed."""
        mark = self._journal.mark.seq
        day, end = business_day(self._journal.now()), self._journal.end
        if last is not None and last[:3] == (day, end, mark):
            return last
        backlog = self._journal.backlog()
        newest = self._journal.after(mark - 1, 1) if mark else []
        oldest = None if backlog.oldest_time is None else rfc3339(backlog.oldest_time)
        upload = UploadView(backlog.count, oldest, newest[0].event.time if newest else None)
        return Summary(day, end, mark, upload, self._totals())

    def past(self) -> tuple[PastView, ...]:
        """Settlements and refunds of today, newest first."""
        mark = self._journal.mark.seq
        return tuple(_past(each, self._journal, mark) for each in reversed(self._day()))

    def _totals(self) -> TodayView:
        """Settlements of today and what fund and cash came to, refunds taken off."""
        money = [each.event.data for each in self._day()]
        parts = [data.split for data in money if isinstance(data, Settlement | Refund)]
        return TodayView(
            settled=sum(isinstance(data, Settlement) for data in money),
            fund_fen=sum(split.fund_pay_sumamt for split in parts),
            cash_fen=sum(split.psn_cash_pay for split in parts),
        )

    def _day(self) -> list[Stored]:
        return self._journal.settlements(business_day(self._journal.now()))


def _past(stored: Stored, journal: Journal, mark_seq: int) -> PastView:
    data = stored.event.data
    if not isinstance(data, Settlement | Refund):
        raise TypeError("neither settlement nor refund")
    settled = isinstance(data, Settlement)
    return PastView(
        event_id=stored.id,
        kind="settlement" if settled else "refund",
        time=stored.event.time,
        mdtrt_id=data.mdtrt_id,
        medfee_fen=data.split.medfee_sumamt,
        psn_part_fen=data.split.psn_part_amt,
        mode=data.mode if isinstance(data, Settlement) else "refund",
        refunded=settled and journal.refund_of(stored.id) is not None,
        received=stored.seq <= mark_seq,
    )
