"""The gallery: fictitious, consistent, and what the vectors of settlement.md C.4 begin with."""

from datetime import date
from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import GALLERY, PersonFileError, card_image, load_person, make_card
from protocols.settlement.money import fen
from protocols.sscard.identity import age_on, check_citizen_number, psn_type_of
from protocols.sscard.items import ItemError

PEOPLE = sorted(GALLERY.glob("*.toml"))
ON = date(2026, 11, 21)

BEFORE = {
    "employee": ("990101198802290036", "110000", 165035, 0, None),  # D2
    "retired": ("990101195006150012", "110000", 129000, 0, None),  # D4
    "pharmacy": (None, "990101", 0, 0, 8000),  # D8a
    "not_updated": (None, "110000", 130000, 0, None),  # D12a
    "rare_name": (None, "110000", 250000, 49000, None),  # D5
    "two_sites": (None, "110000", 170000, 0, None),  # D14
    "child": ("990101202001010013", "110000", 0, 0, None),
}


@pytest.mark.parametrize("path", PEOPLE, ids=lambda path: path.stem)
def test_everybody_is_fictitious_and_consistent(path: Path, tmp_path: Path) -> None:
    person = load_person(path)
    assert person.certno.startswith("99")
    number = check_citizen_number(person.certno, ON, person.gend)
    insurance = person.insurance
    assert (person.card.expiry_date > ON) is (path.stem != "expired")
    assert person.card.pin is not None
    given_at_first = person.card.pin in ("000000", "123456", "666666", "888888", person.certno[-6:])
    assert given_at_first is person.centre.default_pin is (path.stem in ("new", "default_pin"))
    assert fen(person.centre.inscope) >= 0
    assert person.centre.year == 2026

    card = make_card(person, tmp_path / "x.card")
    df04 = card.tables.directory("DF04")
    by_tag = {record[0]: record[2:] for record in card.records(df04, df04.files[0])}
    person_class, age = by_tag[0x8C].hex(), age_on(number.brdy, ON)
    assert psn_type_of(person_class, by_tag[0x81][:3].decode(), age) == insurance.psn_type


def test_nobody_is_there_twice() -> None:
    people = [load_person(path) for path in PEOPLE]
    assert len({person.certno for person in people}) == len(people)
    assert len({person.card.card_no for person in people}) == len(people)
    assert len({card_image(person).atr for person in people}) == len(people)


@pytest.mark.parametrize("stem", BEFORE)
def test_what_the_centre_knows(stem: str) -> None:
    certno, place, inscope, big, balc = BEFORE[stem]
    person = load_person(GALLERY / f"{stem}.toml")
    assert certno in (None, person.certno)
    assert person.insurance.insuplc_admdvs == place
    assert (fen(person.centre.inscope), fen(person.centre.big)) == (inscope, big)
    assert balc == (None if person.centre.balc is None else fen(person.centre.balc))


def test_roles() -> None:
    assert age_on(date(1950, 6, 15), ON) >= 70
    not_updated = load_person(GALLERY / "not_updated.toml")
    assert (not_updated.insurance.psn_type, not_updated.centre.psn_type) == ("1101", "1201")
    assert "䶮" in load_person(GALLERY / "rare_name.toml").name


def test_a_latin_name_goes_on_in_its_extension(tmp_path: Path) -> None:
    person = load_person(GALLERY / "foreign.toml")
    card = make_card(person, tmp_path / "foreign.card")
    ssse = card.tables.directory("SSSE")
    by_tag = {record[0]: record[2:] for record in card.records(ssse, ssse.file("EF06"))}
    assert by_tag[0x09] == b"SAMPLE ALEXANDRA MARGARETHE JO"
    assert by_tag[0x4E].rstrip(b"\0") == b"ANNA"
    assert by_tag[0x0B] == b"\x99"  # ssc-card.md 3.3: another than those of GB 3304


def test_a_long_name_goes_on_in_its_extension(tmp_path: Path) -> None:
    text = (GALLERY / "employee.toml").read_text("utf-8").replace("李建华", "赛" * 14 + "aa" + "示" * 10)
    path = tmp_path / "long.toml"
    path.write_text(text, "utf-8")
    card = make_card(load_person(path), tmp_path / "long.card")
    ssse = card.tables.directory("SSSE")
    by_tag = {record[0]: record[2:] for record in card.records(ssse, ssse.files[1])}
    assert by_tag[0x09].decode("gbk") == "赛" * 14 + "aa"
    assert by_tag[0x4E].decode("gbk") == "示" * 10

    path.write_text(text.replace("示" * 10, "示" * 11), "utf-8")
    with pytest.raises(ItemError):
        make_card(load_person(path), tmp_path / "long.card")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("990101198802290036", "110105194912310021"),
        ("990101198802290036", "11010519491231002X"),
        ("990101198802290036", "990101198802290037"),
        ('gend = "1"', 'gend = "2"'),
        ('gend = "1"', 'gend = "x"'),
        ("A12345674", "A12345678"),
        ('pin = "135790"', 'pin = "13579a"'),
        ('pin = "135790"', 'pin = "135"'),
        ("pin_limit = 3", "pin_limit = 16"),
        ('region = "990101"', 'region = "9901"'),
        ('issue_date = "2024-03-01"', 'issue_date = "2024-02-30"'),
        ("[centre]", "[center]"),
        ('name = "李建华"', "name = 1"),
        ('name = "李建华"', 'name = "李建华'),
    ],
)
def test_a_wrong_person_file_is_named(tmp_path: Path, old: str, new: str) -> None:
    text = (GALLERY / "employee.toml").read_text("utf-8")
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(PersonFileError, match=r"wrong\.toml"):
        load_person(path)


def test_a_missing_person_file(tmp_path: Path) -> None:
    with pytest.raises(PersonFileError):
        load_person(tmp_path / "none.toml")


def test_a_card_of_a_version_without_table(tmp_path: Path) -> None:
    path = tmp_path / "future.toml"
    text = (GALLERY / "employee.toml").read_text("utf-8").replace('version = "2.00"', 'version = "9.00"')
    path.write_text(text, "utf-8")
    with pytest.raises(KeyError):
        card_image(load_person(path))


def test_tries_left_from_the_person(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    text = (GALLERY / "employee.toml").read_text("utf-8").replace("pin_limit = 3", "pin_limit = 6\npin_tries = 1")
    path.write_text(text, "utf-8")
    make_card(load_person(path), tmp_path / "one.card")
    pin = VirtualCard.open(tmp_path / "one.card").image.pin
    assert pin is not None
    assert (pin.limit, pin.tries) == (6, 1)
