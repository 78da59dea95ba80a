"""Root keys of a tester: the file they come in, and what is derived from them (ssc-card.md 6.6)."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from host_bridge.conformance.keys import DerivedKeys, KeyFileError, Roots, load_roots, simulated_roots
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.files import card_files

VECTORS: dict[str, Any] = tomllib.loads(Path("tests/vectors/sscard/security.toml").read_text())
VERSIONS = {1: "2.00", 3: "3.00"}
ROOT = VECTORS["root"]


@pytest.mark.parametrize("vector", VECTORS["algorithm"], ids=lambda vector: vector["name"])
def test_what_a_card_must_answer(tmp_path: Path, vector: dict[str, Any]) -> None:
    file = tmp_path / "roots.toml"
    file.write_text(f'[keys]\nRKSSSE = ["{"00" * 16}", "{ROOT}"]\n')
    tables = card_files(VERSIONS[vector["id"]])
    historical = bytes.fromhex(VECTORS["historical_bytes"])
    keys = DerivedKeys(load_roots(file, tables), tables, VECTORS["region"], historical)
    challenge, source = (bytes.fromhex(VECTORS[name]) for name in ("challenge", "source"))
    assert keys.versions("RKSSSE") == (1, 2)
    assert keys.versions("PUK") == ()
    assert keys.authentication_data("RKSSSE", challenge, source, 2).hex().upper() == vector["authentication_data"]
    assert keys.authentication_data("RKSSSE", challenge, source) != keys.authentication_data(
        "RKSSSE", challenge, source, 2
    )


@pytest.mark.parametrize("vector", VECTORS["algorithm"], ids=lambda vector: vector["name"])
def test_macs_of_the_vectors(vector: dict[str, Any]) -> None:
    tables = card_files(VERSIONS[vector["id"]])
    roots: Roots = {"PUK": (bytes.fromhex(ROOT),)}
    keys = DerivedKeys(roots, tables, VECTORS["region"], bytes.fromhex(VECTORS["historical_bytes"]))
    mac = keys.command_mac("PUK", bytes.fromhex(VECTORS["challenge"]), CommandApdu(0x84, 0x24, 0x00, 0x00))
    assert mac.hex().upper() == vector["mac"][0]["mac"]
    for encrypted in vector["encrypted"]:
        data = keys.encrypted("PUK", bytes.fromhex(VECTORS["challenge"]), bytes.fromhex(encrypted["data"]))
        assert data.hex().upper() == encrypted["cipher"]


@pytest.mark.parametrize(
    "text",
    ["", "keys = 1", '[keys]\nPUK = ["zz"]', '[keys]\nPUK = ["00"]', '[keys]\nSTK = ["' + "00" * 16 + '"]', "[other]"],
)
def test_no_key_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "roots.toml"
    file.write_text(text)
    with pytest.raises(KeyFileError) as error:
        load_roots(file, card_files("2.00"))
    assert "00" * 16 not in str(error.value)
    with pytest.raises(KeyFileError):
        load_roots(tmp_path / "none.toml", card_files("2.00"))


def test_every_key_of_a_simulated_card_is_there() -> None:
    tables = card_files("3.00")
    assert simulated_roots(tables).keys() == {key.name for key in tables.keys.rows if not key.absent}
