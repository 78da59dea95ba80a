"""Who gets what from the key service, by role and approval, and what its book says (design 5)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from protocols.events.keys import AuthenticationData, KeyRefusal, KeyStep, Mac, SessionKey
from protocols.sscard import security
from protocols.sscard.files import card_files, versions
from server.errors import CentreError, number
from server.keys.requests import MOST_REFUSED, MOST_WAITING, approve, audit, list_requests
from server.keys.roots import Root
from server.keys.service import KeyService
from server.keys.token import RootMissing, Token
from server.store.store import millis
from server.store.tables import key_uses
from tests.server.conftest import Bench
from tests.server.keys.conftest import ROOT_KEY, VECTORS, Counter, PlainRoots
from tests.server.keys.steps import HISTORICAL_BYTES, OTHER_CARD, OTHER_REGION, authentication, mac, session

ALGORITHMS = pytest.mark.parametrize("vector", VECTORS["algorithm"], ids=lambda vector: vector["name"])
READING = [("genuine", "IRK"), ("read", "RKSSSE"), ("read", "RK1DF04")]
GUARDED: list[KeyStep] = [
    authentication("update", "UKSSSE"),
    authentication("update", "UK1DF04"),
    authentication("unblock_pin", "PUK"),
    authentication("reset_pin", "PUK"),
    mac("unblock_pin", "STK"),
    session("reset_pin", "STK"),
]


class FailingRoots(PlainRoots):
    """They lack every key while `fails`."""

    fails = False

    def card_key(self, root: Root, *factors: bytes) -> bytes:
        if self.fails:
            raise RootMissing(root.key)
        return super().card_key(root, *factors)


def asked(bench: Bench) -> list[int]:
    with bench.store.read() as connection:
        return [each.id for each in list_requests(connection, millis(bench.now))]


def let(bench: Bench, request: int) -> None:
    with bench.store.write() as connection:
        approve(connection, request, millis(bench.now))


def refused(key: str) -> KeyRefusal:
    return KeyRefusal(number(key))


def wait_for_approval(agency: Counter, step: KeyStep) -> int:
    answer = agency.ask(step)
    assert isinstance(answer, KeyRefusal)
    assert answer.number == number("key_not_approved")
    assert answer.request is not None
    return answer.request


@ALGORITHMS
@pytest.mark.parametrize(("use", "key"), READING)
def test_both_roles_may_read(counter: Counter, agency: Counter, vector: dict[str, Any], use: Any, key: str) -> None:
    wanted = AuthenticationData(vector["authentication_data"].lower())
    for terminal in (counter, agency):
        assert terminal.ask(authentication(use, key, vector["id"])) == wanted


@pytest.mark.parametrize("step", GUARDED, ids=lambda step: f"{step.use}-{step.card_key.key}")
def test_a_counter_gets_nothing_else_and_no_request(bench: Bench, counter: Counter, step: KeyStep) -> None:
    assert counter.ask(step) == refused("key_not_for_counter")
    assert asked(bench) == []


@pytest.mark.parametrize("step", GUARDED, ids=lambda step: f"{step.use}-{step.card_key.key}")
def test_an_agency_waits_for_an_operator(bench: Bench, agency: Counter, step: KeyStep) -> None:
    request = wait_for_approval(agency, step)
    assert wait_for_approval(agency, step) == request
    assert asked(bench) == [request]


UPDATE_KEYS = sorted(
    {key.name for version in versions() for key in card_files(version).keys.rows if key.purpose == "updating"}
)


def test_no_update_key_of_any_version_is_for_a_counter(bench: Bench, counter: Counter, agency: Counter) -> None:
    assert len(UPDATE_KEYS) > 30
    for key in UPDATE_KEYS:
        assert counter.ask(authentication("update", key)) == refused("key_not_for_counter")
        assert counter.ask(authentication("read", key)) == refused("key_use_unknown")
    assert asked(bench) == []
    wait_for_approval(agency, authentication("update", UPDATE_KEYS[0]))


@pytest.mark.parametrize(
    "step",
    [
        authentication("read", "UKSSSE"),
        authentication("read", "PUK"),
        authentication("read", "RK"),
        authentication("update", "RKSSSE"),
        authentication("genuine", "PUK"),
        authentication("unblock_pin", "UKSSSE"),
        authentication("unblock_pin", "STK"),
        mac("unblock_pin", "STK", message="8416000004"),
        mac("unblock_pin", "STK", message="842400010c7308a1e70339892c"),
        mac("reset_pin", "STK"),
        mac("read", "RKSSSE"),
        session("unblock_pin", "STK"),
        session("read", "RKSSSE"),
        session("reset_pin", "UKSSSE"),
        session("reset_pin", "PUK"),
        mac("unblock_pin", "PUK"),
    ],
    ids=lambda step: f"{step.use}-{step.card_key.key}-{type(step).__name__}",
)
def test_no_other_use_of_a_key(bench: Bench, counter: Counter, agency: Counter, step: KeyStep) -> None:
    for terminal in (counter, agency):
        assert terminal.ask(step) == refused("key_use_unknown")
    assert asked(bench) == []


@ALGORITHMS
def test_an_approved_unblock_is_computed_once(bench: Bench, agency: Counter, vector: dict[str, Any]) -> None:
    first, second = authentication("unblock_pin", "PUK", vector["id"]), mac("unblock_pin", "STK", vector["id"])
    let(bench, wait_for_approval(agency, first))
    wait_for_approval(agency, second)  # not before the authentication
    assert agency.ask(first) == AuthenticationData(vector["authentication_data"].lower())
    wait_for_approval(agency, first)
    assert agency.ask(second) == Mac(vector["mac"][0]["mac"].lower())
    wait_for_approval(agency, second)


@ALGORITHMS
def test_an_approved_reset_gives_the_session_key_once(bench: Bench, agency: Counter, vector: dict[str, Any]) -> None:
    first, second = authentication("reset_pin", "PUK", vector["id"]), session("reset_pin", "STK", vector["id"])
    let(bench, wait_for_approval(agency, first))
    assert isinstance(agency.ask(first), AuthenticationData)
    answer = agency.ask(second)
    assert answer == SessionKey(vector["session"].lower())
    assert vector["session"].lower() not in repr(answer)
    wait_for_approval(agency, second)


def test_an_approved_update_opens_one_key_once(bench: Bench, agency: Counter) -> None:
    let(bench, wait_for_approval(agency, authentication("update", "UKSSSE")))
    wait_for_approval(agency, authentication("update", "UK1DF04"))
    assert isinstance(agency.ask(authentication("update", "UKSSSE")), AuthenticationData)
    wait_for_approval(agency, authentication("update", "UKSSSE"))


def test_an_approval_is_for_one_card_use_and_terminal(bench: Bench, service: KeyService, agency: Counter) -> None:
    bench.enrol("agency-2", role="agency")
    let(bench, wait_for_approval(agency, authentication("unblock_pin", "PUK")))
    wait_for_approval(agency, authentication("unblock_pin", "PUK", card=OTHER_CARD))
    wait_for_approval(agency, authentication("unblock_pin", "PUK", region=OTHER_REGION))
    wait_for_approval(agency, authentication("unblock_pin", "PUK", algorithm=1))
    wait_for_approval(agency, authentication("reset_pin", "PUK"))
    wait_for_approval(Counter(service, "agency-2"), authentication("unblock_pin", "PUK"))
    assert isinstance(agency.ask(authentication("unblock_pin", "PUK")), AuthenticationData)


@pytest.mark.parametrize("change", [{"region": OTHER_REGION}, {"algorithm": 1}], ids=["region", "algorithm"])
@pytest.mark.parametrize(("use", "second"), [("unblock_pin", mac), ("reset_pin", session)], ids=["unblock", "reset"])
def test_both_steps_are_for_the_same_card(
    bench: Bench, agency: Counter, use: Any, second: Callable[..., KeyStep], change: dict[str, Any]
) -> None:
    let(bench, wait_for_approval(agency, authentication(use, "PUK")))
    assert isinstance(agency.ask(authentication(use, "PUK")), AuthenticationData)
    wait_for_approval(agency, second(use, "STK", **change))
    assert isinstance(agency.ask(second(use, "STK")), (Mac, SessionKey))


def test_an_approval_expires(bench: Bench, agency: Counter) -> None:
    step = authentication("unblock_pin", "PUK")
    request = wait_for_approval(agency, step)
    let(bench, request)
    bench.later(minutes=15)
    assert wait_for_approval(agency, step) != request
    with bench.store.write() as connection, pytest.raises(CentreError):
        approve(connection, request, millis(bench.now))


def test_half_of_an_approval_expires_too(bench: Bench, agency: Counter) -> None:
    let(bench, wait_for_approval(agency, authentication("unblock_pin", "PUK")))
    assert isinstance(agency.ask(authentication("unblock_pin", "PUK")), AuthenticationData)
    bench.later(minutes=15)
    wait_for_approval(agency, mac("unblock_pin", "STK"))


def test_a_request_waits_a_day(bench: Bench, agency: Counter) -> None:
    request = wait_for_approval(agency, authentication("unblock_pin", "PUK"))
    bench.later(hours=24)
    for wrong in (request, request + 1):
        with bench.store.write() as connection, pytest.raises(CentreError):
            approve(connection, wrong, millis(bench.now))
    assert wait_for_approval(agency, authentication("unblock_pin", "PUK")) != request


def test_requests_are_bounded(bench: Bench, agency: Counter) -> None:
    for serial in range(MOST_WAITING):
        wait_for_approval(agency, authentication("unblock_pin", "PUK", card=f"{OTHER_CARD[:-2]}{serial + 16:02x}"))
    step = authentication("unblock_pin", "PUK")
    assert agency.ask(step) == refused("key_not_approved")
    assert len(asked(bench)) == MOST_WAITING


def test_a_role_is_taken_away_at_once_and_given_by_enrolment_only(
    bench: Bench, counter: Counter, agency: Counter
) -> None:
    step = authentication("unblock_pin", "PUK")
    let(bench, wait_for_approval(agency, step))
    bench.note("agency-1", role="counter")
    assert agency.ask(step) == refused("key_not_for_counter")
    bench.note("agency-1", role="agency")
    assert isinstance(agency.ask(step), AuthenticationData)
    bench.note("counter-1", role="agency")
    assert counter.ask(step) == refused("key_not_for_counter")
    bench.enrol("counter-1", role="agency")
    wait_for_approval(counter, step)


def test_a_role_is_that_of_the_enrolment(bench: Bench, agency: Counter) -> None:
    let(bench, wait_for_approval(agency, authentication("unblock_pin", "PUK")))
    bench.enrol("agency-1", role="counter")
    assert agency.ask(authentication("unblock_pin", "PUK")) == refused("key_not_for_counter")


def test_whoever_is_not_enrolled_gets_no_answer(service: KeyService) -> None:
    assert Counter(service, "nobody").ask(authentication("read", "RKSSSE")) is None


def test_what_the_token_lacks_has_a_number(agency: Counter) -> None:
    assert agency.ask(authentication("read", "RK2DF07")) == refused("security_key_missing")
    assert agency.ask(authentication("read", "RKSSSE", algorithm=2)) == refused("security_algorithm_missing")


def test_a_version_that_the_token_lacks_is_in_the_book(bench: Bench, counter: Counter) -> None:
    step = authentication("read", "RKSSSE")
    assert isinstance(counter.ask(step), AuthenticationData)
    newer = msgspec.structs.replace(step, card_key=msgspec.structs.replace(step.card_key, version=2))
    assert counter.ask(newer) == refused("security_key_version_missing")
    with bench.store.read() as connection:
        assert [(use.version, use.refusal) for use in audit(connection)] == [(1, None), (2, "K-103")]


def test_a_failure_does_not_spend_the_approval(bench: Bench, agency: Counter) -> None:
    roots = FailingRoots()
    agency = Counter(KeyService(bench.store, roots, lambda *_: None, now=lambda: bench.now), agency.terminal)
    step = authentication("unblock_pin", "PUK")
    let(bench, wait_for_approval(agency, step))
    roots.fails = True
    assert agency.ask(step) == refused("security_key_missing")
    roots.fails = False
    assert isinstance(agency.ask(step), AuthenticationData)


def test_a_centre_without_token_says_so(bench: Bench) -> None:
    bench.enrol("counter-1")
    service = KeyService(bench.store, None, lambda *_: None, now=lambda: bench.now)
    assert Counter(service, "counter-1").ask(authentication("read", "RKSSSE")) == refused("key_service_absent")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(max_size=200))
def test_any_bytes_get_a_number(bench: Bench, service: KeyService, payload: bytes) -> None:
    assert service.answer("counter-1", payload) == refused("key_step_malformed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("challenge", "01020304"),
        ("challenge", "0102030405060708\n"),
        ("source", "zz" * 8),
        ("use", "all"),
        ("extra", ""),
    ],
)
def test_a_step_of_another_shape_is_refused(service: KeyService, field: str, value: str) -> None:
    step = {**msgspec.to_builtins(authentication("read", "RKSSSE")), field: value}
    assert service.answer("counter-1", msgspec.json.encode(step)) == refused("key_step_malformed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", "RKSSSE\n"),
        ("key", "rksSSE"),
        ("region", "990100\n"),
        ("region", "99010"),
        ("historical_bytes", HISTORICAL_BYTES + "\n"),
        ("algorithm", 256),
        ("version", 256),
        ("version", None),
    ],
)
def test_a_card_key_of_another_shape_is_refused(service: KeyService, field: str, value: object) -> None:
    step = msgspec.to_builtins(authentication("read", "RKSSSE"))
    step["card_key"][field] = value
    assert service.answer("counter-1", msgspec.json.encode(step)) == refused("key_step_malformed")


def test_every_use_is_in_the_book_without_card_or_person(bench: Bench, counter: Counter, agency: Counter) -> None:
    counter.ask(authentication("read", "RKSSSE"))
    counter.ask(authentication("update", "UKSSSE"))
    request = wait_for_approval(agency, authentication("unblock_pin", "PUK"))
    let(bench, request)
    agency.ask(authentication("unblock_pin", "PUK"))
    agency.ask(mac("unblock_pin", "STK"))
    with bench.store.read() as connection:
        book = audit(connection)
    assert [(use.terminal, use.step, use.use, use.key, use.request_id, use.refusal) for use in book] == [
        ("counter-1", "authentication", "read", "RKSSSE", None, None),
        ("counter-1", "authentication", "update", "UKSSSE", None, "K-112"),
        ("agency-1", "authentication", "unblock_pin", "PUK", request, "K-113"),
        ("agency-1", "authentication", "unblock_pin", "PUK", request, None),
        ("agency-1", "mac", "unblock_pin", "STK", request, None),
    ]
    assert {use.at_ms for use in book} == {millis(bench.now)}
    with bench.store.read() as connection:
        rows = repr(connection.execute(select(key_uses)).all())
    assert OTHER_CARD[10:24] not in rows
    assert VECTORS["algorithm"][1]["authentication_data"].lower() not in rows


def refusals(bench: Bench) -> list[tuple[str, str]]:
    with bench.store.read() as connection:
        return [(use.terminal, use.key) for use in audit(connection) if use.refusal is not None]


def test_a_refusal_is_in_the_book_once_a_minute(bench: Bench, counter: Counter, agency: Counter) -> None:
    step = authentication("update", "UKSSSE")
    for _ in range(3):
        assert counter.ask(step) == refused("key_not_for_counter")
        wait_for_approval(agency, step)
    counter.ask(authentication("update", "UK1DF04"))
    assert refusals(bench) == [("counter-1", "UKSSSE"), ("agency-1", "UKSSSE"), ("counter-1", "UK1DF04")]
    bench.later(minutes=1)
    counter.ask(step)
    assert refusals(bench)[3:] == [("counter-1", "UKSSSE")]


def test_the_same_use_is_one_line_an_hour_with_its_count(bench: Bench, counter: Counter, agency: Counter) -> None:
    first = millis(bench.now)
    for _ in range(3):
        counter.ask(authentication("read", "RKSSSE"))
        bench.later(minutes=10)
    agency.ask(authentication("read", "RKSSSE"))
    counter.ask(authentication("genuine", "IRK"))
    counter.ask(authentication("read", "RKSSSE", algorithm=1))
    bench.later(minutes=29, seconds=59)
    counter.ask(authentication("read", "RKSSSE"))
    last = millis(bench.now)
    bench.later(seconds=1)
    counter.ask(authentication("read", "RKSSSE"))
    with bench.store.read() as connection:
        book = audit(connection)
    assert [(use.terminal, use.key, use.algorithm, use.count) for use in book] == [
        ("counter-1", "RKSSSE", 3, 4),
        ("agency-1", "RKSSSE", 3, 1),
        ("counter-1", "IRK", 3, 1),
        ("counter-1", "RKSSSE", 1, 1),
        ("counter-1", "RKSSSE", 3, 1),
    ]
    assert (book[0].at_ms, book[0].last_ms, book[1].last_ms) == (first, last, None)


def test_a_use_with_an_approval_is_a_line_by_itself(bench: Bench, agency: Counter) -> None:
    for _ in range(2):
        let(bench, wait_for_approval(agency, authentication("unblock_pin", "PUK")))
        agency.ask(authentication("unblock_pin", "PUK"))
        agency.ask(mac("unblock_pin", "STK"))
    with bench.store.read() as connection:
        answered = [use.count for use in audit(connection) if use.refusal is None]
    assert answered == [1, 1, 1, 1]


def test_refusals_in_the_book_are_bounded(bench: Bench, counter: Counter, agency: Counter) -> None:
    for serial in range(MOST_REFUSED + 5):
        assert counter.ask(authentication("read", f"XX{serial}")) == refused("key_use_unknown")
    assert len(refusals(bench)) == MOST_REFUSED
    agency.ask(authentication("read", "XX0"))
    assert refusals(bench)[MOST_REFUSED:] == [("agency-1", "XX0")]


@pytest.mark.parametrize(
    "change",
    [
        update(key_uses).values(refusal=None),
        update(key_uses).values(count=key_uses.c.count + 1),
        update(key_uses).values(count=key_uses.c.count + 2, last_ms=key_uses.c.at_ms),
        update(key_uses).values(count=key_uses.c.count + 1, last_ms=key_uses.c.at_ms - 1),
        update(key_uses).values(count=key_uses.c.count + 1, last_ms=key_uses.c.at_ms, key="IRK"),
        delete(key_uses),
    ],
    ids=["another result", "no time", "two at once", "an earlier time", "another key", "delete"],
)
def test_the_book_takes_no_changes(bench: Bench, counter: Counter, change: Any) -> None:
    counter.ask(authentication("update", "UKSSSE"))
    with pytest.raises(IntegrityError), bench.store.write() as connection:
        connection.execute(change)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    card=st.binary(min_size=13, max_size=13),
    challenge=st.binary(min_size=8, max_size=8),
    source=st.binary(min_size=8, max_size=8),
    algorithm=st.sampled_from([1, 3]),
)
def test_service_on_a_token_and_definition_agree(
    bench: Bench, token: Token, *, card: bytes, challenge: bytes, source: bytes, algorithm: int
) -> None:
    bench.enrol("counter-1")
    counter = Counter(KeyService(bench.store, token, lambda *_: None, now=lambda: bench.now), "counter-1")
    step = authentication("read", "RKSSSE", algorithm, card.hex())
    step = msgspec.structs.replace(step, challenge=challenge.hex(), source=source.hex())
    key = security.diversify(algorithm, ROOT_KEY, *security.factors(VECTORS["region"], card))
    wanted = security.authentication_data(algorithm, security.session_key(algorithm, key, challenge), source)
    assert counter.ask(step) == AuthenticationData(wanted.hex())
