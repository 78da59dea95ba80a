"""Root keys and what can be had of them, wherever they live."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Root(NamedTuple):
    """Which root key: a card key's name, algorithm and version (ssc-card.md 6.1)."""

    key: str
    algorithm: int
    version: int


class Roots(Protocol):
    """Where root keys live."""

    def card_key(self, root: Root, *factors: bytes) -> bytes:
        """The key of a card below a root; `CentreError`, or `security.AlgorithmMissing`."""
        ...

    def load(self, roots: Mapping[Root, bytes]) -> int:
        """Put root keys there, for good; how many, without those that are there."""
        ...

    def close(self) -> None:
        """Let go of it; harmless when not open."""
        ...
