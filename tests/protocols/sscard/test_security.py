"""Keys, proofs and MACs against the sheet's calculated values, and the laws that hold for every key."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sscard import security
from protocols.sscard.security import SM4, TRIPLE_DES

SHEET: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "security.toml").read_text("utf-8")
)
FACTORS = [bytes.fromhex(factor) for factor in SHEET["factors"]]
ROOT, CHALLENGE, SOURCE = (bytes.fromhex(SHEET[name]) for name in ("root", "challenge", "source"))
ciphers = pytest.mark.parametrize("row", SHEET["algorithm"], ids=lambda row: row["name"])

algorithms = st.sampled_from((TRIPLE_DES, SM4))
keys = st.binary(min_size=16, max_size=16)
blocks = st.binary(min_size=8, max_size=8)


def session_of(row: dict[str, Any]) -> bytes:
    return security.session_key(row["id"], bytes.fromhex(row["levels"][-1]), CHALLENGE)


def test_factors() -> None:
    region, historical_bytes = SHEET["region"], bytes.fromhex(SHEET["historical_bytes"])
    assert list(security.factors(region, historical_bytes)) == FACTORS


@ciphers
def test_levels(row: dict[str, Any]) -> None:
    for level, expected in enumerate(row["levels"], 1):
        assert security.diversify(row["id"], ROOT, *FACTORS[:level]).hex().upper() == expected


@ciphers
def test_session_and_proof(row: dict[str, Any]) -> None:
    session = session_of(row)
    assert session.hex().upper() == row["session"]
    assert security.authentication_data(row["id"], session, SOURCE).hex().upper() == row["authentication_data"]


@ciphers
def test_macs(row: dict[str, Any]) -> None:
    for vector in row["mac"]:
        mac = security.command_mac(row["id"], session_of(row), bytes.fromhex(vector["message"]))
        assert mac.hex().upper() == vector["mac"]


@ciphers
def test_encryption(row: dict[str, Any]) -> None:
    for vector in row["encrypted"]:
        encrypted = security.encrypt_data(row["id"], session_of(row), bytes.fromhex(vector["data"]))
        assert encrypted.hex().upper() == vector["cipher"]


def test_purchase() -> None:
    """6.4 needs no other arithmetic: session key, MACs without a header, and a TAC under the folded key."""
    row = {name: bytes.fromhex(value) for name, value in SHEET["purchase"].items()}
    card_key = bytes.fromhex(SHEET["algorithm"][0]["levels"][-1])
    session = security.session_key(TRIPLE_DES, card_key, row["random"] + row["sequence"] + row["terminal_sequence"][2:])
    assert session == row["session"]
    signed = row["amounts"] + row["type"] + row["terminal"]
    assert security.command_mac(TRIPLE_DES, session, signed + row["time"]) == row["mac1"]
    assert security.command_mac(TRIPLE_DES, session, row["amounts"]) == row["mac2"]
    tac_key = bytes(left ^ right for left, right in zip(card_key[:8], card_key[8:], strict=True))
    assert security.command_mac(TRIPLE_DES, tac_key, signed + row["terminal_sequence"] + row["time"]) == row["tac"]


@given(algorithms, keys, blocks, st.binary(max_size=40))
def test_what_was_encrypted_comes_back(algorithm: int, key: bytes, challenge: bytes, data: bytes) -> None:
    session = security.session_key(algorithm, key, challenge)
    encrypted = security.encrypt_data(algorithm, session, data)
    assert security.decrypt_data(algorithm, session, encrypted) == data
    # Padding comes only where length and data end inside a block (ssc-card.md 6.3).
    size = security.block_bytes(algorithm)
    assert len(encrypted) == -(-(1 + len(data)) // size) * size


@given(algorithms, keys, blocks, st.binary(max_size=48))
def test_anything_else_is_refused_or_encrypts_to_the_same(
    algorithm: int, key: bytes, challenge: bytes, text: bytes
) -> None:
    session = security.session_key(algorithm, key, challenge)
    try:
        data = security.decrypt_data(algorithm, session, text)
    except security.CipherTextError:
        return
    assert security.encrypt_data(algorithm, session, data) == text


@given(keys, blocks, blocks)
def test_a_key_with_equal_halves_is_single_des(key: bytes, factor: bytes, challenge: bytes) -> None:
    half = key[:8]
    assert security.diversify(TRIPLE_DES, half, factor) == security.diversify(TRIPLE_DES, half * 2, factor)[:8]
    assert security.session_key(TRIPLE_DES, half, challenge) == security.session_key(TRIPLE_DES, half * 2, challenge)


@given(algorithms, keys, st.binary(min_size=4, max_size=4))
def test_a_short_challenge_is_filled_up(algorithm: int, key: bytes, challenge: bytes) -> None:
    filled = challenge + bytes(security.block_bytes(algorithm) - 4)
    assert security.session_key(algorithm, key, challenge) == security.session_key(algorithm, key, filled)


@given(algorithms, keys, blocks, st.binary(max_size=40))
def test_a_message_that_looks_padded_has_another_mac(
    algorithm: int, key: bytes, challenge: bytes, message: bytes
) -> None:
    session, size = security.session_key(algorithm, key, challenge), security.block_bytes(algorithm)
    looks_padded = message + b"\x80" + bytes(-(len(message) + 1) % size)
    macs = {security.command_mac(algorithm, session, each) for each in (message, looks_padded)}
    assert len(macs) == 2
    assert {len(mac) for mac in macs} == {security.MAC_BYTES}


@pytest.mark.parametrize("algorithm", [0, 2, 4])
def test_a_cipher_that_is_not_here(algorithm: int) -> None:
    with pytest.raises(security.AlgorithmMissing) as caught:
        security.session_key(algorithm, ROOT, CHALLENGE)
    assert caught.value.algorithm == algorithm
    with pytest.raises(security.AlgorithmMissing):
        security.diversify(algorithm, ROOT, FACTORS[0])


WRONG_LENGTHS: list[Callable[[], bytes]] = [
    lambda: security.session_key(TRIPLE_DES, ROOT, bytes(16)),
    lambda: security.session_key(TRIPLE_DES, ROOT, b""),
    lambda: security.session_key(SM4, ROOT, bytes(17)),
    lambda: security.session_key(SM4, ROOT[:8], CHALLENGE),
    lambda: security.session_key(TRIPLE_DES, ROOT + ROOT[:8], CHALLENGE),
    lambda: security.diversify(SM4, ROOT, FACTORS[0][:7]),
    lambda: security.authentication_data(SM4, ROOT, SOURCE[:7]),
]


@pytest.mark.parametrize("call", WRONG_LENGTHS)
def test_wrong_lengths_are_refused_and_keys_not_repeated(call: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert ROOT[:8].hex() not in str(caught.value)
