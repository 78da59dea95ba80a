"""Keys at the terminal: a SAM in a second slot or the centre, genuineness, protected files, PIN unblock and reset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.virtual.card import Pin, VirtualCard
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from host_bridge.card import errors
from host_bridge.card.authentication import Authentication, CardFacts, NotGenuine, algorithm_of, keys_of
from host_bridge.card.sam_module import SamModule
from host_bridge.card.security_module import (
    AlgorithmMissing,
    CentreModule,
    KeyRefused,
    KeyVersionMissing,
    NoSecurityModule,
    RootKeyMissing,
    SecurityModuleError,
    SecurityModuleSilent,
    Wanted,
)
from host_bridge.card.session import CardSession
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.readers.reader import CardConnection, CardRemoved
from host_bridge.readers.virtual import VirtualReader
from protocols.events.keys import KeyAnswer, KeyRefusal, Mac
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard import commands
from protocols.sscard.files import card_files
from protocols.texts.catalogue import texts
from tests.host_bridge.card.key_site import CIPHER_DATA, PIN, REGION, VERSIONS, RootsOfAll, Site, image_of, other_key


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_3_00_card_is_read_through_a_sam_of_any_level(site: Site, level: int) -> None:
    session = site.session(image_of("3.00"), site.sam(level))
    assert session.read_issuer().version == "3.00"
    assert session.read_holder().name == "李建华"


def test_the_order_of_commands_is_that_of_9_2_without_what_the_card_does_not_need(site: Site) -> None:
    session = site.session(image_of("3.00"), site.sam())
    session.read_issuer()
    site.connection.headers.clear()
    session.read_holder()
    assert site.connection.headers[:5] == [
        "00B20135",  # EF06; refused, so it wants a key
        "00880000",  # internal authentication
        "00840000",
        "0082000A",  # RKSSSE
        "00B20135",
    ]
    session.read_holder()
    assert site.connection.headers.count("0082000A") == 1


def test_the_right_lasts_and_genuineness_is_proven_once(site: Site) -> None:
    session = site.session(image_of("3.00"), site.sam())
    session.read_holder()
    session.read_file("SSSE", "EF06")
    session.verify_pin(bytearray(PIN))
    session.read_file("DF04", "EF05")
    session.read_file("DF04", "EF06")
    session.read_file("SSSE", "EF06")
    assert site.connection.headers.count("00880000") == 1


class Babbling:
    """A security module that answers CIPHER DATA with so many bytes."""

    def __init__(self, inner: CardConnection, length: int) -> None:
        self._inner, self._length = inner, length

    @property
    def atr(self) -> Atr:
        return self._inner.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        if command.ins == CIPHER_DATA:
            return ResponseApdu(bytes(self._length), 0x9000)
        return self._inner.transmit(command)

    def reset(self) -> Atr:
        return self._inner.reset()

    def disconnect(self) -> None:
        self._inner.disconnect()


@pytest.mark.parametrize("length", [0, 3, 7, 12, 20, 200])
@VERSIONS
def test_an_answer_of_another_length_is_no_proof(site: Site, version: str, length: int) -> None:
    class Reader(VirtualReader):
        def connect(self) -> Any:
            return Babbling(super().connect(), length)

    VirtualSam.create(site.sam_path, sam_image(REGION, 3, "agency"))
    module = SamModule(Reader(str(site.sam_path)))
    with pytest.raises(KeyRefused):
        site.session(image_of(version, pin=Pin("135790", 3, 0)), module).unblock_pin()
    module.close()


def test_a_counterfeit_is_shown_no_other_key(site: Site) -> None:
    session = site.session(other_key(image_of("3.00"), "IRK"), site.sam())
    with pytest.raises(NotGenuine):
        session.read_holder()
    assert not any(header.startswith("0082") for header in site.connection.headers)


def test_a_card_that_does_not_take_the_key(site: Site) -> None:
    session = site.session(other_key(image_of("3.00"), "RKSSSE"), site.sam())
    for tries in (2, 1, 0):
        with pytest.raises(errors.KeyWrong) as wrong:
            session.read_holder()
        assert wrong.value.tries == tries
    with pytest.raises(errors.KeyLocked):
        session.read_holder()


def test_what_the_terminal_may_choose_the_card_is_not_asked_for(site: Site) -> None:
    """Both numbers of internal authentication, so that no card can replay, and the source of external (6.3)."""
    numbers = iter([b"\x01" * 8, b"\x02" * 8, b"\x03" * 8])
    site.session(image_of("3.00"), None)
    session = CardSession(site.connection, site.sam(), lambda _: next(numbers))
    session.read_holder()
    assert next(numbers, None) is None


@VERSIONS
def test_a_file_that_wants_pin_and_key(site: Site, version: str) -> None:
    assert card_files(version).directory("DF04").file("EF06").read == "PIN and RK1DF04"
    session = site.session(image_of(version), site.sam())
    with pytest.raises(errors.AccessRefused) as refused:
        session.read_file("DF04", "EF06")
    assert not isinstance(refused.value, errors.KeyMissing)
    session.verify_pin(bytearray(PIN))
    assert [content.tag for content in session.read_file("DF04", "EF06")] == ["90", "92", "93"]


def test_a_file_that_the_pin_opens_is_not_opened_with_a_key(site: Site) -> None:
    session = site.session(image_of("2.00"), site.sam())
    with pytest.raises(errors.AccessRefused):
        session.read_file("DF04", "EF05")
    assert not any(header.startswith("0082") for header in site.connection.headers)


def test_a_transparent_file_behind_a_key(site: Site) -> None:
    image = image_of("2.00")
    finger = msgspec.structs.replace(image, files={**image.files, "SSSE EF07": ("0102",)})
    (content,) = site.session(finger, site.sam()).read_file("SSSE", "EF07")
    assert content.text.startswith("0102")
    assert "0082000A" in site.connection.headers


@VERSIONS
def test_a_regional_file_behind_a_key_of_its_own(site: Site, version: str) -> None:
    """ssc-card.md 3.3, 9.6: what is in SSSE EF0C is the region's to say, card key 07 opens it."""
    image = image_of(version)
    regional = msgspec.structs.replace(image, files={**image.files, "SSSE EF0C": ("C1023132", "C203AABBCC")})
    contents = site.session(regional, site.sam()).read_file("SSSE", "EF0C")
    assert [(each.text, each.known) for each in contents] == [("C1023132", False), ("C203AABBCC", False)]
    assert "00820007" in site.connection.headers


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ("free", ()),
        ("never", ()),
        ("PIN", ()),
        ("RKSSSE", ("RKSSSE",)),
        ("PIN and RK1DF04", ("RK1DF04",)),
        ("PIN or RK1DF04", ("RK1DF04",)),
        ("RK1DF06 or RK2DF06", ("RK1DF06",)),
    ],
)
def test_keys_of_a_rule(rule: str, keys: tuple[str, ...]) -> None:
    assert keys_of(rule) == keys


def test_the_algorithm_is_the_cards_own_word() -> None:
    seen = bytes.fromhex("6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860103")  # ssc-card.md 3.1
    assert algorithm_of(seen) == 3
    assert algorithm_of(seen[:-6]) is None
    assert algorithm_of(b"") is None


@VERSIONS
@pytest.mark.parametrize("level", [1, 2, 3])
def test_unblock_at_an_agency(site: Site, version: str, level: int) -> None:
    locked = image_of(version, pin=Pin("135790", 3, 0))
    session = site.session(locked, site.sam(level, "agency"))
    session.unblock_pin()
    assert session.pin_tries() == 3
    session.verify_pin(bytearray(PIN))
    assert site.connection.headers[-6:-3] == ["00840000", "00820006", "00840000"]


@VERSIONS
@pytest.mark.parametrize("digits", [b"2468", b"246802", b"24680246802"])
def test_reset_at_an_agency(site: Site, version: str, digits: bytes) -> None:
    session = site.session(image_of(version, pin=Pin("135790", 3, 0)), site.sam(2, "agency"))
    new = bytearray(digits)
    session.reset_pin(new)
    assert new == bytes(len(digits))
    session.verify_pin(bytearray(digits))
    assert site.image().pin == Pin(digits.decode(), 3, 3)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (CardSession.unblock_pin, errors.UnblockOutcomeUnknown),
        (lambda session: session.reset_pin(bytearray(PIN)), errors.PinOutcomeUnknown),
    ],
    ids=["unblock", "reset"],
)
def test_a_card_that_leaves_at_the_last_command_leaves_the_outcome_open(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: Callable[[CardSession], None], error: type[errors.CardError]
) -> None:
    session = site.session(image_of("3.00"), site.sam(role="agency"))
    transmit = site.connection.transmit

    def leaving(command: CommandApdu) -> ResponseApdu:
        answer = transmit(command)
        if command.ins == commands.PIN_UNBLOCK:
            raise CardRemoved("pulled")
        return answer

    monkeypatch.setattr(site.connection, "transmit", leaving)
    with pytest.raises(error):
        step(session)


def test_a_pin_that_is_none_asks_nobody(site: Site) -> None:
    session = site.session(image_of("3.00"), site.sam(role="agency"))
    new = bytearray(b"12")
    with pytest.raises(errors.PinFormat):
        session.reset_pin(new)
    assert new == bytes(2)
    assert not any(header.startswith(("0088", "0082", "8424")) for header in site.connection.headers)


@pytest.mark.parametrize("step", [CardSession.unblock_pin, lambda session: session.reset_pin(bytearray(PIN))])
def test_a_counters_sam_neither_unblocks_nor_resets(site: Site, step: Callable[[CardSession], None]) -> None:
    with pytest.raises(RootKeyMissing):
        step(site.session(image_of("3.00"), site.sam(role="counter")))
    with pytest.raises(NoSecurityModule):
        step(site.session(image_of("3.00"), None))
    assert site.image().pin == image_of("3.00").pin


@VERSIONS
@pytest.mark.parametrize("answer", ["STK", "PUK"])
def test_which_key_makes_the_mac_is_data(site: Site, version: str, answer: str) -> None:
    choices = {} if answer == "STK" else {"pin_mac_key": answer}
    site.session(image_of(version, pin=Pin("135790", 3, 0), choices=choices), None).pin_tries()
    tables = card_files(version).answered(choices)
    module = CentreModule(RootsOfAll(answer))
    facts = CardFacts(tables, tables.algorithm, REGION)
    Authentication(T0FollowUp(site.connection), module, facts, bytes).unblock_pin()
    assert site.image().pin == Pin("135790", 3, 3)


@VERSIONS
def test_all_of_it_through_the_centre(site: Site, version: str) -> None:
    session = site.session(image_of(version, pin=Pin("135790", 3, 0)), CentreModule(RootsOfAll()))
    assert session.read_holder().name == "李建华"
    session.unblock_pin()
    assert session.pin_tries() == 3
    session.reset_pin(bytearray(b"246802"))
    session.verify_pin(bytearray(b"246802"))


@pytest.mark.parametrize(
    ("answer", "error", "key"),
    [
        (None, SecurityModuleSilent, "security_module_silent"),
        (Mac("00000000"), SecurityModuleSilent, "security_module_silent"),
        (KeyRefusal("K-999"), SecurityModuleSilent, "security_module_silent"),
        (KeyRefusal("-2202"), AlgorithmMissing, "security_algorithm_missing"),
        (KeyRefusal("-2203"), RootKeyMissing, "security_key_missing"),
        (KeyRefusal("K-103"), KeyVersionMissing, "security_key_version_missing"),
        (KeyRefusal("K-110"), NoSecurityModule, "card_key_missing"),
        (KeyRefusal("K-112"), KeyRefused, "key_not_for_counter"),
        (KeyRefusal("K-113", 17), KeyRefused, "key_not_approved"),
    ],
)
def test_what_the_centre_says_instead(
    site: Site, answer: KeyAnswer | None, error: type[SecurityModuleError], key: str
) -> None:
    session = site.session(image_of("3.00"), CentreModule(lambda *_: answer))
    with pytest.raises(error) as raised:
        session.read_holder()
    assert raised.value.key == key
    words = texts()[key].en.fill(raised.value.facts)
    assert "{" not in words.what
    assert key != "key_not_approved" or "request 17" in words.what


def test_what_a_sam_says_instead(site: Site, tmp_path: Path) -> None:
    absent = SamModule(VirtualReader(str(tmp_path / "none.sam")))
    with pytest.raises(NoSecurityModule):
        site.session(image_of("3.00"), absent).read_holder()
    VirtualSam.create(
        site.sam_path,
        msgspec.structs.replace(
            sam_image(REGION, 3, "counter"), environments=sam_image(REGION, 3, "counter").environments[:1]
        ),
    )
    with pytest.raises(AlgorithmMissing):
        site.session(image_of("3.00"), SamModule(VirtualReader(str(site.sam_path)))).read_holder()
    VirtualCard.create(tmp_path / "no.card", image_of("2.00"))
    with pytest.raises(NoSecurityModule):
        site.session(image_of("2.00"), SamModule(VirtualReader(str(tmp_path / "no.card")))).read_file("SSSE", "EF07")


def test_a_sam_that_comes_back_is_used_again(site: Site) -> None:
    module = site.sam()
    session = site.session(image_of("3.00"), module)
    away = site.sam_path.with_suffix(".away")
    site.sam_path.rename(away)
    with pytest.raises(NoSecurityModule):
        session.read_holder()
    away.rename(site.sam_path)
    assert session.read_holder().name == "李建华"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    historical_bytes=st.binary(min_size=13, max_size=13),
    challenge=st.binary(min_size=8, max_size=8),
    source=st.binary(min_size=8, max_size=8),
    digits=st.binary(min_size=2, max_size=8),
    level=st.integers(1, 3),
    version=st.sampled_from(["2.00", "3.00"]),
)
def test_sam_and_centre_agree(
    site: Site, *, historical_bytes: bytes, challenge: bytes, source: bytes, digits: bytes, level: int, version: str
) -> None:
    tables = card_files(version)
    sam, centre = site.sam(level, "agency"), CentreModule(RootsOfAll())

    def wanted(name: str) -> Wanted:
        return Wanted(tables.keys.key(name), 1, "reset_pin", tables.algorithm, REGION, historical_bytes)

    for name in ("IRK", "RKSSSE", "RK1DF04", "PUK"):
        mine = sam.authentication_data(wanted(name), challenge, source)
        assert mine == centre.authentication_data(wanted(name), challenge, source)
    assert sam.unblock_mac(wanted("STK"), challenge) == centre.unblock_mac(wanted("STK"), challenge)
    block = bytearray(digits)
    assert sam.reset_data(wanted("STK"), challenge, block) == centre.reset_data(wanted("STK"), challenge, block)
    sam.close()
