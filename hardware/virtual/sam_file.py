"""The file that a simulated security module (PSAM) lives in, and how one is made (ssc-card.md 6.2, 6.5)."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hardware.virtual.card_file import CardFileError
from protocols.sscard import security
from protocols.sscard.files import card_files
from protocols.sscard.keys import Key
from protocols.sscard.sam import BOTH, ENCRYPT, LEVEL_SHIFT, PURCHASE_VERSIONS, TYPE_MASK
from protocols.sscard.simulated import simulated_root

SAM_SUFFIX = ".sam"
OWN_TRIES = 3
KEY_BYTES = {security.TRIPLE_DES: {8, 16}, security.SM4: {16}}
CHIP = "00815431008660"
CARD_VERSIONS = ("2.00", "3.00")
"""Versions whose keys a new module has: one with 3DES, one with SM4."""
COUNTER_PURPOSES = frozenset({"internal authentication", "reading"})
AGENCY_PURPOSES = COUNTER_PURPOSES | {"MAC", "PIN", "updating"}

Byte = Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
Level = Annotated[int, msgspec.Meta(ge=1, le=3)]
Region = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}$", max_length=6)]
KeyHex = Annotated[str, msgspec.Meta(pattern=r"^([0-9A-F]{16}){1,2}$", max_length=32)]
Version = Annotated[int, msgspec.Meta(ge=1, le=3)]
Role = Literal["counter", "agency"]


class SamKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`usage`: levels of diversification still to apply in the high three bits, type in the low five."""

    id: Byte
    usage: Byte
    value: KeyHex

    def __repr__(self) -> str:
        return f"SamKey({self.id:02X})"


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a module has for one algorithm; `own` guards loading of keys, `tries` are left for it."""

    algorithm: Literal[1, 3]
    own: KeyHex
    tries: Byte
    keys: tuple[SamKey, ...]

    def __repr__(self) -> str:
        return f"Environment({self.algorithm}, {len(self.keys)} keys)"


class SamImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a module's file holds; every key in it is below a simulated root or a synthetic one."""

    format: Literal[1] = 1
    simulated: Literal[True] = True
    atr: str
    public_data: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-F]{30}$", max_length=30)]
    terminal_number: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}$", max_length=12)]
    terminal_sequence: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] = 0
    key_version: Version = 1
    environments: tuple[Environment, ...]


def sam_image(region: str, level: int, role: Role, key_version: int = 1) -> SamImage:
    """A new module of a region's issuer: level 3 has root keys, 2 those of the province, 1 those of the city.

    Its keys are of one version, those of purchases of every version. A counter's proves cards, reads and takes part in
    purchases; an agency's also updates and serves PIN unblock and reset.
    """
    purposes = AGENCY_PURPOSES if role == "agency" else COUNTER_PURPOSES
    return SamImage(
        atr=f"3B6D0000{CHIP}{region[:4]}00000001",
        public_data=f"01{region}{1:014}01000000",
        terminal_number=f"{region}000001",
        key_version=key_version,
        environments=tuple(_environment(version, region, level, purposes, key_version) for version in CARD_VERSIONS),
    )


def read_sam(path: Path) -> SamImage:
    """What a file holds; `CardFileError` where there is none or it makes no module."""
    try:
        image = msgspec.json.decode(path.read_bytes(), type=SamImage)
    except OSError as error:
        raise CardFileError(path, error.strerror or "cannot be read") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise CardFileError(path, "is no security module's file") from None
    if len({each.algorithm for each in image.environments}) < len(image.environments):
        raise CardFileError(path, "has an environment twice")
    for each in image.environments:
        if len({key.id for key in each.keys}) < len(each.keys):
            raise CardFileError(path, "has a key id twice")
        if (
            not {len(value) // 2 for value in (each.own, *(key.value for key in each.keys))}
            <= KEY_BYTES[each.algorithm]
        ):
            raise CardFileError(path, "has a key of another length")
    return image


def write_sam(path: Path, image: SamImage) -> None:
    """Write the file, whole, durably and for its owner only; `CardFileError` where that fails."""
    new = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(image), indent=2))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise CardFileError(path, error.strerror or "cannot be written") from None


def _environment(version: str, region: str, level: int, purposes: frozenset[str], key_version: int) -> Environment:
    tables = card_files(version)
    factors = (security.province_factor(region), security.city_factor(region))[: 3 - level]

    def sam_key(key: Key, key_id: int, version: int) -> SamKey:
        value = security.diversify(tables.algorithm, simulated_root(tables.algorithm, key, version), *factors)
        return SamKey(key_id, level << LEVEL_SHIFT | _type(key), value.hex().upper())

    keys = []
    for key in tables.keys.rows:
        if key.purpose == "purchase":
            keys += [sam_key(key, number, number) for number in PURCHASE_VERSIONS]
        elif key.psam_id is not None and not key.absent and key.purpose in purposes:
            keys.append(sam_key(key, key.psam_id, key_version))
    own = security.diversify(tables.algorithm, bytes(16), security.city_factor(region)).hex().upper()
    return Environment(tables.algorithm, own, OWN_TRIES, tuple(keys))  # type: ignore[arg-type]


def _type(key: Key) -> int:
    """The table's where it is known; the key of PIN CHANGE/UNBLOCK has to encipher and to make MACs."""
    if key.pin_mac:
        return BOTH
    return ENCRYPT if key.usage is None else key.usage & TYPE_MASK
