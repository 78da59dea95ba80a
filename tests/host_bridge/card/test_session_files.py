"""Whole files through the session: ranges where the card allows, versions, what a card lacks or has more of."""

import contextlib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.virtual.card import CardImage, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from host_bridge.card import errors
from host_bridge.card.session import CardSession, Insurance
from host_bridge.readers.virtual import VirtualConnection, VirtualReader
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard import commands
from protocols.sscard.files import card_files

Make = Callable[..., VirtualCard]
Connect = Callable[[VirtualCard], VirtualConnection]

ON = date(2026, 11, 21)


class NoRanges:
    """A card that knows no ranges; `seen` are the commands it got."""

    def __init__(self, inner: VirtualConnection, sw: int | None) -> None:
        self._inner, self._sw = inner, sw
        self.seen: list[CommandApdu] = []

    @property
    def atr(self) -> Atr:
        return self._inner.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        self.seen.append(command)
        if self._sw is not None and command.ins == commands.READ_RECORD and command.p2 & 7 == commands.TO_LAST:
            return ResponseApdu(b"", self._sw)
        return self._inner.transmit(command)

    def reset(self) -> Atr:
        return self._inner.reset()

    def disconnect(self) -> None:
        self._inner.disconnect()


def image_of(version: str, **choices: str) -> CardImage:
    person = load_person(DEFAULT_PERSON)
    card = msgspec.structs.replace(person.card, version=version, choices=choices)
    return card_image(msgspec.structs.replace(person, card=card))


@pytest.fixture
def connected(tmp_path: Path) -> Callable[[CardImage], VirtualConnection]:
    def connect(image: CardImage) -> VirtualConnection:
        VirtualCard.create(tmp_path / "x.card", image)
        return VirtualReader(str(tmp_path / "x.card")).connect()

    return connect


Connected = Callable[[CardImage], VirtualConnection]


@pytest.mark.parametrize("version", ["1.00", "2.00", "3.00"])
def test_every_file_is_read_or_refused(connected: Connected, version: str) -> None:
    session = CardSession(connected(image_of(version)))
    session.verify_pin(bytearray(b"135790"))
    read = refused = 0
    for directory, file in card_files(version).all_files():
        where = directory.name, file.ef
        keys = {word for word in file.read.split() if word.startswith("RK")}
        if file.absent:
            with pytest.raises(errors.FileMissing):
                session.read_file(*where)
        elif keys and ("PIN" not in file.read or "and" in file.read):
            with pytest.raises(errors.KeyMissing) as caught:
                session.read_file(*where)
            assert caught.value.rule == file.read
            refused += 1
        else:
            contents = session.read_file(*where)
            assert all(content.known for content in contents)
            assert len(contents) == {"transparent": 1, "cyclic": 0}.get(file.structure, len(file.records))
            read += 1
    assert read > 15
    assert refused >= 3


def test_a_range_is_one_command_and_record_by_record_the_way_out(connected: Connected) -> None:
    """ssc-card.md 4.2, 9.1: all of EF05 is 00B20105 40, with SFI 5 in P2 00B2012D 40."""
    seen: dict[int | None, list[str]] = {}
    contents = []
    for sw in (None, 0x6A81, 0x6A86, 0x6A83 - 1):
        card = NoRanges(connected(image_of("2.00")), sw)
        session = CardSession(card)
        contents.append(session.read_file("SSSE", "EF05"))
        reads = [each for each in card.seen if each.ins == commands.READ_RECORD]
        seen[sw] = [each.to_bytes().hex().upper() for each in reads]
    assert seen[None] == ["00B2012D40", "00B2012D40"]
    assert seen[0x6A81][:2] == ["00B2012D40", "00B2010012"]
    assert seen[0x6A81][-8:-5] == ["00B2010412", "00B2020403", "00B2030406"]
    assert contents[1:] == contents[:1] * 3
    assert [content.text for content in contents[0]][1:4] == ["3", "2.00", "915600000299010199010101"]


def test_a_file_longer_than_an_answer_is_read_record_by_record(connected: Connected) -> None:
    card = NoRanges(connected(image_of("2.00")), None)
    session = CardSession(card)
    session.verify_pin(bytearray(b"135790"))
    session.read_issuer()
    card.seen.clear()
    contents = session.read_file("DF02", "EF05")
    assert [content.tag for content in contents] == ["42", "41", "43", "43", "44", "44"]
    assert not [each for each in card.seen if each.p2 & 7 == commands.TO_LAST and each.ins == commands.READ_RECORD]


def test_a_whole_file_is_read_at_once_where_that_is_shorter(connected: Connected) -> None:
    """Six of the seven records of SSSE EF05 cost more than all, three of sixteen of DF04 EF05 less (reader.md E.1)."""
    card = NoRanges(connected(image_of("2.00")), None)
    session = CardSession(card)
    session.read_issuer()
    session.read_holder()
    session.verify_pin(bytearray(b"135790"))
    session.read_insurance(date(2026, 11, 22))
    reads = [each.to_bytes().hex().upper() for each in card.seen if each.ins == commands.READ_RECORD]
    assert reads == ["00B2012D40", "00B201355B", "00B281000A", "00B2840005", "00B28C0003"]


@pytest.mark.parametrize("sw", [0x6A81, 0x6A86, 0x6A82, 0x6700])
def test_a_card_that_refuses_ranges_is_served_all_the_same(connected: Connected, sw: int) -> None:
    card = NoRanges(connected(image_of("2.00")), sw)
    session = CardSession(card)
    assert session.read_issuer().card_no == "A12345674"
    assert session.read_holder().name == "李建华"
    assert sum(each.p2 & 7 == commands.TO_LAST for each in card.seen if each.ins == commands.READ_RECORD) == 1


@pytest.mark.parametrize("sw", [None, 0x6A81])
def test_items_that_the_table_does_not_know_are_shown(connected: Connected, sw: int | None) -> None:
    image = image_of("2.00")
    gained = ("C703414243", *image.files["SSSE EF06"], "C80102")
    session = CardSession(
        NoRanges(connected(msgspec.structs.replace(image, files={**image.files, "SSSE EF06": gained})), sw)
    )
    contents = session.read_file("SSSE", "EF06")
    assert [content.text for content in contents if not content.known] == ["C703414243", "C80102"]
    assert contents[2].text == "李建华"


def test_cyclic_and_transparent_files(connected: Connected) -> None:
    image = image_of("2.00")
    log = (
        "0006" + "32" + "11" * 6 + "20260302101112" + "00000001" * 3,
        "0005" + "31" + "11" * 6 + "20260301101112" + "00" * 4,
    )
    files = {**image.files, "DF04 EF08": log, "DF01 EF16": ("00" * 0x127 + "7F",)}
    session = CardSession(connected(msgspec.structs.replace(image, files=files)))
    session.verify_pin(bytearray(b"135790"))
    newest, older = session.read_file("DF04", "EF08")
    assert [part.text for part in newest.parts] == ["0006", "2", "11" * 6, "20260302101112"] + ["00000001"] * 3
    assert [part.text for part in older.parts] == ["0005", "1", "11" * 6, "20260301101112", "00000000"]
    assert session.read_file("DF01", "EF16")[0].text == "00" * 0x127 + "7F"


def test_a_transparent_file_that_ends_early(connected: Connected) -> None:
    """ssc-card.md 10 no. 4: 128 may be decimal."""
    session = CardSession(connected(image_of("2.00", reserved_size="decimal")))
    assert session.read_file("DF01", "EF16")[0].known


def test_a_file_that_no_table_or_no_card_has(connected: Connected) -> None:
    image = image_of("2.00")
    files = {key: records for key, records in image.files.items() if key.startswith("SSSE EF0") and key != "SSSE EF08"}
    session = CardSession(connected(msgspec.structs.replace(image, files=files)))
    for where in (("DF09", "EF05"), ("SSSE", "EF15")):
        with pytest.raises(KeyError):
            session.read_file(*where)
    for where, missing in ((("SSSE", "EF08"), "EF08"), (("DF04", "EF05"), "DF04"), (("DF05", "EF05"), "DF05")):
        with pytest.raises(errors.FileMissing) as caught:
            session.read_file(*where)
        assert (caught.value.sw, caught.value.file) == (0x6A82, missing)
    assert session.read_holder().name == "李建华"


# Versions


def test_a_1_00_card_with_the_meaning_of_2_00(connected: Connected) -> None:
    session = CardSession(connected(image_of("1.00")))
    assert session.read_issuer().version == "1.00"
    assert session.read_holder().name == "李建华"
    session.verify_pin(bytearray(b"135790"))
    assert session.read_insurance(ON) == Insurance("310", "1101", "110000", "11", "00000")
    shown = {content.tag: content for content in session.read_file("DF04", "EF05")}
    assert (shown["81"].text, shown["81"].version) == ("31000000", "2.00")
    assert (shown["8F"].text, shown["8F"].version) == ("1", "1.00")


@pytest.mark.parametrize("record", ["813E" + "00" * 62, "813E" + "D2BD".ljust(124, "0"), "813E" + "33" * 62])
def test_a_1_00_card_with_its_own_meaning_tells_no_insurance(connected: Connected, record: str) -> None:
    image = image_of("1.00")
    own = tuple(record if each.startswith("81") else each for each in image.files["DF04 EF05"])
    session = CardSession(connected(msgspec.structs.replace(image, files={**image.files, "DF04 EF05": own})))
    session.verify_pin(bytearray(b"135790"))
    with pytest.raises(errors.NotSupported) as caught:
        session.read_insurance(ON)
    assert caught.value.tag == 0x81


def test_a_3_00_card_keeps_its_holder_behind_a_key(connected: Connected) -> None:
    session = CardSession(connected(image_of("3.00")))
    assert session.read_issuer().version == "3.00"
    for _ in range(2):
        with pytest.raises(errors.KeyMissing) as caught:
            session.read_holder()
        assert (caught.value.sw, caught.value.rule) == (0x6982, "RKSSSE")
        session.verify_pin(bytearray(b"135790"))


@pytest.mark.parametrize(("answer", "pin"), [("free", False), ("pin_or_key", True)])
def test_a_3_00_card_whose_holder_needs_no_key(connected: Connected, answer: str, pin: bool) -> None:
    session = CardSession(connected(image_of("3.00", holder_read=answer)))
    if pin:
        session.verify_pin(bytearray(b"135790"))
    assert session.read_holder().name == "李建华"


@pytest.mark.parametrize(
    ("name", "extension", "text"),
    [
        ("95328236" + "00" * 26, "00" * 20, "𠀀"),
        ("CABE" * 14 + "9532", "8236" + "00" * 18, "示" * 14 + "𠀀"),
        ("FE9F" + "00" * 28, "00" * 20, "䶮"),
    ],
)
def test_names_with_rare_characters(connected: Connected, name: str, extension: str, text: str) -> None:
    image = image_of("2.00")
    new = {"09": f"091E{name}", "4E": f"4E14{extension}"}
    records = tuple(new.get(each[:2], each) for each in image.files["SSSE EF06"])
    session = CardSession(connected(msgspec.structs.replace(image, files={**image.files, "SSSE EF06": records})))
    assert session.read_holder().name == text
    assert session.read_file("SSSE", "EF06")[1].text == text


# Anything


class Broken:
    """A 2.00 card whose answers to reads are anything."""

    def __init__(self, inner: VirtualConnection, answers: list[ResponseApdu]) -> None:
        self._inner, self._answers, self.count = inner, answers, 0

    @property
    def atr(self) -> Atr:
        return self._inner.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        if command.ins not in (commands.READ_RECORD, commands.READ_BINARY, commands.GET_RESPONSE):
            return self._inner.transmit(command)
        if not self._answers:
            return self._inner.transmit(command)
        self.count += 1
        return self._answers[min(self.count, len(self._answers)) - 1]

    def reset(self) -> Atr:
        return self._inner.reset()

    def disconnect(self) -> None:
        self._inner.disconnect()


@pytest.fixture(scope="module")
def card_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("card") / "any.card"
    VirtualCard.create(path, msgspec.structs.replace(image_of("2.00"), pin=None))
    return path


@given(
    st.sampled_from([("SSSE", "EF05"), ("SSSE", "EF1E"), ("DF02", "EF05"), ("DF04", "EF08"), ("DF01", "EF16")]),
    st.lists(
        st.builds(
            ResponseApdu,
            st.binary(max_size=60),
            st.sampled_from([0x9000, 0x9000, status.SW_RECORD_NOT_FOUND, 0x6A81, 0x6B00, 0x6C05, 0x6982, 0x6700]),
        ),
        min_size=1,
        max_size=12,
    ),
)
@settings(deadline=None, max_examples=60)
def test_any_answers_end_in_content_or_a_card_error(
    card_path: Path, where: tuple[str, str], answers: list[ResponseApdu]
) -> None:
    connection = VirtualReader(str(card_path)).connect()
    card = Broken(connection, [])
    session = CardSession(card)
    session.read_issuer()
    card._answers = answers
    with contextlib.suppress(errors.CardError):
        session.read_file(*where)
    assert card.count < 3000
