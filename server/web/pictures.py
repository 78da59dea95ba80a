"""What the operator pages show: immutable pictures, the same for HTML, JSON and the live stream.

Money is fen, durations are seconds, moments are RFC 3339 in Shanghai. Nobody is named: a person is at most
their insurance kind, and numbers never get here.
"""

from typing import Literal

import msgspec

from protocols.settlement.bill import Split

Tone = Literal["quiet", "amber", "red"]
"""Red is a stop, amber wants a look, quiet needs nobody."""
LineKind = Literal["settlement", "refund", "refusal", "pin", "adjustment", "quarantine"]


class Both(msgspec.Struct, frozen=True):
    """Words in Chinese and English."""

    zh: str
    en: str


class Reason(msgspec.Struct, frozen=True):
    """Why something needs attention, in words, and the page that shows its cause."""

    tone: Tone
    text: Both
    link: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The six figures of the overview; money and counts are the business day's.

    `fund_fen` is what the funds pay with adjustments, `adjusted_fen` the adjustments' part of it.
    """

    online: int
    terminals: int
    oldest_s: int | None
    waiting_terminals: int
    waiting_events: int
    settled: int
    per_minute: int
    fund_fen: int
    adjusted_fen: int
    total_fen: int
    provisional: int
    full_cash: int
    differences: int
    differences_oldest: str | None


class StreamLine(msgspec.Struct, frozen=True, kw_only=True):
    """One arrival at the centre; `link` leads to its cause."""

    time: str
    kind: LineKind
    tone: Tone
    who: str
    words: tuple[Both, ...]
    amount_fen: int | None
    link: str


class Cursor(msgspec.Struct, frozen=True, order=True):
    """Up to where a viewer saw the stream: the newest booking, adjustment and quarantine (milliseconds)."""

    booking: int = 0
    adjustment: int = 0
    quarantined_ms: int = 0


class Minute(msgspec.Struct, frozen=True):
    """One minute of arrivals (`at` Unix seconds): settlements, median seconds from journal to ledger."""

    at: int
    settled: int
    latency_s: float | None


class Note(msgspec.Struct, frozen=True):
    """Something that happened at a minute of the chart."""

    at: int
    text: Both


class TerminalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal as the centre knows it. `waiting` counts journalled events that have not arrived."""

    id: str
    name: str
    city: Both
    role: str
    epoch: int | None
    state: Literal["online", "offline", "never"]
    since: str | None
    since_s: int | None
    waiting: int
    oldest_s: int | None
    mark: int
    profile: str
    catalogue: str
    software: str
    reader: str
    counter: str
    last: str | None
    last_mode: str | None
    last_link: str | None
    reasons: tuple[Reason, ...]
    tone: Tone


class Books(msgspec.Struct, frozen=True):
    """Whether the centre is in order.

    `off_fen` is 0 where the ledger adds up; `chained` events hang in unbroken chains, `gaps` chains wait for a missing
    one; `alarms` came in the last day; `listening`: the broker has the centre; `writing`: the
    store takes what arrives.
    """

    off_fen: int
    chained: int
    gaps: int
    alarms: int
    listening: bool
    writing: bool


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first page. `healthy` terminals need nobody; `attention` holds the first of the others."""

    time: str
    day: str
    books: Books
    figures: Figures
    minutes: tuple[Minute, ...]
    notes: tuple[Note, ...]
    healthy: int
    unwell: int
    attention: tuple[TerminalRow, ...]
    lines: tuple[StreamLine, ...]
    cursor: Cursor


class TerminalPage(msgspec.Struct, frozen=True):
    """One terminal and what came from it last."""

    row: TerminalRow
    lines: tuple[StreamLine, ...]
    alarms: tuple["Alarm", ...]


class SettlementRow(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement or refund in the ledger."""

    id: str
    kind: Literal["settlement", "refund"]
    time: str
    received: str
    terminal: str
    who: str
    med_type: Both
    psn_type: Both
    mode: str
    total_fen: int
    fund_fen: int
    account_fen: int
    cash_fen: int
    link: str


class FundTotal(msgspec.Struct, frozen=True):
    """What one payer paid: by the terminals' events, and what adjustments changed."""

    payer: Both
    events_fen: int
    adjusted_fen: int


class Settlements(msgspec.Struct, frozen=True, kw_only=True):
    """Settlements of one day, newest first, and who paid; `older` is the `before` of the next page."""

    day: str
    terminal: str | None
    totals: tuple[FundTotal, ...]
    rows: tuple[SettlementRow, ...]
    older: int | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """An adjustment: what the centre booked beside an event, for whom, by which channel, how it stands.

    The amounts sum to 0; `cash_fen` below 0 is owed to the person. `reverses`: the adjustment it takes back.
    """

    id: int
    time: str
    event: str
    who: str
    payee: Both
    channel: Both
    state: Both
    tone: Tone
    number: str
    reason: Both
    reverses: int | None
    fund_fen: int
    account_fen: int
    cash_fen: int
    link: str


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """An authentic event that could not be booked, and why (a catalogue number and its words)."""

    id: str
    time: str
    who: str
    number: str
    title: Both
    what: Both
    link: str


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must not happen, once per cause, with the number of times it came."""

    terminal: str
    number: str
    title: Both
    what: Both
    tone: Tone
    first: str
    last: str
    count: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was neither booked nor quarantined; its content is shown by hash only."""

    id: int
    terminal: str
    number: str
    title: Both
    topic: str
    payload_hash: str
    size: int
    first: str
    last: str
    count: int


class Alarms(msgspec.Struct, frozen=True):
    """The alarms and the evidence behind them, newest first."""

    alarms: tuple[Alarm, ...]
    evidence: tuple[Evidence, ...]


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One booked line of an event or adjustment."""

    account: Both
    fen: int
    adjustment: int | None


class Fact(msgspec.Struct, frozen=True):
    """A labelled value of an event, perhaps with a page behind it."""

    label: Both
    value: str
    note: Both | None = None
    link: str | None = None


class ChargeLine(msgspec.Struct, frozen=True):
    """A line of the bill."""

    code: str
    name: str
    lv: Both
    pric: str
    cnt: str
    selfpay_prop: str


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """One event from chip to ledger. `signed_by` is the event whose signature covers it, perhaps itself."""

    id: str
    kind: Literal["settlement", "refund", "refusal", "pin", "unreadable"]
    title: Both
    state: Literal["booked", "quarantined", "waiting"]
    mode: str
    terminal: str
    who: str
    written: str
    received: str
    latency_s: float | None
    trusted: bool
    hash: str
    prev: str
    chained: bool
    before_link: str | None
    after_link: str | None
    signed_by: str | None
    visit: tuple[Fact, ...]
    computed: tuple[Fact, ...]
    lines: tuple[ChargeLine, ...]
    split: Split | None
    ledger: tuple[LedgerEntry, ...]
    adjustments: tuple[Difference, ...]
    quarantine: Quarantined | None
    related: tuple[Fact, ...]
