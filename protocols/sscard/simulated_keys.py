"""Root keys of simulated cards. Everybody can compute them: they are worth nothing, and no real card has them."""

import hashlib

from protocols.sscard.files import card_files, versions

_LABEL = b"ssc-simulated-root-1"


def simulated_root(name: str, algorithm: int) -> bytes:
    """The root of `RKSSSE` …, as long as its cards' keys; `KeyError` where no card version has such a key."""
    tables = [each for each in map(card_files, versions()) if each.algorithm == algorithm]
    lengths = [row.length(algorithm) for each in tables for row in each.keys.rows if row.name == name]
    if not lengths:
        raise KeyError(name)
    return hashlib.sha256(_LABEL + bytes((algorithm,)) + name.encode("ascii")).digest()[: lengths[0]]
