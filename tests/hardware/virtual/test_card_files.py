"""Every file of the table on a virtual card: structures, ranges, access rules, versions and answers."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hardware.virtual.card import CardFileError, CardImage, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.files import card_files
from protocols.sscard.items import ItemError

SHEET: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "tables.toml").read_text("utf-8")
)
SELECT = {row["name"]: row for row in SHEET["directory"]}
ROWS = [
    {**row, "version": version}
    for version in ("1.00", "2.00", "3.00")
    for row in SHEET["file"]
    if row["version"] == ("1.00" if version == "1.00" else "2.00") and (row["items"] or row["structure"] != "linear")
]
PIN = "0020000003135790"
LOG = ("0006" + "32" + "11" * 6 + "20260302101112" + "00" * 12, "0005" + "31" + "11" * 6 + "20260301101112" + "00" * 4)


def image_of(version: str, **choices: str) -> CardImage:
    person = load_person(DEFAULT_PERSON)
    card = msgspec.structs.replace(person.card, version=version, choices=choices)
    return card_image(msgspec.structs.replace(person, card=card))


def made(tmp_path: Path, image: CardImage) -> VirtualCard:
    VirtualCard.create(tmp_path / "x.card", image)
    return VirtualCard.open(tmp_path / "x.card")


def with_files(image: CardImage, **files: tuple[str, ...]) -> CardImage:
    """The image with other content in files given as `DF04_EF08`."""
    changed = {name.replace("_", " "): records for name, records in files.items()}
    return msgspec.structs.replace(image, files={**image.files, **changed})


def send(card: VirtualCard, apdu: str) -> str:
    return card.command(CommandApdu.from_bytes(bytes.fromhex(apdu))).to_bytes().hex().upper()


def enter(card: VirtualCard, name: str) -> str:
    df_name, fid = SELECT[name]["df_name"], SELECT[name]["fid"]
    return send(card, f"00A40400{len(df_name) // 2:02X}{df_name}" if df_name else f"00A4000002{fid}")


def opens(rule: str, *rights: str) -> bool:
    """Whether a rule of the sheet is satisfied, told another way than the product does it."""
    either = [each.split(" and ") for each in rule.split(" or ")]
    return rule == "free" or any(all(right in rights for right in each) for each in either)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['version']} {row['where']}")
@pytest.mark.parametrize("with_pin", [False, True])
def test_every_file_opens_by_its_rule(tmp_path: Path, row: dict[str, Any], with_pin: bool) -> None:
    card, (name, ef) = made(tmp_path, image_of(row["version"])), row["where"].split()
    read = "RKSSSE" if (row["version"], row["where"]) == ("3.00", "SSSE EF06") else row["read"]
    if with_pin:
        assert send(card, PIN) == "9000"
    assert enter(card, name)[:2] == "61"
    assert send(card, f"00A4020002{ef}") == "9000"
    record, binary = send(card, "00B2010400"), send(card, "00B0000001")
    if row["structure"] == "transparent":
        assert record == "6981"
        assert binary == ("009000" if opens(read, *["PIN"] * with_pin) else "6982")
        return
    assert binary == "6981"
    if not opens(read, *["PIN"] * with_pin):
        assert record == "6982"
    elif row["structure"] == "cyclic":
        assert record == "6A83"
    else:
        assert record[:2] == "6C"


@pytest.mark.parametrize("row", [row for row in ROWS if row["structure"] in ("linear", "fixed")], ids=str)
def test_records_are_in_the_order_of_the_sheet(tmp_path: Path, row: dict[str, Any]) -> None:
    """Number, tag, length, SFI; blank where the person has no value; 6A83 behind the end."""
    image, (name, ef) = image_of(row["version"]), row["where"].split()
    heads = []
    for item in row["items"]:
        words = item.split(" (")[0].split()
        heads += [(words[0], words[-1])] * int(words[1][1:] if words[1].startswith("x") else 1)
    records = image.files[row["where"]]
    assert len(records) == len(heads)
    for record, (tag, length) in zip(records, heads, strict=True):
        assert record[:2] == tag
        assert len(record) == 4 + 2 * int(record[2:4], 16)
        assert record[2:4] == length or ef == "EF1E"
    card = made(tmp_path, msgspec.structs.replace(image, pin=None))
    enter(card, name)
    if not opens("RKSSSE" if row["version"] == "3.00" and row["where"] == "SSSE EF06" else row["read"], "PIN"):
        return
    for number, record in enumerate(records, 1):
        p3 = f"{len(record) // 2:02X}"
        assert send(card, f"00B2{number:02X}{row['sfi'] << 3 | 4:02X}{p3}") == record + "9000"
    assert send(card, f"00B2{len(records) + 1:02X}0400") == "6A83"


@pytest.mark.parametrize(
    ("version", "algorithm", "total"), [("1.00", "01", "45"), ("2.00", "01", "5B"), ("3.00", "03", "5B")]
)
def test_fci_and_totals(tmp_path: Path, version: str, algorithm: str, total: str) -> None:
    card = made(tmp_path, image_of(version, **({"holder_read": "free"} if version == "3.00" else {})))
    assert enter(card, "SSSE") == "611E"
    assert send(card, "00C000001E").endswith(f"A50988011E9F0C038601{algorithm}9000")
    assert send(card, "00B2012D00") == "6C40"
    assert send(card, "00B2013500") == f"6C{total}"


@pytest.mark.parametrize(("answer", "without", "with_pin"), [("key", "6982", "6982"), ("pin_or_key", "6982", "6C5B")])
def test_the_holder_of_a_3_00_card_is_behind_a_key(tmp_path: Path, answer: str, without: str, with_pin: str) -> None:
    card = made(tmp_path, image_of("3.00", holder_read=answer))
    assert send(card, "00B2013500") == without
    assert send(card, PIN) == "9000"
    assert send(card, "00B2013500") == with_pin


def test_the_directory_file_names_the_applications(tmp_path: Path) -> None:
    """ssc-card.md 3.1: 61 { 4F name, 50 label }, read from record 1 until 6A83."""
    for version, count in (("2.00", 5), ("1.00", 4)):
        card = made(tmp_path, image_of(version))
        assert (
            send(card, "00B201F41A") == "6118" + "4F06D15600000500" + "500E" + "B9ABB9B2D3A6D3C3D0C5CFA2C7F8" + "9000"
        )
        assert send(card, f"00B2{count:02X}F400")[:2] == "6C"
        assert send(card, f"00B2{count + 1:02X}F400") == "6A83"
    card = made(tmp_path, image_of("2.00", directory_file="none"))
    assert send(card, "00B201F41A") == "6A82"
    enter(card, "SSSE")
    assert send(card, "00C000001B").endswith("A5069F0C038601019000")


def test_cyclic_records_begin_with_the_newest(tmp_path: Path) -> None:
    card = made(tmp_path, with_files(image_of("2.00"), DF04_EF08=LOG))
    send(card, PIN)
    enter(card, "DF04")
    assert send(card, "00A4020002EF08") == "9000"
    assert send(card, "00B201041C") == LOG[0] + "9000"
    assert send(card, "00B2020414") == LOG[1] + "9000"
    assert send(card, "00B2010530") == LOG[0] + LOG[1] + "9000"
    assert send(card, "00B2010630") == LOG[1] + LOG[0] + "9000"
    assert send(card, "00B2030400") == "6A83"
    for search in "00", "01", "02", "03":
        assert send(card, f"00B200{search}00") == "6A83"


def test_read_binary(tmp_path: Path) -> None:
    """ssc-card.md 4.1: offset or SFI in P1, Le 00 up to 256 bytes or to the end, 6B00 behind it."""
    card = made(tmp_path, with_files(image_of("2.00"), DF01_EF16=("0102030405",)))
    enter(card, "DF01")
    assert send(card, "00B0000005") == "6986"
    assert send(card, "00B0960005") == "01020304059000"
    assert send(card, "00B0000203") == "0304059000"
    assert send(card, "00B0960404") == "050000009000"
    assert send(card, "00B0000000") == "0102030405" + "00" * 251 + "9000"
    assert send(card, "00B0010000") == "00" * 0x28 + "9000"
    assert send(card, "00B0010028") == "00" * 0x28 + "9000"
    assert send(card, "00B0010029") == "6C28"
    assert send(card, "00B0012701") == "009000"
    assert send(card, "00B0012800") == "6B00"
    assert send(card, "00B07FFF01") == "6B00"
    for apdu, sw in (("00B0800001", "6A86"), ("00B0B60001", "6A86"), ("00B0850001", "6981"), ("00B08B0001", "6A82")):
        assert send(card, apdu) == sw
    assert send(card, "80B0000001") == "6E00"


def test_directories_without_a_name_are_selected_by_identifier(tmp_path: Path) -> None:
    card = made(tmp_path, image_of("2.00"))
    for fid, label in (("DF05", "生命与健康信息区"), ("DF06", "救助与优抚信息区")):
        name = label.encode("gbk").hex().upper()
        assert send(card, f"00A4000002{fid}") == "6114"
        assert send(card, "00C0000014") == f"6F128410{name}9000"
        assert send(card, f"00A4040010{name}") == "6A82"
    assert send(made(tmp_path, image_of("1.00")), "00A4000002DF05") == "6A82"


def test_an_item_that_is_in_one_of_two_files(tmp_path: Path) -> None:
    """ssc-card.md 3.6, 10 no. 7."""
    for answer, holds, lacks in (("DF02", "DF02 EF06", "DF03 EF05"), ("DF03", "DF03 EF05", "DF02 EF06")):
        files = made(tmp_path, image_of("2.00", unemployment_registration=answer)).image.files
        assert any(record.startswith("6004") for record in files[holds])
        assert not any(record.startswith("6004") for record in files[lacks])


def test_insurance_on_a_1_00_card_is_written_with_the_meaning_of_2_00() -> None:
    records = image_of("1.00").files["DF04 EF05"]
    assert records[1] == "813E" + "3331303030303030" + "EE" * 54
    assert records[4] == "843E" + "110000" + "EE" * 59
    assert records[12] == "8C0111"
    assert records[13] == "8F0131"


def test_a_1_00_card_has_no_place_for_a_longer_name() -> None:
    person = load_person(DEFAULT_PERSON)
    card = msgspec.structs.replace(person.card, version="1.00")
    assert card_image(msgspec.structs.replace(person, card=card, name="示" * 15))
    with pytest.raises(ItemError) as caught:
        card_image(msgspec.structs.replace(person, card=card, name="示" * 16))
    assert caught.value.tag == 0x4E


def test_a_card_file_with_three_files_is_a_card_with_three_files(tmp_path: Path) -> None:
    """Card files of format 1 as they were first written name only these."""
    image = image_of("2.00")
    old = msgspec.json.decode(msgspec.json.encode(image))
    del old["choices"]
    old["files"] = {key: image.files[key] for key in ("SSSE EF05", "SSSE EF06", "DF04 EF05")}
    (tmp_path / "old.card").write_bytes(msgspec.json.encode(old))
    card = VirtualCard.open(tmp_path / "old.card")
    assert send(card, "00B2013500") == "6C5B"
    assert send(card, "00A4020002EF07") == "6A82"
    assert enter(card, "DF01") == "6A82"
    assert send(card, PIN) == "9000"
    assert enter(card, "DF04") == "610A"
    assert send(card, "00B2012C0A")[-4:] == "9000"


@pytest.mark.parametrize(
    "change",
    [
        {"DF04_EF08": ("00" * 0x1B,)},
        {"DF04_EF15": ("000031", "00")},
        {"SSSE_EF07": ("00" * 0x301,)},
        {"SSSE_EF07": ("01", "02")},
        {"SSSE_EF07": ("0x",)},
    ],
)
def test_content_that_is_not_the_files(tmp_path: Path, change: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(CardFileError):
        made(tmp_path, with_files(image_of("2.00"), **change))


@pytest.mark.parametrize("choices", [{"nothing": "x"}, {"holder_read": "free"}, {"education": "thrice"}])
def test_a_choice_that_is_not_open(tmp_path: Path, choices: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        image_of("2.00", **choices)
    with pytest.raises(CardFileError, match="choice"):
        made(tmp_path, msgspec.structs.replace(image_of("2.00"), choices=choices))


def test_every_file_that_is_not_absent_is_on_the_card() -> None:
    for version in ("1.00", "2.00", "3.00"):
        there = {f"{name.name} {file.ef}" for name, file in card_files(version).all_files() if not file.absent}
        assert image_of(version).files.keys() == there
