"""The keys a tester brings along: root keys, from which those of the card in the reader are derived."""

import tomllib
from pathlib import Path
from typing import Protocol

import msgspec

from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import security
from protocols.sscard.commands import mac_message
from protocols.sscard.files import CardFiles
from protocols.sscard.simulated import simulated_root

Roots = dict[str, tuple[bytes, ...]]
"""Root keys by name, one for each key version from the first."""


class KeyFileError(Exception):
    """A key file that cannot be read or holds no keys; names the file, never its content."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class RootKeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Root keys in hexadecimal by name (`RKSSSE`, `UK1DF01` …), one for each key version from 1."""

    keys: dict[str, tuple[str, ...]]

    def __repr__(self) -> str:
        return f"RootKeyFile({len(self.keys)} keys)"


class Keys(Protocol):
    """Somewhere that computes with the keys of one card. `version` None: the one a card takes without being told."""

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions there are of a key; none where it is not here."""
        ...

    def authentication_data(self, name: str, challenge: bytes, source: bytes, version: int | None = None) -> bytes:
        """The 8 bytes of EXTERNAL and INTERNAL AUTHENTICATION."""
        ...

    def command_mac(self, name: str, challenge: bytes, command: CommandApdu) -> bytes:
        """The MAC of a command that has none yet."""
        ...

    def encrypted(self, name: str, challenge: bytes, data: bytes) -> bytes:
        """Data as they travel in a command with MAC."""
        ...


class DerivedKeys:
    """`Keys` of one card, derived from root keys by its region and historical bytes (ssc-card.md 6.2)."""

    def __init__(self, roots: Roots, tables: CardFiles, region: str, historical: bytes) -> None:
        self._roots, self._algorithm = roots, tables.algorithm
        self._factors = security.factors(region, historical)
        self._versions = {name: tables.keys.versions[: len(values)] for name, values in roots.items()}

    def versions(self, name: str) -> tuple[int, ...]:
        return self._versions.get(name, ())

    def authentication_data(self, name: str, challenge: bytes, source: bytes, version: int | None = None) -> bytes:
        session = self._session(name, challenge, version)
        return security.authentication_data(self._algorithm, session, source)

    def command_mac(self, name: str, challenge: bytes, command: CommandApdu) -> bytes:
        return security.command_mac(self._algorithm, self._session(name, challenge), mac_message(command))

    def encrypted(self, name: str, challenge: bytes, data: bytes) -> bytes:
        return security.encrypt_data(self._algorithm, self._session(name, challenge), data)

    def _session(self, name: str, challenge: bytes, version: int | None = None) -> bytes:
        place = 0 if version is None else self.versions(name).index(version)
        key = security.diversify(self._algorithm, self._roots[name][place], *self._factors)
        return security.session_key(self._algorithm, key, challenge)


def load_roots(path: Path, tables: CardFiles) -> Roots:
    """Root keys of a TOML file for a card version; `KeyFileError` where it has none, or of another length."""
    try:
        file = msgspec.convert(tomllib.loads(path.read_text("utf-8")), RootKeyFile)
        roots = {name: tuple(map(bytes.fromhex, values)) for name, values in file.keys.items()}
    except OSError as error:
        raise KeyFileError(path, error.strerror or "cannot be read") from None
    except ValueError:
        raise KeyFileError(path, "is no key file") from None
    for key in tables.keys.rows:
        if any(len(root) != key.length(tables.algorithm) for root in roots.get(key.name, ())):
            raise KeyFileError(path, f"has {key.name} of another length than the card")
    return roots


def simulated_roots(tables: CardFiles) -> Roots:
    """The published roots of the simulated cards."""
    return {
        key.name: tuple(simulated_root(tables.algorithm, key, version) for version in tables.keys.versions)
        for key in tables.keys.rows
        if not key.absent
    }
