"""Pages and their JSON twins: complete, linked, without personal data, and deaf to hostile questions."""

import re
from collections import deque
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from protocols.events.topics import topic
from tests.server.web.centre import Centre, Morning

HREF = re.compile(r'href="(/[^"]*)"')
TWINS = ("overview", "terminals", "settlements", "differences", "quarantine", "alarms")


def _crawl(client: TestClient) -> dict[str, str]:
    """Every page that links lead to from the first one."""
    found: dict[str, str] = {}
    waiting = deque(["/"])
    while waiting:
        path = waiting.popleft()
        if path in found or path.startswith(("/static/", "/style/")):
            continue
        answer = client.get(path)
        assert answer.status_code == 200, path
        found[path] = answer.text
        waiting.extend(unescape(link).partition("#")[0] for link in HREF.findall(answer.text))
    return found


def test_every_link_leads_somewhere_and_every_event_is_reached(morning: Morning) -> None:
    with morning.centre.client() as client:
        found = _crawl(client)
    for event in (morning.first, morning.refund, morning.refunded, morning.provisional, morning.quarantined):
        assert f"/event/{event.id}" in found
    assert {"/", "/terminals", "/settlements", "/differences", "/quarantine", "/alarms"} <= found.keys()
    assert {f"/terminals/{each.id}" for each in (morning.clinic, morning.pharmacy, morning.away)} <= found.keys()


def test_nobody_is_named(morning: Morning) -> None:
    secrets = {
        secret
        for person in morning.centre.people.values()
        for secret in (person.certno, person.card.card_no, person.name)
        if secret
    }
    assert len(secrets) > 20
    with morning.centre.client() as client:
        shown = _crawl(client)
        shown |= {f"/api/1/{name}": client.get(f"/api/1/{name}").text for name in TWINS}
        shown |= {f"/api/1{path}": client.get(f"/api/1{path}").text for path in shown if path.startswith("/event/")}
    for path, text in shown.items():
        for secret in secrets:
            assert secret not in text, path
        assert "person_hash" not in text, path
        assert not re.search(r"99\d{15}[\dX]", text), path


def test_a_number_in_a_hostile_topic_is_masked(centre: Centre) -> None:
    centre.take("ssc/1/0/990101198802290036/event", b"{}")
    with centre.client() as client:
        for path in ("/alarms", "/api/1/alarms"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "990101198802290036" not in answer.text
            assert "*" * 18 in answer.text


@pytest.mark.parametrize("name", TWINS)
def test_every_page_has_a_json_twin(morning: Morning, name: str) -> None:
    with morning.centre.client() as client:
        answer = client.get(f"/api/1/{name}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()
        assert client.get("/" if name == "overview" else f"/{name}").status_code == 200


def test_an_empty_centre_has_every_page(centre: Centre) -> None:
    with centre.client() as client:
        assert len(_crawl(client)) == 6
        assert "还没有登记任何终端" in client.get("/").text


def test_settlements_by_day_and_terminal(morning: Morning) -> None:
    with morning.centre.client() as client:
        every = client.get("/api/1/settlements").json()
        assert len(every["rows"]) == 9
        assert every["day"] == "2026-11-21"
        one = client.get(f"/api/1/settlements?terminal={morning.pharmacy.id}").json()
        assert [row["total_fen"] for row in one["rows"]] == [3720]
        assert client.get("/api/1/settlements?day=2026-11-20").json()["rows"] == []


def test_totals_by_fund_and_adjustments(morning: Morning) -> None:
    """As worked in `test_overview`; the pharmacy's 37.20 came from the account, the rest was cash."""
    with morning.centre.client() as client:
        totals = {each["payer"]["en"]: each for each in client.get("/api/1/settlements").json()["totals"]}
    assert totals["Employees' fund"]["events_fen"] == 1775 + 15750
    assert totals["Employees' fund"]["adjusted_fen"] == 5250
    assert totals["Personal accounts"]["events_fen"] == 3720
    assert totals["Cash"]["adjusted_fen"] == -5250
    assert sum(each["events_fen"] for each in totals.values()) == 65042


def test_older_settlements_are_a_page_away(centre: Centre) -> None:
    terminal = centre.enrol("T1", "示范药房")
    for _ in range(6):
        terminal.send(*(terminal.settle("spare", ("X1001", "1"), mode="full_cash") for _ in range(20)))
    with centre.client() as client:
        first = client.get("/api/1/settlements").json()
        second = client.get(f"/api/1/settlements?before={first['older']}").json()
    ids = [row["id"] for page in (first, second) for row in page["rows"]]
    assert len(ids) == len(set(ids)) == 120
    assert second["older"] is None


def test_a_difference_names_payee_channel_and_state(morning: Morning) -> None:
    with morning.centre.client() as client:
        (found,) = client.get("/api/1/differences").json()
        assert found["event"] == morning.provisional.id
        assert (found["fund_fen"], found["account_fen"], found["cash_fen"]) == (5250, 0, -5250)
        assert (found["payee"]["zh"], found["channel"]["zh"]) == ("参保人", "社保卡银行账户")
        assert found["state"]["zh"] == "待处理"
        text = client.get("/differences").text
        assert "参保人" in text
        assert "52.50" in text


def test_quarantine_gives_the_reason_and_the_event(morning: Morning) -> None:
    with morning.centre.client() as client:
        (found,) = client.get("/api/1/quarantine").json()
        assert (found["id"], found["number"]) == (morning.quarantined.id, "C-022")
        assert client.get(f"/api/1/quarantine?terminal={morning.pharmacy.id}").json() == []


def test_alarms_keep_evidence_by_hash(morning: Morning) -> None:
    with morning.centre.client() as client:
        found = client.get("/api/1/alarms").json()
    assert [each["number"] for each in found["alarms"]] == ["C-032"]
    (kept,) = found["evidence"]
    assert kept["topic"] == topic("990101-9999", "event")
    # printf '{}' | sha256sum
    assert kept["payload_hash"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert "payload" not in kept


HOSTILE = (
    "/settlements?day=",
    "/settlements?day=2026-13-01",
    "/settlements?day=2026-02-30",
    "/settlements?day=0001-01-01",
    "/settlements?day=9999-12-31",
    "/settlements?day=２０２６-11-21",
    "/settlements?before=0",
    "/settlements?before=-1",
    "/settlements?before=99999999999999999999",
    "/settlements?before=1e3",
    "/settlements?before=%00",
    "/settlements?terminal=",
    "/settlements?terminal=centre",
    "/settlements?terminal=' OR 1=1 --",
    "/settlements?terminal=%ff%fe",
    "/quarantine?terminal=../..",
    "/alarms?terminal=<script>",
    "/terminals/%00",
    "/terminals/nobody",
    "/terminals/" + "a" * 5000,
    "/event/",
    "/event/a/1",
    "/event/a/1/0",
    "/event/a/1/" + "9" * 400,
    "/event/a/99999999999999999999/1",
    "/event/nobody/1/1",
    "/events?after=x",
    "/events?last_event_id=1.2",
    "/style/../app.py",
    "/style/%2e%2e/app.py",
    "/style/style.py",
    "/static/..%2fapp.py",
    "/nothing",
)


def test_hostile_questions_are_refused(morning: Morning) -> None:
    with morning.centre.client() as client:
        for path in (prefix + path for path in HOSTILE for prefix in ("", "/api/1")):
            answer = client.get(path)
            assert 400 <= answer.status_code < 500, path
            assert "<script>" not in answer.text, path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    path=st.sampled_from(["/", "/terminals", "/settlements", "/quarantine", "/alarms", "/api/1/settlements"]),
    query=st.dictionaries(st.sampled_from(["day", "terminal", "before", "x"]), st.text(max_size=20), max_size=3),
)
def test_no_question_breaks_a_page(morning: Morning, path: str, query: dict[str, str]) -> None:
    answer = morning.centre.client().get(path, params=query)
    assert answer.status_code in (200, 400)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(name=st.text(max_size=30))
def test_no_event_name_breaks_a_page(morning: Morning, name: str) -> None:
    answer = morning.centre.client().get(f"/api/1/event/{quote(name, safe='/')}")
    assert answer.status_code in (400, 404)
    assert set(answer.json()["error"]) == {"number", "zh", "en"}


ASKERS = (
    ({"host": "evil.example"}, 403),
    ({"host": "127.0.0.1.evil.example:80"}, 403),
    ({"host": "10.0.0.1"}, 403),
    ({"host": ""}, 403),
    ({"host": "[::2]"}, 403),
    ({"host": "localhost:8080"}, 200),
    ({"host": "127.0.0.1:1"}, 200),
    ({"host": "127.9.9.9"}, 200),
    ({"host": "[::1]:8080"}, 200),
    ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
    ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
    ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200),
)


def test_only_this_machine_is_answered(morning: Morning) -> None:
    client = morning.centre.client()
    for headers, status in ASKERS:
        assert client.get("/api/1/overview", headers=headers).status_code == status, headers


def test_pages_only_read(centre: Centre) -> None:
    client = centre.client()
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.request(method, "/").status_code == 405


def test_headers_are_strict(morning: Morning) -> None:
    for path in ("/", "/api/1/overview", "/nothing", "/style/tokens.css"):
        headers = morning.centre.client().get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_pages_carry_no_inline_style_or_script(morning: Morning) -> None:
    with morning.centre.client() as client:
        for path, text in _crawl(client).items():
            assert not re.search(r"\sstyle=|\son\w+=", text), path
            for attributes in re.findall(r"<script([^>]*)>", text):
                assert "src=" in attributes or "application/json" in attributes, path
            assert "http://" not in text, path
            assert "https://" not in text, path


def test_health(centre: Centre, tmp_path: Path) -> None:
    assert centre.client().get("/health/live").json() == {"live": True}
    assert centre.client().get("/health/ready").status_code == 200
    away = centre.client(connected=lambda: False)
    answer = away.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"store": True, "broker": False})
    assert "消息代理不可达" in away.get("/").text


def test_a_store_that_is_gone_is_said(centre: Centre, tmp_path: Path) -> None:
    client = centre.client()
    centre.store.close()
    (tmp_path / "centre.db").write_bytes(b"no database at all, and long enough to be looked at" * 100)
    for name in ("centre.db-wal", "centre.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    answer = client.get("/")
    assert answer.status_code == 503
    assert "O-005" in answer.text
    assert client.get("/api/1/overview").json()["error"]["number"] == "O-005"
    assert client.get("/health/ready").json() == {"store": False, "broker": True}
    assert client.get("/health/live").status_code == 200
