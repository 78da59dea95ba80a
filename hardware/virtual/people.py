"""Simulated people (`people/*.toml`) and their cards. Their citizen numbers begin with 99, always."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hardware.virtual.card import CardImage, CardKey, Pin, VirtualCard, file_key
from protocols.iso7816.atr import DIRECT
from protocols.iso7816.t1 import lrc
from protocols.sscard import security
from protocols.sscard.files import CardFiles, Directory, File, card_files
from protocols.sscard.identity import CitizenNumberError, card_no_valid, check_citizen_number, person_class_of
from protocols.sscard.items import PART_SEPARATOR, ItemError
from protocols.sscard.keys import Key
from protocols.sscard.simulated import simulated_root

GALLERY = Path(__file__).parent / "people"
DEFAULT_PERSON = GALLERY / "employee.toml"

FICTITIOUS = "99"
APPLICATION_ID = "D156000005"
INSTITUTION = "9156000002"
CHIP = "00815431008660"
"""Historical bytes T1 to T7, as on cards seen (ssc-card.md 2)."""
INTERFACE = {0: bytes.fromhex("6D 00 00"), 1: bytes.fromhex("ED 00 00 81 31 FE 45")}
"""T0 and what follows to the historical bytes: no extra guard time; in T=1 IFSC 254, BWI 4 and CWI 5, LRC."""
ONLINE = "1"
NAME_BYTES = 30
KEY_TRIES = 3

Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4,16}$")]
Region = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}$")]
Tries = Annotated[int, msgspec.Meta(ge=0, le=15)]
Values = dict[str, dict[int, str | tuple[str, ...]]]
Records = tuple[str, ...]
CardState = Literal["picked_up", "active", "pre_lost", "formal_lost", "exchanged", "void"]


class PersonFileError(Exception):
    """A person file that cannot be read or makes no person; names file and fault."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class PersonCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pin` absent: a card without PIN. `pin_tries` left, absent: all. `choices` answer the table's open questions.

    `key_versions` that the card's keys are there in, absent: all of its version's.
    `blocked` directories and a blocked card as in `CardImage`. `protocol` is what the card speaks.
    """

    version: str
    card_no: str
    region: Region
    card_class: Literal["1", "2", "3", "4"]
    issue_date: date
    expiry_date: date
    pin: Digits | None = None
    pin_limit: Tries = 3
    pin_tries: Tries | None = None
    choices: dict[str, str] = {}
    key_versions: tuple[int, ...] | None = None
    blocked: tuple[str, ...] = ()
    card_blocked: bool = False
    protocol: Literal[0, 1] = 0


class PersonInsurance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On the chip and, where `centre` says nothing else, at the centre."""

    insutype: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3}$")]
    psn_type: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}$")]
    insuplc_admdvs: Region


class PersonCentre(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only at the centre; amounts in yuan. `balc` absent: no account there."""

    psn_insu_stas: Literal["0", "1", "2", "4"]
    card_state: CardState
    default_pin: bool
    year: int
    inscope: str
    big: str
    psn_type: str | None = None
    balc: str | None = None


class VirtualPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One simulated person, their card, and what the centre knows of them; `about` says what they are there for."""

    certno: str
    name: str
    gend: Literal["1", "2"]
    naty: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}$")]
    card: PersonCard
    insurance: PersonInsurance
    centre: PersonCentre
    about: str = ""


def gallery() -> dict[str, VirtualPerson]:
    """Everybody in `people/`, by the name of the file."""
    return {path.stem: load_person(path) for path in sorted(GALLERY.glob("*.toml"))}


def load_person(path: Path) -> VirtualPerson:
    """A person from TOML; `PersonFileError` where it is none, or where a number could belong to somebody."""
    try:
        person = msgspec.convert(tomllib.loads(path.read_text("utf-8")), VirtualPerson)
    except OSError as error:
        raise PersonFileError(path, error.strerror or "cannot be read") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise PersonFileError(path, str(error)) from None
    if not person.certno.startswith(FICTITIOUS):
        raise PersonFileError(path, "certno does not begin with 99: only fictitious people have simulated cards")
    try:
        check_citizen_number(person.certno, person.card.issue_date, person.gend)
    except CitizenNumberError as error:
        raise PersonFileError(path, str(error)) from None
    if not card_no_valid(person.card.card_no):
        raise PersonFileError(path, "card_no has a wrong form or check character")
    return person


def card_image(person: VirtualPerson) -> CardImage:
    """A new card of this person.

    `KeyError` for a version without table or a choice it does not leave open, `items.ItemError` for what does not fit
    an item.
    """
    card, files = person.card, card_files(person.card.version).answered(person.card.choices)
    serial = card.card_no[1:8].rjust(8, "0")
    pin = None
    if card.pin is not None:
        pin = Pin(card.pin, card.pin_limit, card.pin_limit if card.pin_tries is None else card.pin_tries)
    historical_bytes = f"{CHIP}{card.region[:4]}{serial}"
    return CardImage(
        version=files.version,
        atr=_atr(card.protocol, bytes.fromhex(historical_bytes)),
        pin=pin,
        files=_records(files, _values(person, serial) | {"SSSE EF1E": {0x61: _applications(files)}}),
        choices=card.choices,
        keys=_keys(files, card, bytes.fromhex(historical_bytes)),
        blocked=card.blocked,
        card_blocked=card.card_blocked,
    )


def _atr(protocol: int, historical_bytes: bytes) -> str:
    after_ts = INTERFACE[protocol] + historical_bytes
    return (bytes([DIRECT]) + after_ts + (lrc(after_ts) if protocol else b"")).hex().upper()


def make_card(person: VirtualPerson, path: Path) -> VirtualCard:
    """Personalise a card file, in place of one that was there; `CardFileError` where it cannot be written."""
    return VirtualCard.create(path, card_image(person))


def _keys(files: CardFiles, card: PersonCard, historical_bytes: bytes) -> dict[str, CardKey]:
    """The card's own keys below the simulated roots (ssc-card.md 6.1, 6.2)."""
    factors = security.factors(card.region, historical_bytes)
    there = files.keys.versions if card.key_versions is None else card.key_versions

    def value(key: Key, version: int) -> str:
        root = simulated_root(files.algorithm, key, version)
        return security.diversify(files.algorithm, root, *factors).hex().upper() if version in there else ""

    return {
        key.name: CardKey(tuple(value(key, version) for version in files.keys.versions), KEY_TRIES, KEY_TRIES)
        for key in files.keys.rows
        if not key.absent
    }


def _applications(files: CardFiles) -> tuple[str, ...]:
    """Entries of the directory file: the named directories with files below the SSSE (ssc-card.md 3.1)."""
    named = (each for each in files.directories[1:] if each.df_name and each.files)
    return tuple(f"{each.df_name}{PART_SEPARATOR}{each.zh}" for each in named)


def _values(person: VirtualPerson, serial: str) -> Values:
    """Texts by file and tag; what is not named stays blank."""
    card, insurance = person.card, person.insurance
    name, extension = _split_name(person.name)
    return {
        "SSSE EF05": {
            0x01: card.region + APPLICATION_ID + serial,
            0x02: card.card_class,
            0x03: card.version,
            0x04: f"{INSTITUTION}{card.region}{card.region}01",
            0x05: f"{card.issue_date:%Y%m%d}",
            0x06: f"{card.expiry_date:%Y%m%d}",
            0x07: card.card_no,
        },
        "SSSE EF06": {
            0x08: person.certno,
            0x09: name,
            0x4E: extension,
            0x0A: person.gend,
            0x0B: person.naty,
            0x0C: person.certno[:6],
            0x0D: person.certno[6:14],
        },
        "DF04 EF05": {
            0x81: f"{insurance.insutype}00000",
            0x84: insurance.insuplc_admdvs,
            0x8C: person_class_of(insurance.psn_type),
            0x8F: ONLINE,
        },
    }


def _records(files: CardFiles, values: Values) -> dict[str, tuple[str, ...]]:
    return {
        file_key(directory, file): _linear(files, directory, file, values.get(file_key(directory, file), {}))
        for directory, file in files.all_files()
        if not file.absent
    }


def _linear(files: CardFiles, directory: Directory, file: File, texts: dict[int, str | tuple[str, ...]]) -> Records:
    """The records of a linear file; cyclic and transparent files begin without content.

    Where the text has the meaning of a later version, the item is written as a rewritten one (ssc-card.md 3.9).
    """
    if file.structure not in ("linear", "fixed"):
        return ()
    records: list[bytes] = []
    left = dict(texts)
    for item in (item for item in file.items if not item.absent):
        given = left.pop(item.tag, "")
        for text in (given,) * item.count if isinstance(given, str) else given:
            meaning = item
            if files.rewritten and text:
                meaning = card_files(files.rewritten).directory(directory.name).file(file.ef).item(item.tag)
            same = (meaning.type, meaning.length) == (item.type, item.length)
            records.append(item.record(text) if same else item.rewrite(text, meaning))
    for tag, rest in left.items():
        if rest:
            raise ItemError(tag, f"is not in {file_key(directory, file)}")
    return tuple(record.hex().upper() for record in records)


def _split_name(name: str) -> tuple[str, str]:
    """The name and what of it goes on in the extension item."""
    size = 0
    for place, character in enumerate(name):
        size += len(character.encode("gb18030"))
        if size > NAME_BYTES:
            return name[:place], name[place:]
    return name, ""
