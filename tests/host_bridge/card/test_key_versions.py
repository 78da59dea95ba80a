"""Versions of keys at the terminal: what card, SAM and centre have in common."""

from typing import Any

import msgspec
import pytest

from hardware.virtual.card import Pin
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from host_bridge.card import errors
from host_bridge.card.sam_module import SamModule
from host_bridge.card.security_module import CentreModule, KeyVersionMissing, NoSecurityModule, SecurityModuleError
from host_bridge.card.session import CardSession
from host_bridge.readers.reader import CardConnection
from host_bridge.readers.virtual import VirtualReader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands
from protocols.texts.catalogue import texts
from tests.host_bridge.card.key_site import PIN, REGION, VERSIONS, RootsOfAll, Site, Watched, image_of


@VERSIONS
@pytest.mark.parametrize(
    ("of_card", "of_module", "used"),
    [
        ((1, 2, 3), (1, 2, 3), 1),
        ((2,), (1, 2), 2),
        ((3,), (1, 2, 3), 3),
        ((1, 2), (2, 3), 2),
        ((2, 3), (1, 3), 3),
    ],
)
def test_the_version_that_card_and_centre_have(
    site: Site, version: str, of_card: tuple[int, ...], of_module: tuple[int, ...], used: int
) -> None:
    centre = RootsOfAll(versions=of_module)
    session = site.session(image_of(version, of_card), CentreModule(centre))
    session.verify_pin(bytearray(PIN))
    assert [content.tag for content in session.read_file("DF04", "EF06")] == ["90", "92", "93"]
    assert centre.asked[-2:] == [("IRK", used), ("RK1DF04", used)]


@VERSIONS
@pytest.mark.parametrize("used", [1, 2, 3])
def test_a_sam_says_which_version_its_keys_have(site: Site, version: str, used: int) -> None:
    session = site.session(image_of(version, pin=Pin("135790", 3, 3)), site.sam(2, "agency", used))
    session.verify_pin(bytearray(PIN))
    assert [content.tag for content in session.read_file("DF04", "EF06")] == ["90", "92", "93"]


@VERSIONS
def test_pin_unblock_with_another_version(site: Site, version: str) -> None:
    """Its MAC cannot name a version: the card takes the first it has."""
    locked = Pin("135790", 3, 0)
    session = site.session(image_of(version, (2, 3), pin=locked), site.sam(3, "agency", 2))
    session.unblock_pin()
    assert session.pin_tries() == 3
    session = site.session(image_of(version, (1, 2), pin=locked), site.sam(3, "agency", 2))
    with pytest.raises(KeyVersionMissing) as missing:
        session.unblock_pin()
    assert missing.value.version == 1
    assert session.pin_tries() == 0


@pytest.mark.parametrize("of_card", [(1,), (3,), (1, 3)])
def test_no_version_in_common(site: Site, of_card: tuple[int, ...]) -> None:
    for module in (site.sam(key_version=2), CentreModule(RootsOfAll(versions=(2,)))):
        session = site.session(image_of("3.00", of_card), module)
        with pytest.raises(KeyVersionMissing) as missing:
            session.read_holder()
        assert missing.value.facts == {"name": "IRK", "version": str(of_card[-1])}
        words = texts()[missing.value.key].en.fill(missing.value.facts)
        assert f"version {of_card[-1]}" in words.bill
        assert not any(header.startswith("0082") for header in site.connection.headers)


def test_a_card_without_any_version_of_its_issuers_key(site: Site) -> None:
    image = image_of("3.00")
    without = {name: key for name, key in image.keys.items() if name != "IRK"}
    with pytest.raises(errors.UnexpectedStatus) as refused:
        site.session(msgspec.structs.replace(image, keys=without), site.sam()).read_holder()
    assert (refused.value.sw, refused.value.key) == (0x6A88, "card_key_not_found")


class Telling:
    """A security module that answers READ BINARY like this."""

    def __init__(self, inner: CardConnection, answer: ResponseApdu) -> None:
        self._inner, self._answer = inner, answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        return self._answer if command.ins == commands.READ_BINARY else self._inner.transmit(command)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ResponseApdu(b"", 0x6A82), None),
        (ResponseApdu(bytes.fromhex("01012015010120991231"), 0x9000), None),
        (ResponseApdu(bytes.fromhex("01022015010120991231"), 0x9000), KeyVersionMissing),
        (ResponseApdu(bytes.fromhex("0101"), 0x9000), NoSecurityModule),
    ],
    ids=["no file", "version 1", "version 2", "too short"],
)
def test_what_a_sam_says_of_its_versions(
    site: Site, answer: ResponseApdu, error: type[SecurityModuleError] | None
) -> None:
    class Reader(VirtualReader):
        def connect(self) -> Any:
            return Telling(super().connect(), answer)

    VirtualSam.create(site.sam_path, sam_image(REGION, 3, "counter"))
    module = SamModule(Reader(str(site.sam_path)))
    session = site.session(image_of("3.00", (1,)), module)
    if error is None:
        assert session.read_holder().name == "李建华"
    else:
        with pytest.raises(error):
            session.read_holder()
    module.close()


class Plain(Watched):
    """A card that takes no 17th byte (ssc-card.md 9.2: hosts seen send none)."""

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        authentication = command.ins in {commands.INTERNAL_AUTHENTICATION, commands.EXTERNAL_AUTHENTICATION}
        if authentication and len(command.data) != 16:
            return ResponseApdu(b"", 0x6700)
        return super().transmit(command)


def test_a_card_that_takes_no_version(site: Site) -> None:
    site.session(image_of("3.00"), None)
    session = CardSession(Plain(VirtualReader(str(site.sam_path.with_name("x.card"))).connect()), site.sam())
    assert session.read_holder().name == "李建华"
