"""The centre's tables. Money is fen; a column `…_ms` is milliseconds since 1970 UTC of the server's clock.

Citizen numbers are in `people` and `event_persons` only; a row of the latter may be deleted by retention.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

Serial = BigInteger().with_variant(Integer, "sqlite")

lease = Table(
    "lease",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

terminals = Table(
    "terminals",
    metadata,
    Column("terminal", String(32), primary_key=True),
    Column("fixmedins_code", String(12), nullable=False),
    Column("fixmedins_name", Text, nullable=False),
    Column("role", String(8), nullable=False),
    Column("city", String(6), nullable=False),
    Column("added_ms", BigInteger, nullable=False),
)

enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("terminal", ForeignKey("terminals.terminal"), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("terminal", ForeignKey("terminals.terminal"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("record", LargeBinary, nullable=False),
    Column("public_key", String(64), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("closed_ms", BigInteger),
    Column("mark_seq", BigInteger, nullable=False),
    Column("mark_hash", String(64), nullable=False),
    Column("mark_ms", BigInteger, nullable=False),
)
"""One row per epoch; the open one (`closed_ms` null) carries the terminal's mark."""

events = Table(
    "events",
    metadata,
    Column("terminal", String(32), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("signature", String(128)),
    Column("state", String(12), nullable=False),
    Column("reason", String(8)),
    Column("received_ms", BigInteger, nullable=False),
    ForeignKeyConstraint(["terminal", "epoch"], ["enrolments.terminal", "enrolments.epoch"]),
    Index("ix_events_state", "terminal", "epoch", "state"),
)
"""Every authentic event, byte for byte. `state`: waiting (behind a gap), booked, quarantined (for `reason`).

`signature` is there where the event was the last of its frame; it covers the chain before it.
"""

event_persons = Table(
    "event_persons",
    metadata,
    Column("terminal", String(32), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("certno", Text, nullable=False),
    Column("card_no", Text, nullable=False),
    Column("salt", Text, nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("certno", Text, nullable=False, unique=True),
    Column("name", Text),
    Column("insutype", Text),
    Column("psn_type", Text),
    Column("psn_insu_stas", Text),
    Column("insuplc_admdvs", Text),
    Column("default_pin", Boolean, nullable=False),
)
"""`insutype` null: booked for, but not known to the centre as insured."""

cards = Table(
    "cards",
    metadata,
    Column("card_no", String(32), primary_key=True),
    Column("person_id", ForeignKey("people.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("person_id", ForeignKey("people.id"), primary_key=True, autoincrement=False),
    Column("balc_fen", BigInteger, nullable=False),
)

accumulators = Table(
    "accumulators",
    metadata,
    Column("person_id", ForeignKey("people.id"), primary_key=True, autoincrement=False),
    Column("insutype", Text, primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("inscope_fen", BigInteger, nullable=False),
    Column("big_fen", BigInteger, nullable=False),
)
"""`version` grows by one at each booking that touches the row."""

bookings = Table(
    "bookings",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("terminal", String(32), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("event_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("original_id", ForeignKey("bookings.id"), unique=True),
    Column("person_id", ForeignKey("people.id")),
    Column("mdtrt_id", Text),
    Column("med_type", Text),
    Column("insutype", Text),
    Column("psn_type", Text),
    Column("mode", Text),
    Column("number", Text),
    Column("year", Integer),
    Column("medfee_fen", BigInteger, nullable=False),
    Column("big_fen", BigInteger, nullable=False),
    Column("supp_fen", BigInteger, nullable=False),
    Column("acct_fen", BigInteger, nullable=False),
    Column("cash_fen", BigInteger, nullable=False),
    Column("inscope_change", BigInteger, nullable=False),
    Column("big_change", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["terminal", "epoch", "seq"],
        ["events.terminal", "events.epoch", "events.seq"],
        name="fk_bookings_event",
    ),
    UniqueConstraint("terminal", "epoch", "seq", name="uq_bookings_event"),
    Index("ix_bookings_event_ms", "event_ms"),
    Index("ix_bookings_received_ms", "received_ms"),
)
"""Each booked event once, in order of arrival. Amounts are the terminal's, `…_change` the accumulators' own.

`mode` of a settlement, and of a PIN service that has ended change, unblock or reset. `number` is that of a refusal, of
a PIN service that failed, or of a full-cash reason; `original_id` the settlement that a refund takes back.
"""

adjustments = Table(
    "adjustments",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("booking_id", ForeignKey("bookings.id"), nullable=False, unique=True),
    Column("person_id", ForeignKey("people.id"), nullable=False),
    Column("big_fen", BigInteger, nullable=False),
    Column("supp_fen", BigInteger, nullable=False),
    Column("acct_fen", BigInteger, nullable=False),
    Column("cash_fen", BigInteger, nullable=False),
    Column("payee", String(8), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", String(8), nullable=False),
    Column("reverses", ForeignKey("adjustments.id"), unique=True),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_adjustments_state", "state"),
)
"""What the centre found beyond a booking's own amounts, at most one each: differences per payer, their sum 0.

`cash_fen` below 0 is owed to the person. `payee` person or fund; `channel` card_bank_account, account or
agency; `state` open, paid or waived; `reason` a number; `reverses` the adjustment a counter-entry takes back.
"""

ledger = Table(
    "ledger",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("booking_id", ForeignKey("bookings.id"), nullable=False, index=True),
    Column("adjustment_id", ForeignKey("adjustments.id")),
    Column("account", String(12), nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
)
"""Append-only double entry: the lines of one booking, and of one adjustment, sum to 0.

`account`: institution (its bill, credit), big, supp, acct, cash (payers, debit), due (person and fund).
"""

presence = Table(
    "presence",
    metadata,
    Column("terminal", ForeignKey("terminals.terminal"), primary_key=True),
    Column("incarnation", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("end_seq", BigInteger, nullable=False),
    Column("oldest", Text),
    Column("software", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("reader", Text, nullable=False),
    Column("counter", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)

alarms = Table(
    "alarms",
    metadata,
    Column("terminal", String(32), primary_key=True),
    Column("number", Text, primary_key=True),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
)
"""One alarm per cause; `terminal` is empty where the sender is not one of ours."""

evidence = Table(
    "evidence",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("terminal", String(32), nullable=False),
    Column("number", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload_hash", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    UniqueConstraint("terminal", "number", "payload_hash", name="uq_evidence_payload"),
)
"""Messages that are not booked and not quarantined, bounded in size and number."""

key_requests = Table(
    "key_requests",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("terminal", ForeignKey("terminals.terminal"), nullable=False, index=True),
    Column("use", String(12), nullable=False),
    Column("key", String(8), nullable=False),
    Column("card", String(16), nullable=False),
    Column("region", String(6), nullable=False),
    Column("algorithm", Integer, nullable=False),
    Column("requested_ms", BigInteger, nullable=False),
    Column("approved_ms", BigInteger),
    Column("authenticated_ms", BigInteger),
    Column("computed_ms", BigInteger),
)
"""What an agency terminal wants done with one card, `card` its factor of diversification (hex).

A card is that with its region and algorithm: another of them is another key.

Once approved, its authentication is answered once, and after it its MAC or session key once.
"""

key_uses = Table(
    "key_uses",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("terminal", String(32), nullable=False),
    Column("step", String(16), nullable=False),
    Column("use", String(12), nullable=False),
    Column("key", String(8), nullable=False),
    Column("algorithm", Integer, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("request_id", ForeignKey("key_requests.id")),
    Column("refusal", String(8)),
    Column("count", BigInteger, nullable=False, server_default="1"),
    Column("last_ms", BigInteger),
    Index("ix_key_uses_terminal", "terminal", "at_ms"),
)
"""Append-only (SQLite refuses changes): every answered step, and refusals by their number. No card, no person.

A step that needs no approval is counted, from `at_ms` to `last_ms`, where the same was answered shortly before.
"""
