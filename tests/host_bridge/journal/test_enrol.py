import json
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typer.testing import CliRunner

from host_bridge.enrol import (
    EnrolAddressUnsafe,
    EnrolBacklog,
    EnrolRecordInvalid,
    EnrolRefused,
    EnrolUnreachable,
    enrol,
    open_journal,
)
from host_bridge.journal.chain import Mark
from host_bridge.journal.errors import JournalBroken, JournalRolledBack, NotEnrolled
from host_bridge.terminal_commands import app
from protocols.events.frames import EnrolmentRecord, EnrolmentRequest
from tests.host_bridge.journal.samples import PERSON, SECRET, HandClock, receipt_at, record_for, settlement

Change = Callable[[EnrolmentRecord], EnrolmentRecord]


class Centre:
    """An enrolment listener that hands out epochs, or answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[EnrolmentRequest] = []
        self.change: Change = lambda record: record
        self.status, self.headers = 200, {"Content-Type": "application/json"}
        self.body: bytes | None = None
        self._receipt_key = Ed25519PrivateKey.generate()
        centre = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/enrol"
                body = centre.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(centre.status)
                for name, value in centre.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def answer(self, body: bytes) -> bytes:
        request = msgspec.json.decode(body, type=EnrolmentRequest)
        self.asked.append(request)
        if self.body is not None:
            return self.body
        record = record_for(Ed25519PrivateKey.generate(), self._receipt_key, epoch=len(self.asked))
        mine = msgspec.structs.replace(msgspec.json.decode(record, type=EnrolmentRecord), public_key=request.public_key)
        return b"\n" + msgspec.json.encode(self.change(mine))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def centre() -> Iterator[Centre]:
    centre = Centre()
    yield centre
    centre.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def enrolled(state: Path, centre: Centre) -> None:
    enrol(state, centre.url, "CODE", HandClock(), secret=SECRET)


def test_the_record_s_bytes_start_the_journal(state: Path, centre: Centre) -> None:
    done = enrol(state, centre.url + "/", "CODE", HandClock(), secret=SECRET)
    assert centre.asked[0].code == "CODE"
    assert (done.record.terminal, done.record.epoch, done.kept, done.stranded) == ("bj-01", 1, None, 0)
    journal = open_journal(state, HandClock())
    assert journal.record_bytes.startswith(b"\n{")
    assert journal.record == done.record
    stored = journal.append(settlement(), PERSON)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(centre.asked[0].public_key))
    key.verify(bytes.fromhex(stored.signature), b"ssc-sign-1" + bytes.fromhex(stored.hash))
    journal.close()


def test_key_and_journal_are_for_their_owner_alone(state: Path, centre: Centre) -> None:
    enrolled(state, centre)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "terminal.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "journal.db").stat().st_mode) == 0o600
    assert sorted(path.name for path in state.iterdir()) == ["journal.db", "terminal.key"]


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.7:80",
        "http://localhost.example",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "http://[::1",
        "",
        "file:///x",
    ],
)
def test_the_code_goes_only_where_it_is_safe(state: Path, url: str) -> None:
    with pytest.raises(EnrolAddressUnsafe):
        enrol(state, url, "CODE", HandClock(), secret=SECRET)
    assert not state.exists()


def test_the_code_does_not_follow_a_redirection(state: Path, centre: Centre) -> None:
    other = Centre()
    centre.status, centre.headers, centre.body = 307, {"Location": f"{other.url}/enrol"}, b""
    with pytest.raises(EnrolRecordInvalid):
        enrolled(state, centre)
    other.close()
    assert other.asked == []


def test_nobody_there(state: Path, centre: Centre) -> None:
    url = centre.url
    gone = Centre()
    gone.close()
    with pytest.raises(EnrolUnreachable):
        enrol(state, gone.url, "CODE", HandClock(), secret=SECRET)
    enrol(state, url, "CODE", HandClock(), secret=SECRET)


def test_the_centre_s_refusal_is_passed_on(state: Path, centre: Centre) -> None:
    centre.status, centre.body = 403, json.dumps({"error": {"number": "C-003", "zh": {}, "en": {}}}).encode()
    with pytest.raises(EnrolRefused) as caught:
        enrolled(state, centre)
    assert caught.value.error["number"] == "C-003"
    with pytest.raises(NotEnrolled):
        open_journal(state, HandClock())


_WRONG: dict[str, Change] = {
    "public_key": lambda record: msgspec.structs.replace(record, public_key="00" * 32),
    "terminal": lambda record: msgspec.structs.replace(record, terminal="centre"),
    "bucket": lambda record: msgspec.structs.replace(record, bucket=record.bucket + 1),
    "epoch": lambda record: msgspec.structs.replace(record, epoch=0),
    "brokers": lambda record: msgspec.structs.replace(record, brokers=()),
    "time": lambda record: msgspec.structs.replace(record, time="2026-11-21T08:00:00"),
    "malformed": lambda record: msgspec.structs.replace(record, receipt_key="00"),
}


@pytest.mark.parametrize("wrong", _WRONG)
def test_a_record_that_is_not_ours_is_not_taken(state: Path, centre: Centre, wrong: str) -> None:
    centre.change = _WRONG[wrong]
    with pytest.raises(EnrolRecordInvalid, match=wrong):
        enrolled(state, centre)
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"[" * 10_000])
def test_hostile_answers_are_no_record(state: Path, centre: Centre, body: bytes) -> None:
    centre.body = body
    with pytest.raises(EnrolRecordInvalid):
        enrolled(state, centre)


def test_a_new_epoch_waits_until_the_centre_has_everything(state: Path, centre: Centre) -> None:
    enrolled(state, centre)
    journal = open_journal(state, HandClock())
    stored = journal.append(settlement(), PERSON)
    journal.close()
    with pytest.raises(EnrolBacklog) as caught:
        enrolled(state, centre)
    assert (caught.value.facts, len(centre.asked)) == ({"count": "1"}, 1)
    journal = open_journal(state, HandClock())
    journal.apply_receipt(receipt_at(Mark(1, stored.hash)))
    journal.close()
    done = enrol(state, centre.url, "CODE", HandClock(), secret=SECRET)
    assert (done.record.epoch, done.kept, done.stranded) == (2, state / "journal-1.db", 0)
    journal = open_journal(state, HandClock())
    assert (journal.end, journal.record.epoch) == (0, 2)
    assert journal.append(settlement(), PERSON).id == "bj-01/2/1"
    journal.close()


def test_a_rolled_back_journal_is_kept_aside(state: Path, centre: Centre) -> None:
    enrolled(state, centre)
    journal = open_journal(state, HandClock())
    journal.append(settlement(), PERSON)
    with pytest.raises(JournalRolledBack):
        journal.apply_receipt(receipt_at(Mark(7, "00" * 32)))
    journal.close()
    done = enrol(state, centre.url, "CODE", HandClock(), secret=SECRET)
    assert (done.record.epoch, done.kept, done.stranded) == (2, state / "journal-1.db", 1)
    journal = open_journal(state, HandClock())
    assert journal.stopped is None
    journal.close()


@pytest.mark.parametrize("moved", [(), ("journal.db",)])
def test_an_enrolment_cut_short_behind_its_record_is_finished(
    state: Path, centre: Centre, moved: tuple[str, ...]
) -> None:
    enrolled(state, centre)
    old_key = (state / "terminal.key").read_bytes()
    enrolled(state, centre)
    (state / "journal-1.db").rename(state / "before.db")
    ready = state / "enrolled-after-1"
    ready.mkdir()
    for name in ("journal.db", "terminal.key"):
        if name not in moved:
            (state / name).rename(ready / name)
    if "journal.db" not in moved:
        (state / "before.db").rename(state / "journal.db")
    (state / "terminal.key").write_bytes(old_key)
    journal = open_journal(state, HandClock())
    assert journal.record.epoch == 2
    journal.append(settlement(), PERSON)
    journal.close()
    assert not ready.exists()


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_said(state: Path, centre: Centre, pem: bytes) -> None:
    enrolled(state, centre)
    (state / "terminal.key").write_bytes(pem)
    with pytest.raises(JournalBroken, match="key"):
        open_journal(state, HandClock())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "terminal.toml"
    path.write_text('[terminal]\nstate = "state"\nreader = "virtual:2.00"\nprinter = "tcp:127.0.0.1:1"\nclerk = "02"\n')
    return path


def test_the_commands_enrol_and_list(config: Path, state: Path, centre: Centre) -> None:
    run = CliRunner().invoke
    refused = run(app, ["journal", "--config", str(config), "--json"])
    assert (refused.exit_code, json.loads(refused.stdout)["error"]["number"]) == (2, "J-005")
    done = run(app, ["enrol", "--config", str(config), "--url", centre.url, "--json"], input="FROM-STDIN\n")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["terminal"] == "bj-01"
    assert centre.asked[0].code == "FROM-STDIN"
    journal = open_journal(state, HandClock())
    stored = journal.append(settlement("V1"), PERSON)
    listed = run(app, ["journal", "--config", str(config), "--json", "--verify"])
    assert listed.exit_code == 0, listed.output
    document = json.loads(listed.stdout)
    assert (document["end"], document["mark"], document["verified"], document["rolled_back"]) == (1, 0, 1, False)
    assert document["backlog"] == {"count": 1, "fen": 10_000, "oldest": "2026-11-21T12:00:00.000+08:00"}
    assert document["events"][0] == {
        "seq": 1,
        "id": "bj-01/1/1",
        "kind": "settlement",
        "time": "2026-11-21T12:00:00.000+08:00",
        "hash": stored.hash,
        "received": False,
        "quarantined": None,
        "mdtrt_id": "V1",
        "mode": "online",
        "original": None,
        "medfee_sumamt": 10_000,
        "fund_pay_sumamt": 5_000,
        "acct_pay": 0,
        "psn_cash_pay": 5_000,
    }
    table = run(app, ["journal", "--config", str(config)])
    for text in (listed.output, table.output):
        assert PERSON.certno not in text
        assert PERSON.card_no not in text
    journal.close()


def test_the_commands_say_what_is_wrong_in_both_languages(config: Path, centre: Centre) -> None:
    run = CliRunner().invoke
    unsafe = run(app, ["enrol", "--config", str(config), "--url", "http://192.0.2.1", "--code", "X"])
    assert unsafe.exit_code == 2
    assert "J-011" in unsafe.output
    assert "登记地址不安全" in unsafe.output
    assert "Enrolment address not safe" in unsafe.output
    missing = run(app, ["enrol", "--config", str(config), "--url", centre.url, "--json"], input="")
    assert json.loads(missing.stdout)["error"]["number"] == "J-014"
    config.write_text("[terminal]\nunknown = 1\n")
    unreadable = run(app, ["journal", "--config", str(config), "--json"])
    assert (unreadable.exit_code, json.loads(unreadable.stdout)["error"]["number"]) == (2, "J-015")
