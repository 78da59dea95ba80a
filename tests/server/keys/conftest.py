"""A token with the root key of the vectors, and a key service without a broker."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.events.keys import KeyAnswer, KeyStep
from protocols.sscard.security import AlgorithmMissing, diversify
from server.config import KeysPart
from server.keys.roots import Root
from server.keys.service import KeyService
from server.keys.token import NAMES, RootMissing, Token, VersionMissing
from tests.memory import in_memory
from tests.server.conftest import Bench
from tests.server.keys.softhsm import new_token, use_in_this_process

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "security.toml").read_text("utf-8")
)
ROOT_KEY = bytes.fromhex(VECTORS["root"])
LOADED = ("RKSSSE", "RK1DF04", "IRK", "UKSSSE", "UK1DF04", "PUK", "STK")


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeysPart]:
    """An empty token."""
    with in_memory() as directory:
        part = new_token(directory)
        use_in_this_process(part, monkeypatch)
        yield part


@pytest.fixture
def token(part: KeysPart) -> Iterator[Token]:
    """A token where every name has the root key of the vectors."""
    token = Token(part)
    assert token.load({Root(name, algorithm, 1): ROOT_KEY for name in LOADED for algorithm in NAMES}) == 2 * len(LOADED)
    yield token
    token.close()


class Counter:
    """Asks the key service as a terminal would, past the broker."""

    def __init__(self, service: KeyService, terminal: str) -> None:
        self._service, self.terminal = service, terminal

    def ask(self, step: KeyStep) -> KeyAnswer | None:
        return self._service.answer(self.terminal, msgspec.json.encode(step))


class PlainRoots:
    """One root key for all names, in version 1, in memory; rules and book need no token."""

    def __init__(self, root: bytes = ROOT_KEY) -> None:
        self._root = root

    def card_key(self, root: Root, *factors: bytes) -> bytes:
        if root.algorithm not in NAMES:
            raise AlgorithmMissing(root.algorithm)
        if root.key not in LOADED:
            raise RootMissing(root.key)
        if root.version != 1:
            raise VersionMissing(root)
        return diversify(root.algorithm, self._root, *factors)

    def load(self, roots: Mapping[Root, bytes]) -> int:
        return 0

    def close(self) -> None:
        return


@pytest.fixture
def service(bench: Bench) -> KeyService:
    bench.enrol("counter-1")
    bench.enrol("agency-1", role="agency")
    return KeyService(bench.store, PlainRoots(), lambda *_: None, now=lambda: bench.now)


@pytest.fixture
def counter(service: KeyService) -> Counter:
    return Counter(service, "counter-1")


@pytest.fixture
def agency(service: KeyService) -> Counter:
    return Counter(service, "agency-1")
