"""Root keys of the simulated cards: published, worthless, the same for everybody. No real card knows them."""

from hashlib import sha256

from protocols.sscard.keys import Key


def simulated_root(algorithm: int, key: Key, version: int) -> bytes:
    """The simulated ministry's root of a key in one of its versions."""
    text = f"SIMULATED root key {key.name}, version {version}, algorithm {algorithm}"
    return sha256(text.encode("ascii")).digest()[: key.length(algorithm)]
