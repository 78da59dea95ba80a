"""Which terminals there are: one-time codes, enrolment records, epochs and marks."""

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import date
from typing import Literal, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, func, insert, select, update

from protocols.events.clock import rfc3339
from protocols.events.frames import Broker, EnrolmentRecord, EnrolmentRequest
from protocols.events.topics import bucket, is_terminal_id
from protocols.settlement.city_file import city_versions
from protocols.settlement.profile import load_city
from server.errors import CentreError, EnrolmentRefused
from server.store.store import moment
from server.store.tables import enrolment_codes, enrolments, terminals
from server.terminals.broker_files import password_hash

CODE_HOURS = 24
CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without I, L, O and U; 12 of them are 60 random bits."""
CODE_LENGTH = 12
INSTITUTION = re.compile(r"[HP]\d{11}", re.ASCII)
"""settlement.md D.2."""
DIVISION = re.compile(r"\d{6}", re.ASCII)

Role = Literal["counter", "agency"]
Random = Callable[[int], bytes]


class Mark(NamedTuple):
    """Up to where the centre has everything; seq 0 has the enrolment record's hash."""

    seq: int
    hash: str


class Enrolled(NamedTuple):
    """A terminal in its current epoch."""

    terminal: str
    epoch: int
    public_key: str
    fixmedins_code: str
    mark: Mark


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal in a list; epoch 0: not enrolled yet."""

    terminal: str
    fixmedins_code: str
    fixmedins_name: str
    role: str
    city: str
    epoch: int
    mark: int
    mark_ms: int | None


class Enrolment(NamedTuple):
    """What `/enrol` needs to know beside the request."""

    receipt_key: str
    brokers: tuple[Broker, ...]
    random: Random


def check_city(city: str, on: date) -> None:
    """`CentreError` where no profile, simulated ones included, covers a division: a terminal there could not start."""
    try:
        load_city(city, on, simulated=True)
    except KeyError:
        known = sorted({division for division, _ in city_versions(simulated=True)})
        raise CentreError("city_unknown", city=city, known=" ".join(known)) from None


def add_terminal(
    connection: Connection,
    terminal: str,
    *,
    fixmedins_code: str,
    fixmedins_name: str,
    city: str,
    role: Role,
    random: Random,
    now_ms: int,
) -> str:
    """Note a terminal and return its one-time code, whose hash alone is kept; `CentreError` on bad values."""
    if not is_terminal_id(terminal):
        raise CentreError("terminal_id_invalid", terminal=terminal)
    if not (INSTITUTION.fullmatch(fixmedins_code) and DIVISION.fullmatch(city) and fixmedins_name.strip()):
        raise CentreError("institution_invalid")
    values = {
        "fixmedins_code": fixmedins_code,
        "fixmedins_name": fixmedins_name.strip(),
        "role": role,
        "city": city,
    }
    known = update(terminals).where(terminals.c.terminal == terminal).values(**values)
    if connection.execute(known).rowcount == 0:
        connection.execute(insert(terminals).values(terminal=terminal, added_ms=now_ms, **values))
    code = "".join(CODE_LETTERS[byte % len(CODE_LETTERS)] for byte in random(CODE_LENGTH))
    expires = now_ms + CODE_HOURS * 3_600_000
    connection.execute(
        insert(enrolment_codes).values(code_hash=_code_hash(code), terminal=terminal, expires_ms=expires)
    )
    return "-".join(code[start : start + 4] for start in range(0, CODE_LENGTH, 4))


def enrol(connection: Connection, request: EnrolmentRequest, facts: Enrolment, now_ms: int) -> bytes:
    """Use a code up, close the old epoch, begin a new one; the record's bytes. `EnrolmentRefused` otherwise."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(request.public_key))
    except ValueError as error:
        raise EnrolmentRefused("enrol_malformed") from error
    terminal = _use_code(connection, request.code, now_ms)
    row = connection.execute(select(terminals).where(terminals.c.terminal == terminal)).one()
    last = connection.execute(select(func.max(enrolments.c.epoch)).where(enrolments.c.terminal == terminal)).scalar()
    password = facts.random(24).hex()
    record = EnrolmentRecord(
        terminal=terminal,
        epoch=(last or 0) + 1,
        bucket=bucket(terminal),
        role=row.role,
        fixmedins_code=row.fixmedins_code,
        fixmedins_name=row.fixmedins_name,
        city=row.city,
        public_key=request.public_key.lower(),
        brokers=facts.brokers,
        mqtt_password=password,
        receipt_key=facts.receipt_key,
        time=rfc3339(moment(now_ms)),
    )
    data = msgspec.json.encode(record)
    connection.execute(
        update(enrolments)
        .where(enrolments.c.terminal == terminal, enrolments.c.closed_ms.is_(None))
        .values(closed_ms=now_ms)
    )
    connection.execute(
        insert(enrolments).values(
            terminal=terminal,
            epoch=record.epoch,
            record=data,
            public_key=record.public_key,
            password_hash=password_hash(password, facts.random),
            enrolled_ms=now_ms,
            mark_seq=0,
            mark_hash=hashlib.sha256(data).hexdigest(),
            mark_ms=now_ms,
        )
    )
    return data


def enrolled(connection: Connection, terminal: str) -> Enrolled | None:
    """A terminal in its current epoch, None where it never enrolled."""
    row = connection.execute(
        select(enrolments, terminals.c.fixmedins_code)
        .join(terminals, terminals.c.terminal == enrolments.c.terminal)
        .where(enrolments.c.terminal == terminal, enrolments.c.closed_ms.is_(None))
    ).one_or_none()
    if row is None:
        return None
    mark = Mark(row.mark_seq, row.mark_hash)
    return Enrolled(row.terminal, row.epoch, row.public_key, row.fixmedins_code, mark)


def list_terminals(connection: Connection) -> tuple[Listed, ...]:
    """Every terminal, enrolled or not."""
    rows = connection.execute(
        select(terminals, enrolments.c.epoch, enrolments.c.mark_seq, enrolments.c.mark_ms)
        .outerjoin(
            enrolments,
            (enrolments.c.terminal == terminals.c.terminal) & enrolments.c.closed_ms.is_(None),
        )
        .order_by(terminals.c.terminal)
    )
    return tuple(
        Listed(
            terminal=row.terminal,
            fixmedins_code=row.fixmedins_code,
            fixmedins_name=row.fixmedins_name,
            role=row.role,
            city=row.city,
            epoch=row.epoch or 0,
            mark=row.mark_seq or 0,
            mark_ms=row.mark_ms,
        )
        for row in rows
    )


def move_mark(connection: Connection, terminal: str, epoch: int, mark: Mark, now_ms: int) -> None:
    """The centre now has everything up to `mark`."""
    connection.execute(
        update(enrolments)
        .where(enrolments.c.terminal == terminal, enrolments.c.epoch == epoch)
        .values(mark_seq=mark.seq, mark_hash=mark.hash, mark_ms=now_ms)
    )


def passwords(connection: Connection) -> dict[str, str]:
    """Password hash of every terminal's current epoch, for the broker."""
    rows = connection.execute(
        select(enrolments.c.terminal, enrolments.c.password_hash)
        .where(enrolments.c.closed_ms.is_(None))
        .order_by(enrolments.c.terminal)
    )
    return {row.terminal: row.password_hash for row in rows}


def buckets(connection: Connection) -> tuple[int, ...]:
    """Buckets in which a terminal is enrolled."""
    rows = connection.execute(select(enrolments.c.terminal).where(enrolments.c.closed_ms.is_(None)))
    return tuple(sorted({bucket(row.terminal) for row in rows}))


def _code_hash(code: str) -> str:
    plain = "".join(letter for letter in code.upper() if letter not in "- ")
    return hashlib.sha256(plain.encode()).hexdigest()


def _use_code(connection: Connection, code: str, now_ms: int) -> str:
    """The terminal of a code, which is used up by this; every stored hash is compared in constant time."""
    wanted = _code_hash(code)
    found = None
    for row in connection.execute(select(enrolment_codes)):
        if hmac.compare_digest(row.code_hash, wanted):
            found = row
    if found is None:
        raise EnrolmentRefused("enrol_code_wrong")
    if found.used_ms is not None:
        raise EnrolmentRefused("enrol_code_used")
    if found.expires_ms < now_ms:
        raise EnrolmentRefused("enrol_code_expired")
    connection.execute(update(enrolment_codes).where(enrolment_codes.c.code_hash == wanted).values(used_ms=now_ms))
    return str(found.terminal)
