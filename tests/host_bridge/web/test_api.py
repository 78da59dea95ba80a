"""The counter's JSON API: what it passes on, what it refuses, and how."""

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from host_bridge.web.app import create_app
from host_bridge.web.bodies import CatalogueLine
from host_bridge.web.guard import BODY_LIMIT
from protocols.settlement.bill import FeeLine
from tests.host_bridge.web.script import ScriptedCounter

LOOPBACK = "http://127.0.0.1:8080"
POSTS = (
    "pin",
    "ask_pad",
    "begin_change",
    "change_pin",
    "keep_pin",
    "bill",
    "settle",
    "full_cash",
    "refund",
    "reprint",
    "print_guide",
    "cancel",
    "finish",
)
JSON_HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
def client(counter: ScriptedCounter) -> TestClient:
    return TestClient(create_app(counter), base_url=LOOPBACK, raise_server_exceptions=False)


def test_state_is_the_counters_picture(client: TestClient) -> None:
    answer = client.get("/api/1/state")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["terminal"]["id"] == "990101-0007"


def test_the_pin_reaches_the_counter_as_digits_that_are_wiped_afterwards(
    client: TestClient, counter: ScriptedCounter
) -> None:
    counter.ask_pin()
    answer = client.post("/api/1/pin", json={"pin": "135790"})
    assert answer.json()["stage"] == "bill"
    assert counter.pins == [bytearray(6)]
    assert "135790" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"pin":135790}',
        b'{"pin":"13579x"}',
        b'{"pin":"123"}',
        b'{"pin":"12345678901234567"}',
        b'{"pin":"135790","again":1}',
        b'{"pin":"135790","tries":"3"}',
        b'["135790"]',
        '{"pin":"１３５７９０"}'.encode(),
        b'{"pin":"135790"',
        b"\xff\xfe",
    ],
)
def test_what_is_no_pin_never_reaches_the_counter(client: TestClient, counter: ScriptedCounter, body: bytes) -> None:
    counter.ask_pin()
    answer = client.post("/api/1/pin", content=body, headers=JSON_HEADERS)
    assert (answer.status_code, answer.json()["error"]["number"]) == (400, "W-007")
    assert counter.pins == []


def test_a_change_reaches_the_counter_as_digits_that_are_wiped_afterwards(
    client: TestClient, counter: ScriptedCounter
) -> None:
    counter.ask_pin()
    assert client.post("/api/1/begin_change", json={}).json()["stage"] == "change"
    answer = client.post("/api/1/change_pin", json={"old": "135790", "new": "314159", "repeat": "314159"})
    assert (answer.status_code, answer.json()["stage"]) == (200, "pin")
    assert counter.pins == [bytearray(6)] * 3


@pytest.mark.parametrize(("tail", "tries"), [(b"}", None), (b', "tries": 3}', 3), (b',"tries":15 }', 15)])
def test_the_tries_an_entry_was_made_with_reach_the_counter(
    client: TestClient, counter: ScriptedCounter, tail: bytes, tries: int | None
) -> None:
    counter.ask_pin()
    client.post("/api/1/pin", content=b'{"pin":"135791"' + tail, headers=JSON_HEADERS)
    counter.ask_change()
    body = b'{"old":"135790","new":"314159","repeat":"314159"' + tail
    client.post("/api/1/change_pin", content=body, headers=JSON_HEADERS)
    assert counter.tries == [tries, tries]


def test_a_new_pin_that_differs_is_refused_in_words(client: TestClient, counter: ScriptedCounter) -> None:
    counter.ask_change()
    answer = client.post("/api/1/change_pin", json={"old": "135790", "new": "314159", "repeat": "314158"})
    assert (answer.status_code, answer.json()["error"]["number"]) == (409, "-34")
    assert counter.pins == [bytearray(6)] * 3


@pytest.mark.parametrize(
    "body",
    [
        b'{"old":"135790","new":"314159"}',
        b'{"new":"314159","old":"135790","repeat":"314159"}',
        b'{"old":"135790","new":"314159","repeat":"314159","more":"1"}',
        b'{"old":"135790","new":"314","repeat":"314"}',
        b'{"old":135790,"new":314159,"repeat":314159}',
        b'{"pin":"135790"}',
    ],
)
def test_what_is_no_change_never_reaches_the_counter(client: TestClient, counter: ScriptedCounter, body: bytes) -> None:
    counter.ask_change()
    answer = client.post("/api/1/change_pin", content=body, headers=JSON_HEADERS)
    assert (answer.status_code, answer.json()["error"]["number"]) == (400, "W-007")
    assert "135790" not in answer.text
    assert counter.pins == []


def test_no_pin_in_logs(client: TestClient, counter: ScriptedCounter, caplog: pytest.LogCaptureFixture) -> None:
    counter.ask_pin()
    with caplog.at_level(logging.DEBUG):
        client.post("/api/1/pin", json={"pin": "246802"})
        client.post("/api/1/pin", content=b'{"pin":"246802",}', headers=JSON_HEADERS)
    assert "246802" not in caplog.text


def test_a_bill_may_mix_catalogue_codes_and_full_lines(client: TestClient, counter: ScriptedCounter) -> None:
    counter.want_bill()
    lines = [{"code": "F3002", "cnt": "2"}, {"chrgitm_lv": "03", "pric": "15.00", "cnt": "1"}]
    answer = client.post("/api/1/bill", json={"med_type": "11", "lines": lines})
    assert answer.json()["stage"] == "presettled"
    assert answer.json()["split"]["split"]["psn_part_amt"] == 24142
    assert counter.bills == [("11", (CatalogueLine("F3002", "2"), FeeLine("03", "15.00", "1")))]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"med_type": "11"}, "$"),
        ({"med_type": "11", "lines": {}}, "$.lines"),
        ({"med_type": "x", "lines": []}, "$.med_type"),
        ({"med_type": "11", "lines": [{"code": "F3002", "cnt": 2}]}, "$.lines[0].cnt"),
        ({"med_type": "11", "lines": [{"code": "F3002", "cnt": "2", "pric": "1"}]}, "$.lines[0]"),
        ({"med_type": "11", "lines": [{"code": "F3002", "cnt": "1"}, {"pric": "1"}]}, "$.lines[1]"),
        ({"med_type": "11", "lines": [], "psn_no": "1"}, "$"),
        ({"med_type": "11", "lines": [{"code": "F3002", "cnt": "1"}] * 501}, "$.lines"),
    ],
)
def test_a_bill_that_is_none_is_refused_with_its_place(
    client: TestClient, counter: ScriptedCounter, body: object, place: str
) -> None:
    counter.want_bill()
    answer = client.post("/api/1/bill", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["number"], error["place"]) == (400, "W-002", place)
    assert place in error["en"]["what"]
    assert counter.calls == []


def test_an_error_of_the_bill_keeps_its_number_and_line(client: TestClient, counter: ScriptedCounter) -> None:
    counter.want_bill()
    lines = [{"code": "F3002", "cnt": "1"}, {"code": "nothing", "cnt": "1"}]
    answer = client.post("/api/1/bill", json={"med_type": "11", "lines": lines})
    error = answer.json()["error"]
    assert (answer.status_code, error["key"], error["line"]) == (422, "item_unknown", 2)


@pytest.mark.parametrize("name", ["settle", "print_guide", "finish"])
def test_what_is_not_possible_now_says_so(client: TestClient, name: str) -> None:
    answer = client.post(f"/api/1/{name}", json={})
    error = answer.json()["error"]
    assert (answer.status_code, error["number"], error["action"], error["stage"]) == (409, "W-001", name, "idle")
    assert error["zh"]["title"]
    assert error["en"]["title"]


def test_arguments_pass_through(client: TestClient, counter: ScriptedCounter) -> None:
    client.post("/api/1/full_cash", json={"reason": "emergency"})
    client.post("/api/1/cancel", json={})
    client.post("/api/1/reprint", json={"event_id": "990101-0007/1/41"})
    client.post("/api/1/refund", json={"event_id": "990101-0007/1/41"})
    assert counter.calls == [
        ("full_cash", "emergency"),
        ("cancel", None),
        ("reprint", "990101-0007/1/41"),
        ("refund", "990101-0007/1/41"),
    ]


def test_reads(client: TestClient, counter: ScriptedCounter) -> None:
    assert client.get("/api/1/items", params={"q": "xcg"}).json()[0]["code"] == "F3002"
    assert [each["event_id"] for each in client.get("/api/1/past").json()] == [
        "990101-0007/1/41",
        "990101-0007/1/40",
    ]
    assert client.get("/api/1/items", params={"q": "x" * 101}).status_code == 413
    assert client.get("/health").json() == {"stage": "idle", "reader": "ready", "centre": "ready", "printer": "ready"}
    counter.show("stopped", "insert")
    assert client.get("/health").status_code == 503


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8080"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_sites_are_refused(
    client: TestClient, counter: ScriptedCounter, method: str, headers: dict[str, str]
) -> None:
    path = {"GET": "/api/1/state", "POST": "/api/1/cancel"}[method]
    counter.want_bill()
    answer = client.request(method, path, headers={**JSON_HEADERS, **headers}, content=b"{}")
    assert (answer.status_code, answer.json()["error"]["number"]) == (403, "W-004")
    assert counter.calls == []


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "localhost", "[::1]:8080"])
def test_the_own_page_is_let_in(client: TestClient, host: str) -> None:
    answer = client.get("/api/1/state", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_plain_form_cannot_post(client: TestClient, counter: ScriptedCounter, name: str, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = client.post(f"/api/1/{name}", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["number"]) == (415, "W-005")
    assert counter.calls == []


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("announced", [True, False])
def test_a_large_body_is_refused(client: TestClient, counter: ScriptedCounter, name: str, announced: bool) -> None:
    counter.want_bill()
    body = b" " * (BODY_LIMIT + 1)
    content = body if announced else iter([body[:30_000], body[30_000:]])
    answer = client.post(f"/api/1/{name}", content=content, headers=JSON_HEADERS)
    assert (answer.status_code, answer.json()["error"]["number"]) == (413, "W-003")
    assert counter.calls == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/1/pin", 405),
        ("POST", "/api/1/state", 405),
        ("GET", "/api/2/state", 404),
        ("GET", "/style/style.py", 404),
        ("GET", "/style/../style.py", 404),
        ("GET", "/static/..%2fapp.py", 404),
    ],
)
def test_unknown_addresses_answer_in_the_same_form(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path, headers=JSON_HEADERS, content=b"{}")
    assert (answer.status_code, answer.json()["error"]["number"]) == (status, "W-006")


def test_a_fault_of_the_counter_shows_no_trace(client: TestClient, counter: ScriptedCounter) -> None:
    counter.want_bill()
    counter.failing = RuntimeError("secret 135790")
    answer = client.post("/api/1/cancel", json={})
    assert (answer.status_code, answer.json()["error"]["number"]) == (500, "W-008")
    assert "secret" not in answer.text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
BODIES = (
    st.binary(max_size=200)
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda med_type, lines: json.dumps({"med_type": med_type, "lines": lines}).encode(),
        st.text(max_size=6) | st.just("11"),
        st.lists(
            st.fixed_dictionaries({}, optional=dict.fromkeys(("code", "cnt", "pric", "chrgitm_lv"), JSON_VALUES)),
            max_size=4,
        ),
    )
    | st.integers(1, 20_000).map(lambda depth: b'{"med_type":"11","lines":[' + b"[" * depth)
    | st.integers(1, 20_000).map(
        lambda depth: b'{"med_type":"11","lines":[{"code":' + b"[" * depth + b"]" * depth + b"}]}"
    )
)


@given(name=st.sampled_from(POSTS), body=BODIES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_bodies_end_in_a_clear_answer(
    client: TestClient, counter: ScriptedCounter, name: str, body: bytes
) -> None:
    counter.want_bill()
    answer = client.post(f"/api/1/{name}", content=body, headers=JSON_HEADERS)
    assert answer.status_code in {200, 400, 409, 413, 422}
    if answer.status_code != 200:
        assert set(answer.json()["error"]) >= {"number", "key", "zh", "en"}


def test_the_page_is_strict_about_where_code_comes_from(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text
    assert "示范大药房" in answer.text
