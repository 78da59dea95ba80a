"""The key service: answers steps on the `key` topic with what root keys give, by role and approval, and books each."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from protocols.events.frames import EnrolmentRecord
from protocols.events.keys import (
    AuthenticationData,
    AuthenticationStep,
    KeyAnswer,
    KeyRefusal,
    KeyStep,
    Mac,
    MacStep,
    SessionKey,
)
from protocols.sscard import security
from server.answers.desk import Desk, Reply
from server.errors import UNREADABLE, CentreError, number
from server.keys.requests import approved, note, record_use, use_up
from server.keys.roots import Root, Roots
from server.keys.rules import StepRefused, needs_approval
from server.store.store import Store, millis
from server.store.tables import enrolments, terminals
from server.terminals.registry import Role

_STEP: msgspec.json.Decoder[KeyStep] = msgspec.json.Decoder(KeyStep)
_RECORD = msgspec.json.Decoder(EnrolmentRecord)


class _Outcome(NamedTuple):
    """`request` is the approved one, or what waits for approval."""

    answer: KeyAnswer
    request: int | None


class KeyService(Desk):
    """A step is answered only after its use is in the book; `roots` None: this centre keeps no keys."""

    def __init__(self, store: Store, roots: Roots | None, reply: Reply, *, now: Callable[[], datetime]) -> None:
        super().__init__("keys", reply)
        self._store = store
        self._roots = roots
        self._now = now

    def stop(self) -> None:
        super().stop()
        if self._roots is not None:
            self._roots.close()

    def answer(self, terminal: str, payload: bytes) -> KeyAnswer | None:
        with self._store.read() as connection:
            role = role_of(connection, terminal)
        if role is None:
            return None
        try:
            step = _STEP.decode(payload)
        except UNREADABLE:
            return KeyRefusal(number("key_step_malformed"))
        now_ms = millis(self._now())
        outcome = self._outcome(terminal, role, step, now_ms)
        with self._store.write() as connection:
            return self._booked(connection, terminal, step, outcome, now_ms)

    def _outcome(self, terminal: str, role: Role, step: KeyStep, now_ms: int) -> _Outcome:
        """What the answer would be; nothing is written."""
        request = None
        try:
            if needs_approval(step, role):
                with self._store.read() as connection:
                    request = approved(connection, terminal, step, now_ms)
                if request is None:
                    raise StepRefused("key_not_approved")
            return _Outcome(self._computed(step), request)
        except security.AlgorithmMissing:
            return _Outcome(KeyRefusal(number("security_algorithm_missing")), request)
        except CentreError as error:
            return _Outcome(KeyRefusal(error.number), request)

    def _booked(
        self, connection: Connection, terminal: str, step: KeyStep, outcome: _Outcome, now_ms: int
    ) -> KeyAnswer:
        """Spend the approval and write the use; the answer that this allows."""
        answer, request = outcome
        if isinstance(answer, KeyRefusal):
            if answer.number == number("key_not_approved"):
                request = note(connection, terminal, step, now_ms)
                answer = KeyRefusal(answer.number, request)
        elif request is not None and not use_up(connection, request, step, now_ms):
            answer = KeyRefusal(number("key_not_approved"))
        refusal = answer.number if isinstance(answer, KeyRefusal) else None
        record_use(connection, terminal, step, now_ms, request=request, refusal=refusal)
        return answer

    def _computed(self, step: KeyStep) -> KeyAnswer:
        if self._roots is None:
            raise StepRefused("key_service_absent")
        of = step.card_key
        factors = security.factors(of.region, bytes.fromhex(of.historical_bytes))
        key = self._roots.card_key(Root(of.key, of.algorithm, of.version), *factors)
        session = security.session_key(of.algorithm, key, bytes.fromhex(step.challenge))
        if isinstance(step, AuthenticationStep):
            data = security.authentication_data(of.algorithm, session, bytes.fromhex(step.source))
            return AuthenticationData(data.hex())
        if isinstance(step, MacStep):
            return Mac(security.command_mac(of.algorithm, session, bytes.fromhex(step.message)).hex())
        return SessionKey(session.hex())


def role_of(connection: Connection, terminal: str) -> Role | None:
    """The lesser of the role a terminal was enrolled with and the one it has now; None where it is not enrolled."""
    open_one = (
        select(enrolments.c.record, terminals.c.role)
        .join(terminals, terminals.c.terminal == enrolments.c.terminal)
        .where(enrolments.c.terminal == terminal, enrolments.c.closed_ms.is_(None))
    )
    row = connection.execute(open_one).one_or_none()
    if row is None:
        return None
    return "agency" if row.role == _RECORD.decode(row.record).role == "agency" else "counter"
