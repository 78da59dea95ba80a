"""The keys of a card: where each is, what it is for, and what security modules call it (ssc-card.md 6.1)."""

from typing import Literal

import msgspec

from protocols.sscard.security import TRIPLE_DES

LOCAL = 0x80
"""Bit 8 of a card key id: a key of the DF, not of the SSSE (ssc-card.md 4.1)."""

Purpose = Literal[
    "internal authentication",
    "MAC",
    "blocking",
    "PIN",
    "reading",
    "updating",
    "load",
    "purchase",
    "TAC",
    "starting day",
]
EXTERNAL: frozenset[Purpose] = frozenset({"blocking", "PIN", "reading", "updating", "starting day"})
"""Purposes of keys for EXTERNAL AUTHENTICATION."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key; `id` on the card, `usage` and `psam_id` in a PSAM, `hsm` the address in hexadecimal, as far as known.

    `single` keys have 8 bytes on cards with 3DES. The key with `pin_mac` makes cipher and MAC of PIN CHANGE/UNBLOCK.
    `unverified` tells what is inferred; an `absent` key is in the table but not on the card.
    """

    directory: str
    name: str
    purpose: Purpose
    mark: str
    id: int | None = None
    usage: int | None = None
    psam_id: int | None = None
    hsm: str = ""
    single: bool = False
    pin_mac: bool = False
    absent: bool = False
    unverified: str = ""

    @property
    def external(self) -> bool:
        """Whether it is one for EXTERNAL AUTHENTICATION."""
        return self.purpose in EXTERNAL

    def length(self, algorithm: int) -> int:
        """Bytes of the key on a card with this algorithm."""
        return 8 if self.single and algorithm == TRIPLE_DES else 16


class CardKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every key of a card version. Each may be there in several `versions`, which an optional 17th byte selects."""

    source: str
    versions: tuple[int, ...]
    unverified: str
    rows: tuple[Key, ...]

    def key(self, name: str) -> Key:
        """`RKSSSE`, `UK1DF01` …; `KeyError` where the card has none."""
        for key in self.rows:
            if key.name == name and not key.absent:
                return key
        raise KeyError(name)

    def by_id(self, directory: str, key_id: int) -> Key:
        """The key that EXTERNAL AUTHENTICATION takes in a directory; `KeyError` where there is none."""
        home = directory if key_id & LOCAL else "SSSE"
        for key in self.rows:
            if (key.directory, key.id) == (home, key_id) and key.external and not key.absent:
                return key
        raise KeyError(f"{home} {key_id:02X}")

    def of(self, directory: str, purpose: Purpose) -> tuple[Key, ...]:
        """The keys of a directory for a purpose."""
        return tuple(
            key for key in self.rows if (key.directory, key.purpose) == (directory, purpose) and not key.absent
        )

    @property
    def pin_mac(self) -> Key:
        """The key that makes cipher and MAC of PIN CHANGE/UNBLOCK (ssc-card.md 10 no. 11)."""
        return next(key for key in self.rows if key.pin_mac)

    def changed(self, name: str, fields: dict[str, bool | int | str]) -> "CardKeys":
        """The table with other fields in a row; `KeyError` where it has none of this name."""
        if name not in (key.name for key in self.rows):
            raise KeyError(name)
        rows = [{**msgspec.to_builtins(key), **(fields if key.name == name else {})} for key in self.rows]
        return msgspec.structs.replace(self, rows=msgspec.convert(rows, tuple[Key, ...]))
