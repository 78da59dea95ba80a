"""Enrolment over HTTP (design 3.3): one code, one use, 24 hours; the same bytes on both sides."""

import hashlib
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from protocols.events.frames import Broker, EnrolmentRecord
from protocols.events.topics import bucket
from server.errors import CentreError, number
from server.store.store import millis
from server.store.tables import enrolment_codes, enrolments
from server.terminals.broker_files import replace_file
from server.terminals.enrol import MAX_FAILURES, EnrolmentDesk
from server.terminals.registry import Enrolment, add_terminal, enrolled, list_terminals
from tests.server.conftest import Bench

PUBLIC = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()


class Counter:
    """Random bytes that never repeat."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, length: int) -> bytes:
        self._next += 1
        return hashlib.sha512(str(self._next).encode()).digest()[:length]


class Office(NamedTuple):
    bench: Bench
    client: TestClient
    random: Counter
    told: list[int]

    def code(self, terminal: str = "110102-0088", role: str = "counter") -> str:
        with self.bench.store.write() as connection:
            return add_terminal(
                connection,
                terminal,
                fixmedins_code="H11010200001",
                fixmedins_name="示范社区",
                city="110000",
                role=role,  # type: ignore[arg-type]
                random=self.random,
                now_ms=millis(self.bench.now),
            )

    def post(self, code: str, public_key: str = PUBLIC) -> tuple[int, bytes]:
        response = self.client.post("/enrol", json={"code": code, "public_key": public_key})
        return response.status_code, response.content

    def refusal(self, code: str, public_key: str = PUBLIC) -> tuple[int, str]:
        status, body = self.post(code, public_key)
        return status, msgspec.json.decode(body)["error"]["number"]


@pytest.fixture
def office(bench: Bench) -> Iterator[Office]:
    random, told = Counter(), list[int]()
    facts = Enrolment("ab" * 32, (Broker("broker", 8883, True), Broker("other", 1883)), random)
    desk = EnrolmentDesk(bench.store, facts, now=lambda: bench.now, enrolled=lambda: told.append(1))
    with TestClient(desk.app()) as client:
        yield Office(bench, client, random, told)


def test_record_is_what_both_sides_keep(office: Office) -> None:
    status, body = office.post(office.code())
    record = msgspec.json.decode(body, type=EnrolmentRecord)
    assert status == 200
    assert (record.terminal, record.epoch, record.bucket) == ("110102-0088", 1, bucket("110102-0088"))
    assert (record.role, record.city) == ("counter", "110000")
    assert (record.fixmedins_code, record.fixmedins_name) == ("H11010200001", "示范社区")
    assert record.public_key == PUBLIC
    assert record.brokers == (Broker("broker", 8883, True), Broker("other", 1883))
    assert record.receipt_key == "ab" * 32
    assert len(record.mqtt_password) >= 32
    with office.bench.store.read() as connection:
        row = connection.execute(select(enrolments)).one()
        who = enrolled(connection, "110102-0088")
    assert bytes(row.record) == body
    assert who is not None
    assert who.mark == (0, hashlib.sha256(body).hexdigest())
    assert office.told == [1]


def test_only_the_hash_of_a_code_is_kept(office: Office) -> None:
    code = office.code()
    with office.bench.store.read() as connection:
        (stored,) = connection.execute(select(enrolment_codes.c.code_hash)).scalars()
    plain = code.replace("-", "")
    assert len(plain) == 12
    assert stored == hashlib.sha256(plain.encode()).hexdigest()


def test_code_may_be_typed_in_any_form(office: Office) -> None:
    assert office.post(office.code().lower().replace("-", " "))[0] == 200


def test_code_is_used_once(office: Office) -> None:
    code = office.code()
    office.post(code)
    assert office.refusal(code) == (403, number("enrol_code_used"))
    assert office.told == [1]


@pytest.mark.parametrize(("hours", "good"), [(23.9, True), (24.1, False)])
def test_code_expires(office: Office, hours: float, good: bool) -> None:
    code = office.code()
    office.bench.now += timedelta(hours=hours)
    if good:
        assert office.post(code)[0] == 200
    else:
        assert office.refusal(code) == (403, number("enrol_code_expired"))


def test_wrong_code_is_refused_and_then_slowed_down(office: Office) -> None:
    code = office.code()
    for _ in range(MAX_FAILURES):
        assert office.refusal("0000-0000-0000") == (403, number("enrol_code_wrong"))
    assert office.refusal(code) == (429, number("enrol_too_many"))
    office.bench.later(seconds=61)
    assert office.post(code)[0] == 200


@pytest.mark.parametrize("public_key", ["", "zz", "ab" * 31, "ab" * 33])
def test_bad_key_does_not_use_the_code_up(office: Office, public_key: str) -> None:
    code = office.code()
    assert office.refusal(code, public_key) == (400, number("enrol_malformed"))
    assert office.post(code)[0] == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b'{"code":1}', b"[" * 4000, b'{"code":"' + b"x" * 9000 + b'"}']
)
def test_hostile_body(office: Office, body: bytes) -> None:
    response = office.client.post("/enrol", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["number"] == number("enrol_malformed")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300))
def test_any_body_is_answered(office: Office, body: bytes) -> None:
    office.bench.later(seconds=61)
    assert office.client.post("/enrol", content=body).status_code == 400


def test_same_terminal_again_is_a_new_epoch_by_a_new_code_only(office: Office) -> None:
    first = msgspec.json.decode(office.post(office.code())[1], type=EnrolmentRecord)
    second = msgspec.json.decode(office.post(office.code(role="agency"))[1], type=EnrolmentRecord)
    assert (first.epoch, second.epoch) == (1, 2)
    assert (first.role, second.role) == ("counter", "agency")
    assert first.mqtt_password != second.mqtt_password
    with office.bench.store.read() as connection:
        rows = connection.execute(select(enrolments).order_by(enrolments.c.epoch)).all()
        (listed,) = list_terminals(connection)
    assert [row.closed_ms is None for row in rows] == [False, True]
    assert (listed.terminal, listed.epoch, listed.mark) == ("110102-0088", 2, 0)


@pytest.mark.parametrize("terminal", ["", "centre", "a/b", "a+", "#", "终端", "x" * 33, "a b", "a\n"])
def test_terminal_id(office: Office, terminal: str) -> None:
    with pytest.raises(CentreError) as raised:
        office.code(terminal)
    assert raised.value.number == number("terminal_id_invalid")


@pytest.mark.parametrize(
    ("code", "name", "city"),
    [
        ("X11010200001", "n", "110000"),
        ("H1", "n", "110000"),
        ("H11010200001", " ", "110000"),
        ("H11010200001", "n", "11"),
    ],
)
def test_institution(bench: Bench, code: str, name: str, city: str) -> None:
    with bench.store.write() as connection, pytest.raises(CentreError) as raised:
        add_terminal(
            connection,
            "T1",
            fixmedins_code=code,
            fixmedins_name=name,
            city=city,
            role="counter",
            random=Counter(),
            now_ms=0,
        )
    assert raised.value.number == number("institution_invalid")


def test_replaced_file_keeps_its_mode_and_a_new_one_is_private(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    replace_file(path, "one\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    replace_file(path, "two\n")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("two\n", 0o640)
    assert list(tmp_path.iterdir()) == [path]
