"""A card and a security module for it: what the tests of keys at the terminal stand on."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hardware.virtual.card import CardImage, CardKey, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import Role, sam_image
from host_bridge.card.sam_module import SamModule
from host_bridge.card.security_module import CentreModule
from host_bridge.card.session import CardSession
from host_bridge.readers.virtual import VirtualConnection, VirtualReader
from protocols.events.keys import AuthenticationData, KeyAnswer, KeyRefusal, KeyStep, Mac, SessionKey
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard import security
from protocols.sscard.files import card_files
from protocols.sscard.simulated import simulated_root

REGION = "990100"
CIPHER_DATA = 0xFA
PIN = b"135790"
VERSIONS = pytest.mark.parametrize("version", ["2.00", "3.00"])


class Watched:
    """A connection that remembers the headers of the commands it carried, GET RESPONSE apart."""

    def __init__(self, inner: VirtualConnection) -> None:
        self._inner = inner
        self.headers: list[str] = []

    @property
    def atr(self) -> Atr:
        return self._inner.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        header = command.to_bytes()[:4].hex().upper()
        if not header.startswith("00C0"):
            self.headers.append(header)
        return self._inner.transmit(command)

    def reset(self) -> Atr:
        return self._inner.reset()

    def disconnect(self) -> None:
        self._inner.disconnect()


class Site:
    """A folder with a card and a security module."""

    def __init__(self, folder: Path) -> None:
        self.sam_path = folder / "module.sam"
        self._card_path = folder / "x.card"
        self.connection: Watched
        self._modules: list[SamModule] = []

    def sam(self, level: int = 3, role: Role = "counter", key_version: int = 1) -> SamModule:
        VirtualSam.create(self.sam_path, sam_image(REGION, level, role, key_version))
        self._modules.append(SamModule(VirtualReader(str(self.sam_path))))
        return self._modules[-1]

    def session(self, image: CardImage, module: SamModule | CentreModule | None) -> CardSession:
        self.card = VirtualCard.create(self._card_path, image)
        self.connection = Watched(VirtualReader(str(self._card_path)).connect())
        return CardSession(self.connection, module)

    def image(self) -> CardImage:
        """The card's content now."""
        return VirtualCard.open(self._card_path).image

    def close(self) -> None:
        for module in self._modules:
            module.close()


def image_of(version: str, key_versions: tuple[int, ...] | None = None, **changes: Any) -> CardImage:
    person = load_person(DEFAULT_PERSON)
    card = msgspec.structs.replace(person.card, version=version, region=REGION, key_versions=key_versions)
    return msgspec.structs.replace(card_image(msgspec.structs.replace(person, card=card)), **changes)


def other_key(image: CardImage, name: str) -> CardImage:
    """The card of another issuer, as far as this key goes."""
    values = tuple("00" * (len(value) // 2) for value in image.keys[name].values)
    return msgspec.structs.replace(image, keys={**image.keys, name: CardKey(values, 3, 3)})


class RootsOfAll:
    """The centre's part, from the simulated roots in some versions; MACs of `pin_mac_key` only."""

    def __init__(self, pin_mac_key: str = "STK", versions: tuple[int, ...] = (1, 2, 3)) -> None:
        self._pin_mac_key, self._versions = pin_mac_key, versions
        self.asked: list[tuple[str, int]] = []

    def __call__(self, step: KeyStep, _timeout_s: float) -> KeyAnswer:
        of, historical_bytes = step.card_key, bytes.fromhex(step.card_key.historical_bytes)
        self.asked.append((of.key, of.version))
        if of.version not in self._versions:
            return KeyRefusal("K-103")
        (tables,) = (each for each in map(card_files, ("2.00", "3.00")) if each.algorithm == of.algorithm)
        root = simulated_root(of.algorithm, tables.keys.key(of.key), of.version)
        key = security.diversify(of.algorithm, root, *security.factors(of.region, historical_bytes))
        session = security.session_key(of.algorithm, key, bytes.fromhex(step.challenge))
        match type(step).__name__:
            case "AuthenticationStep":
                data = security.authentication_data(of.algorithm, session, bytes.fromhex(step.source))  # type: ignore[union-attr]
                return AuthenticationData(data.hex())
            case "MacStep":
                assert of.key == self._pin_mac_key
                return Mac(security.command_mac(of.algorithm, session, bytes.fromhex(step.message)).hex())  # type: ignore[union-attr]
            case _:
                return SessionKey(session.hex())
