"""Bytes that were right once: cut, doubled, flipped, grown; and what a fuzz target is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st


class Target(NamedTuple):
    """Something that must stand every case; `check` fails with an exception."""

    name: str
    cases: st.SearchStrategy[Any]
    check: Callable[[Any], None]


class Mutation(NamedTuple):
    """One change at `place`, which is taken modulo the length."""

    kind: str
    place: int
    length: int
    data: bytes

    def apply(self, data: bytes) -> bytes:
        at = self.place % (len(data) + 1)
        head, found, tail = data[:at], data[at : at + self.length], data[at + self.length :]
        changed = {
            "cut": b"",
            "double": found + found,
            "flip": bytes(byte ^ 1 << self.place % 8 for byte in found),
            "overwrite": (self.data + found[len(self.data) :])[: len(found)],
            "replace": self.data,
            "insert": self.data + found,
            "end": found,
        }
        return head + changed[self.kind] + (b"" if self.kind == "end" else tail)


mutation = st.builds(
    Mutation,
    st.sampled_from(("flip", "overwrite", "overwrite", "cut", "double", "replace", "insert", "end")),
    st.integers(0, 1000),
    st.integers(0, 8),
    st.one_of(st.binary(max_size=6), st.sampled_from((b"\x00", b"\xff", b"\xee", b"\x80", b"\x7f\xff"))),
)
mutations = st.lists(mutation, max_size=4).map(tuple)


def mutated(data: bytes, changes: Sequence[Mutation]) -> bytes:
    for change in changes:
        data = change.apply(data)
    return data


def like(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """Mutations of one of these, and anything at all."""
    return st.one_of(st.builds(mutated, st.sampled_from(seeds), mutations), st.binary(max_size=300))
