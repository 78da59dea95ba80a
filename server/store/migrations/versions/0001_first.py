"""First tables of the centre."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "alarms",
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal", "number", name=op.f("pk_alarms")),
    )
    op.create_table(
        "event_persons",
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("certno", sa.Text(), nullable=False),
        sa.Column("card_no", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("terminal", "epoch", "seq", name=op.f("pk_event_persons")),
    )
    op.create_table(
        "evidence",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.UniqueConstraint("terminal", "number", "payload_hash", name="uq_evidence_payload"),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "people",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("certno", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("insutype", sa.Text(), nullable=True),
        sa.Column("psn_type", sa.Text(), nullable=True),
        sa.Column("psn_insu_stas", sa.Text(), nullable=True),
        sa.Column("insuplc_admdvs", sa.Text(), nullable=True),
        sa.Column("default_pin", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("certno", name=op.f("uq_people_certno")),
    )
    op.create_table(
        "terminals",
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("fixmedins_code", sa.String(length=12), nullable=False),
        sa.Column("fixmedins_name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("city", sa.String(length=6), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal", name=op.f("pk_terminals")),
    )
    op.create_table(
        "accounts",
        sa.Column("person_id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("balc_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_accounts_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "accumulators",
        sa.Column("person_id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("insutype", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("inscope_fen", sa.BigInteger(), nullable=False),
        sa.Column("big_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_accumulators_person_id")),
        sa.PrimaryKeyConstraint("person_id", "insutype", "year", name=op.f("pk_accumulators")),
    )
    op.create_table(
        "cards",
        sa.Column("card_no", sa.String(length=32), nullable=False),
        sa.Column("person_id", SERIAL, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_cards_person_id")),
        sa.PrimaryKeyConstraint("card_no", name=op.f("pk_cards")),
    )
    op.create_index(op.f("ix_cards_person_id"), "cards", ["person_id"], unique=False)
    op.create_table(
        "enrolment_codes",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["terminal"], ["terminals.terminal"], name=op.f("fk_enrolment_codes_terminal")),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_enrolment_codes")),
    )
    op.create_table(
        "enrolments",
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("enrolled_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        sa.Column("mark_seq", sa.BigInteger(), nullable=False),
        sa.Column("mark_hash", sa.String(length=64), nullable=False),
        sa.Column("mark_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["terminal"], ["terminals.terminal"], name=op.f("fk_enrolments_terminal")),
        sa.PrimaryKeyConstraint("terminal", "epoch", name=op.f("pk_enrolments")),
    )
    op.create_table(
        "presence",
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("end_seq", sa.BigInteger(), nullable=False),
        sa.Column("oldest", sa.Text(), nullable=True),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("catalogue", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["terminal"], ["terminals.terminal"], name=op.f("fk_presence_terminal")),
        sa.PrimaryKeyConstraint("terminal", name=op.f("pk_presence")),
    )
    op.create_table(
        "events",
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=8), nullable=True),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["terminal", "epoch"],
            ["enrolments.terminal", "enrolments.epoch"],
            name=op.f("fk_events_terminal"),
        ),
        sa.PrimaryKeyConstraint("terminal", "epoch", "seq", name=op.f("pk_events")),
    )
    op.create_index("ix_events_state", "events", ["terminal", "epoch", "state"], unique=False)
    op.create_table(
        "bookings",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("terminal", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("event_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("original_id", SERIAL, nullable=True),
        sa.Column("person_id", SERIAL, nullable=True),
        sa.Column("mdtrt_id", sa.Text(), nullable=True),
        sa.Column("med_type", sa.Text(), nullable=True),
        sa.Column("insutype", sa.Text(), nullable=True),
        sa.Column("psn_type", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("medfee_fen", sa.BigInteger(), nullable=False),
        sa.Column("big_fen", sa.BigInteger(), nullable=False),
        sa.Column("supp_fen", sa.BigInteger(), nullable=False),
        sa.Column("acct_fen", sa.BigInteger(), nullable=False),
        sa.Column("cash_fen", sa.BigInteger(), nullable=False),
        sa.Column("inscope_change", sa.BigInteger(), nullable=False),
        sa.Column("big_change", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["original_id"], ["bookings.id"], name=op.f("fk_bookings_original_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_bookings_person_id")),
        sa.ForeignKeyConstraint(
            ["terminal", "epoch", "seq"],
            ["events.terminal", "events.epoch", "events.seq"],
            name="fk_bookings_event",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint("original_id", name=op.f("uq_bookings_original_id")),
        sa.UniqueConstraint("terminal", "epoch", "seq", name="uq_bookings_event"),
    )
    op.create_index("ix_bookings_event_ms", "bookings", ["event_ms"], unique=False)
    op.create_index("ix_bookings_received_ms", "bookings", ["received_ms"], unique=False)
    op.create_table(
        "adjustments",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("booking_id", SERIAL, nullable=False),
        sa.Column("person_id", SERIAL, nullable=False),
        sa.Column("big_fen", sa.BigInteger(), nullable=False),
        sa.Column("supp_fen", sa.BigInteger(), nullable=False),
        sa.Column("acct_fen", sa.BigInteger(), nullable=False),
        sa.Column("cash_fen", sa.BigInteger(), nullable=False),
        sa.Column("payee", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=8), nullable=False),
        sa.Column("reverses", SERIAL, nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_adjustments_booking_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_adjustments_person_id")),
        sa.ForeignKeyConstraint(["reverses"], ["adjustments.id"], name=op.f("fk_adjustments_reverses")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
        sa.UniqueConstraint("booking_id", name=op.f("uq_adjustments_booking_id")),
        sa.UniqueConstraint("reverses", name=op.f("uq_adjustments_reverses")),
    )
    op.create_index("ix_adjustments_state", "adjustments", ["state"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("booking_id", SERIAL, nullable=False),
        sa.Column("adjustment_id", SERIAL, nullable=True),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["adjustment_id"], ["adjustments.id"], name=op.f("fk_ledger_adjustment_id")),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_ledger_booking_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_booking_id"), "ledger", ["booking_id"], unique=False)
