"""The token: 6.6 through it, roots that do not come out, and what is said where it cannot be used."""

from pathlib import Path
from typing import Any

import msgspec
import pkcs11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pkcs11 import Attribute
from pkcs11.exceptions import AttributeSensitive

from protocols.sscard.security import AlgorithmMissing, diversify
from server.config import KeysPart
from server.keys.roots import Root
from server.keys.token import RootMissing, Token, TokenUnusable, VersionMissing
from tests.server.keys.conftest import ROOT_KEY, VECTORS
from tests.server.keys.softhsm import PIN, TOKEN

FACTORS = [bytes.fromhex(factor) for factor in VECTORS["factors"]]


@pytest.mark.parametrize("vector", VECTORS["algorithm"], ids=lambda vector: vector["name"])
def test_card_keys_of_the_vectors(token: Token, vector: dict[str, Any]) -> None:
    for level in (1, 2, 3):
        key = token.card_key(Root("RKSSSE", vector["id"], 1), *FACTORS[:level])
        assert key == bytes.fromhex(vector["levels"][level - 1])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    root=st.binary(min_size=16, max_size=16),
    factors=st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=3),
    algorithm=st.sampled_from([1, 3]),
)
def test_token_and_definition_agree(part: KeysPart, root: bytes, factors: list[bytes], algorithm: int) -> None:
    token = Token(part)
    name = root.hex()
    if token.load({Root(name, algorithm, 1): root}):
        assert token.card_key(Root(name, algorithm, 1), *factors) == diversify(algorithm, root, *factors)
    token.close()


def test_a_single_des_root_gives_a_single_des_key(part: KeysPart) -> None:
    token = Token(part)
    assert token.load({Root("STK", 1, 1): ROOT_KEY[:8]}) == 1
    assert token.card_key(Root("STK", 1, 1), *FACTORS) == diversify(1, ROOT_KEY[:8], *FACTORS)
    token.close()


@pytest.mark.parametrize("algorithm", [1, 3])
def test_several_versions_at_once(part: KeysPart, algorithm: int) -> None:
    """Old and new during a changeover."""
    token, roots = Token(part), {Root("RKSSSE", algorithm, version): bytes((version,)) * 16 for version in (1, 3)}
    assert token.load({Root("RKSSSE", algorithm, 1): bytes((1,)) * 16}) == 1
    assert token.load(roots) == 1
    for root, value in roots.items():
        assert token.card_key(root, *FACTORS) == diversify(algorithm, value, *FACTORS)
    with pytest.raises(VersionMissing) as missing:
        token.card_key(Root("RKSSSE", algorithm, 2), *FACTORS)
    assert missing.value.facts == {"name": "RKSSSE", "version": "2"}
    with pytest.raises(RootMissing):
        token.card_key(Root("RK1DF04", algorithm, 3), *FACTORS)
    with pytest.raises(RootMissing):
        token.card_key(Root("RKSSS", algorithm, 1), *FACTORS)
    token.close()


def test_the_last_version_alone(part: KeysPart) -> None:
    token = Token(part)
    token.load({Root("RKSSSE", 3, 2): ROOT_KEY})
    with pytest.raises(VersionMissing):
        token.card_key(Root("RKSSSE", 3, 1), *FACTORS)
    token.close()


def test_a_root_stays_where_it_is(token: Token, part: KeysPart) -> None:
    assert token.load({Root("RKSSSE", 1, 1): bytes(16)}) == 0
    assert token.card_key(Root("RKSSSE", 1, 1), FACTORS[0]).hex().upper() == VECTORS["algorithm"][0]["levels"][0]
    token.close()
    with pkcs11.lib(part.module).get_token(token_label=TOKEN).open(user_pin=PIN) as session:
        for each in session.get_objects():
            if each.object_class == pkcs11.ObjectClass.SECRET_KEY:
                with pytest.raises(AttributeSensitive):
                    _ = each[Attribute.VALUE]
            else:
                assert ROOT_KEY not in each[Attribute.VALUE]
    files = [file for file in Path(part.pin_file).parent.rglob("*") if file.is_file()]
    assert len(files) > 10
    for file in files:
        assert ROOT_KEY not in file.read_bytes()


def test_what_the_token_lacks(token: Token) -> None:
    for algorithm in (1, 3):
        with pytest.raises(RootMissing):
            token.card_key(Root("RK2DF07", algorithm, 1), *FACTORS)
    with pytest.raises(AlgorithmMissing):
        token.card_key(Root("RKSSSE", 2, 1), *FACTORS)


@pytest.mark.parametrize(
    "changes",
    [{"module": "/nowhere/module.so"}, {"token": "another"}, {"pin_file": "/nowhere/pin"}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_token_that_cannot_be_used(part: KeysPart, changes: dict[str, str]) -> None:
    with pytest.raises(TokenUnusable) as raised:
        Token(msgspec.structs.replace(part, **changes)).card_key(Root("RKSSSE", 1, 1), *FACTORS)
    assert PIN not in str(raised.value.facts)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_pin_that_others_can_reach_is_refused(part: KeysPart, mode: int) -> None:
    Path(part.pin_file).chmod(mode)
    token = Token(part)
    with pytest.raises(TokenUnusable) as raised:
        token.card_key(Root("RKSSSE", 1, 1), *FACTORS)
    assert f"{mode:04o}" in raised.value.facts["reason"]
    assert PIN not in str(raised.value.facts)
    Path(part.pin_file).chmod(0o600)
    with pytest.raises(RootMissing):
        token.card_key(Root("RKSSSE", 1, 1), *FACTORS)


def test_the_token_is_opened_again_after_an_error(token: Token) -> None:
    with pytest.raises(TokenUnusable):
        token.card_key(Root("RKSSSE", 1, 1), b"odd")
    assert token.card_key(Root("RKSSSE", 1, 1), FACTORS[0]).hex().upper() == VECTORS["algorithm"][0]["levels"][0]


def test_a_wrong_pin_is_told_without_it_and_tried_once(part: KeysPart) -> None:
    Path(part.pin_file).write_text("11112222")
    token = Token(part)
    with pytest.raises(TokenUnusable) as raised:
        token.card_key(Root("RKSSSE", 1, 1), *FACTORS)
    assert raised.value.facts == {"reason": "PinIncorrect"}
    Path(part.pin_file).write_text(PIN)
    with pytest.raises(TokenUnusable):  # it was not tried again
        token.card_key(Root("RKSSSE", 1, 1), *FACTORS)
    again = Token(part)
    assert again.load({}) == 0
    again.close()
