"""The configuration: paths beside the file, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.events.frames import Broker
from server.config import load_config
from server.errors import ConfigWrong, number

GOOD = """
[server]
store = "sqlite:///centre.db"
key = "receipt.key"
[broker]
host = "mq"
port = 1883
user = "centre"
password_file = "secret/centre.password"
passwords = "/etc/mosquitto/passwords"
acl = "acl"
pid_file = "/run/mosquitto.pid"
"""


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "centre.toml"
    path.write_text(text)
    return load_config(path)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(GOOD)
    config = load_config(path)
    assert config.server.store == f"sqlite:///{tmp_path}/centre.db"
    assert config.server.key == f"{tmp_path}/receipt.key"
    assert config.broker.password_file == f"{tmp_path}/secret/centre.password"
    assert config.broker.passwords == "/etc/mosquitto/passwords"
    assert config.brokers() == (Broker("mq", 1883),)
    assert (config.web.host, config.enrol.host) == ("127.0.0.1", "127.0.0.1")


def test_what_is_offered_to_terminals(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(GOOD + '[[broker.offered]]\nhost = "a"\nport = 1\n[[broker.offered]]\nhost = "b"\nport = 2\n')
    assert load_config(path).brokers() == (Broker("a", 1), Broker("b", 2))


def test_absolute_store_and_other_databases_stay(tmp_path: Path) -> None:
    for store in ("sqlite:////var/lib/centre.db", "postgresql+psycopg://h/db"):
        path = tmp_path / "centre.toml"
        path.write_text(GOOD.replace("sqlite:///centre.db", store))
        assert load_config(path).server.store == store


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "config_unreadable"),
        ("[[[", "config_unreadable"),
        (GOOD.replace("1883", '"x"'), "config_unreadable"),
        (GOOD + "[other]\n", "config_unreadable"),
        (GOOD.replace('"centre"', '"T-1"'), "config_unreadable"),
        (GOOD + '[web]\nhost = "0.0.0.0"\n', "web_not_loopback"),
        (GOOD + '[web]\nhost = "example.org"\n', "web_not_loopback"),
        (GOOD + '[enrol]\nhost = "0.0.0.0"\n', "listener_needs_tls"),
        (GOOD + '[enrol]\nhost = "::"\ncertificate = "c.pem"\n', "listener_needs_tls"),
    ],
)
def test_refused(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigWrong) as raised:
        load(tmp_path, text)
    assert raised.value.number == number(key)


def test_enrolment_anywhere_with_tls(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(GOOD + '[enrol]\nhost = "0.0.0.0"\ncertificate = "c.pem"\nprivate_key = "k.pem"\n')
    enrol = load_config(path).enrol
    assert (enrol.tls, enrol.certificate) == (True, f"{tmp_path}/c.pem")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigWrong):
        load_config(tmp_path / "none.toml")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=80))
def test_any_bytes_are_refused_with_a_number(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "centre.toml"
    path.write_bytes(body)
    with pytest.raises(ConfigWrong):
        load_config(path)
