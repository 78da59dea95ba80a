"""`ssc server key`, as an operator uses it."""

import json
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from protocols.events.keys import KeyUse
from protocols.sscard.files import card_keys
from protocols.sscard.security import diversify
from protocols.sscard.simulated import simulated_root
from server.commands import app
from server.config import KeysPart
from server.errors import number
from server.keys.roots import Root
from server.keys.service import KeyService
from server.keys.token import Token, VersionMissing
from server.store.store import Store
from tests.server.conftest import NOW, Bench
from tests.server.keys.conftest import Counter, PlainRoots
from tests.server.keys.steps import authentication, session


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "centre.toml"
    path.write_text(
        '[server]\nstore = "sqlite:///centre.db"\nkey = "receipt.key"\n'
        '[broker]\nhost = "127.0.0.1"\nport = 1\nuser = "centre"\npassword_file = "p"\n'
        'passwords = "passwords"\nacl = "acl"\npid_file = "pid"\n'
    )
    return path


def ssc(config: Path, *arguments: str, status: int = 0) -> Any:
    """What it prints, as JSON."""
    done = CliRunner().invoke(app, ["server", "key", *arguments, "--config", str(config), "--json"])
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def with_keys(config: Path, part: KeysPart) -> Path:
    keys = f'[keys]\nmodule = "{part.module}"\ntoken = "{part.token}"\npin_file = "{part.pin_file}"\n'
    config.write_text(config.read_text() + keys)
    return config


def test_init_loads_a_version_of_the_simulated_roots_once(config: Path, part: KeysPart) -> None:
    with_keys(config, part)
    first = ssc(config, "init")
    assert (first["simulated"], first["key_version"]) == (True, 1)
    assert first["loaded"] > 50
    assert ssc(config, "init")["loaded"] == 0
    assert ssc(config, "init", "--key-version", "3")["loaded"] == first["loaded"]
    token = Token(part)
    factors = [b"99000000", b"990100sx"]
    for algorithm, version in product((1, 3), (1, 3)):
        root = simulated_root(algorithm, card_keys("3.00").key("RKSSSE"), version)
        found = token.card_key(Root("RKSSSE", algorithm, version), *factors)
        assert found == diversify(algorithm, root, *factors)
    with pytest.raises(VersionMissing):
        token.card_key(Root("RKSSSE", 3, 2), *factors)
    token.close()


def test_init_leaves_a_key_that_is_there(config: Path, part: KeysPart) -> None:
    token = Token(part)
    token.load({Root("RKSSSE", 3, 1): bytes(16)})
    before = token.card_key(Root("RKSSSE", 3, 1), bytes(8))
    token.close()
    ssc(with_keys(config, part), "init")
    token = Token(part)
    assert token.card_key(Root("RKSSSE", 3, 1), bytes(8)) == before
    token.close()


def test_init_without_keys_or_token(config: Path, part: KeysPart) -> None:
    assert ssc(config, "init", status=2)["error"]["number"] == number("key_service_absent")
    Path(part.pin_file).unlink()
    assert ssc(with_keys(config, part), "init", status=2)["error"]["number"] == number("key_token_unusable")


def test_an_operator_sees_approves_and_audits(config: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.keys.commands.SystemClock.wall", lambda _: NOW)
    bench.enrol("agency-1", role="agency")
    store = Store.open(bench.url)
    agency = Counter(KeyService(store, PlainRoots(), lambda *_: None, now=lambda: NOW), "agency-1")
    step = authentication("unblock_pin", "PUK")
    agency.ask(step)
    (request,) = ssc(config, "requests")["requests"]
    assert {name: request[name] for name in ("terminal", "use", "card", "approved_ms")} == {
        "terminal": "agency-1",
        "use": "unblock_pin",
        "card": "8660990100000001",
        "approved_ms": None,
    }
    assert ssc(config, "approve", str(request["id"])) == {"approved": request["id"]}
    assert ssc(config, "approve", str(request["id"]), status=2)["error"]["number"] == number("key_request_unknown")
    agency.ask(step)
    assert [use["refusal"] for use in ssc(config, "audit")["uses"]] == [number("key_not_approved"), None]
    store.close()


def test_what_is_approved_is_whole_on_80_columns(config: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.keys.commands.SystemClock.wall", lambda _: NOW)
    bench.enrol("110102-0088", role="agency")
    agency = Counter(KeyService(bench.store, PlainRoots(), lambda *_: None, now=lambda: NOW), "110102-0088")
    for step in (
        authentication("unblock_pin", "PUK"),
        authentication("update", "UK1DF04"),
        session("reset_pin", "STK"),
    ):
        agency.ask(step)
    (first, *_) = ssc(config, "requests")["requests"]
    ssc(config, "approve", str(first["id"]))
    shown = {}
    for command in ("requests", "audit"):
        done = CliRunner().invoke(app, ["server", "key", command, "--config", str(config)], env={"COLUMNS": "80"})
        assert done.exit_code == 0
        assert "…" not in done.stdout
        shown[command] = done.stdout
    requests = ["110102-0088", "密码解锁", "unblock_pin", "UK1DF04", "8660990100000001", "990100 · 算法 03"]
    for part in (*requests, "2026-11-21 10:00:00"):
        assert part in shown["requests"]
    assert shown["requests"].count("2026-11-21 10:00:00") == 4
    for part in ("2026-11-21 10:00:00", "unblock_pin", "密码重置", "reset_pin", "authentication", "UK1DF04", "K-113"):
        assert part in shown["audit"]


def test_every_use_has_a_word(bench: Bench, config: Path) -> None:
    bench.enrol("counter-1")
    counter = Counter(KeyService(bench.store, PlainRoots(), lambda *_: None, now=lambda: NOW), "counter-1")
    for use in get_args(KeyUse):
        counter.ask(authentication(use, "PUK"))
    done = CliRunner().invoke(app, ["server", "key", "audit", "--config", str(config)], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert all(use in done.stdout for use in get_args(KeyUse))
