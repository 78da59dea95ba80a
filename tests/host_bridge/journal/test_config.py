from pathlib import Path

import pytest

from host_bridge.clock import SystemClock
from host_bridge.config import ConfigError, load_config

MINIMAL = '[terminal]\nstate = "state"\nreader = "serial:/dev/ttyS0"\nprinter = "tcp:h:9100"\nclerk = "02"\n'


def test_a_minimal_file(tmp_path: Path) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(MINIMAL)
    config = load_config(path)
    assert config.terminal.state == tmp_path / "state"
    assert not config.terminal.simulated
    assert (config.clock.trusted, config.web.host, config.web.port) == ("system", "127.0.0.1", 0)


def test_an_absolute_state_stays(tmp_path: Path) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(MINIMAL.replace('"state"', '"/var/lib/ssc"') + '[clock]\ntrusted = "always"\n[web]\nport = 8080\n')
    config = load_config(path)
    assert config.terminal.state == Path("/var/lib/ssc")
    assert (config.clock.trusted, config.web.port) == ("always", 8080)


@pytest.mark.parametrize(
    "text",
    ["", "[terminal", MINIMAL + "extra = 1\n", MINIMAL + '[clock]\ntrusted = "never"\n', MINIMAL.replace('"02"', "2")],
)
def test_what_is_wrong_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"terminal\.toml"):
        load_config(path)


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "terminal.toml"
    with pytest.raises(ConfigError):
        load_config(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError):
        load_config(path)


def test_the_system_s_clock() -> None:
    clock = SystemClock("always")
    assert clock.wall().utcoffset() is not None
    assert clock.monotonic_ms() <= clock.monotonic_ms()
    assert clock.boot_id() == SystemClock().boot_id()
    assert clock.trusted()
