"""What files say: B-TLV, cyclic records, names that go on, rewritten 1.00 items, and whatever else is on a card."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sscard.content import Content, FileDecoder
from protocols.sscard.files import File, card_files, versions
from protocols.sscard.items import ItemError

SHEET: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "tables.toml").read_text("utf-8")
)
EVERY = [
    (version, f"{directory.name} {file.ef}")
    for version in versions()
    for directory, file in card_files(version).all_files()
]


def table(version: str, where: str) -> tuple[File, FileDecoder]:
    tables, (name, ef) = card_files(version), where.split()
    directory = tables.directory(name)
    return directory.file(ef), FileDecoder(tables, directory, directory.file(ef))


def decoded(version: str, where: str, *records: str) -> tuple[Content, ...]:
    return table(version, where)[1].records(tuple(map(bytes.fromhex, records)))


@pytest.mark.parametrize("row", SHEET["sample"], ids=lambda row: row["where"] + row["text"])
def test_parts_and_fields(row: dict[str, str]) -> None:
    (content,) = decoded("2.00", row["where"], row["record"])
    assert (content.text, content.known) == (row["text"], True)
    assert [part.text for part in content.parts if row["text"]] == [text for text in row["text"].split("|") if text]


@pytest.mark.parametrize(
    "row", [row for row in SHEET["sample"] if row["record"][2] == " "], ids=lambda row: row["text"]
)
def test_parts_are_written_as_they_are_read(row: dict[str, str]) -> None:
    file, _ = table("2.00", row["where"])
    assert file.item(int(row["record"][:2], 16)).record(row["text"]) == bytes.fromhex(row["record"])


def test_wrong_parts_are_not_written() -> None:
    degree = card_files("2.00").directory("DF01").file("EF15").item(0x40)
    for text in ("401", "401|050101", "401|050101|a|b", "4011|050101|a", "401|05010x|a"):
        with pytest.raises(ItemError):
            degree.encode(text)


@pytest.mark.parametrize("row", SHEET["rewritten"], ids=lambda row: row["record"][:2])
def test_a_rewritten_item_has_the_later_meaning_both_ways(row: dict[str, str]) -> None:
    record = bytes.fromhex(row["record"])
    (content,) = decoded("1.00", row["where"], row["record"])
    assert (content.text, content.version) == (row["text"], "2.00")
    old, new = (table(version, row["where"])[0].item(record[0]) for version in ("1.00", "2.00"))
    assert old.rewrite(row["text"], new) == record
    assert content.zh == new.zh


@pytest.mark.parametrize(
    ("where", "record", "text"),
    [
        ("DF01 EF09", "32 03 303131", "011"),
        ("DF01 EF0A", "37 04 00250000", "00250000"),
        ("DF01 EF0A", "37 04 FFFFFFFF", ""),
        ("DF04 EF05", "81 3E D2BD" + "00" * 60, "医"),
        ("DF01 EF05", "21 3E" + "C0EE" * 30 + "EEEE", "李" * 30 + "铑"),  # longer in 2.00: no rule for it
    ],
)
def test_other_1_00_items_keep_their_meaning(where: str, record: str, text: str) -> None:
    (content,) = decoded("1.00", where, record)
    assert (content.text, content.version, content.known) == (text, "1.00", True)


def test_an_item_of_unchanged_length_follows_its_file() -> None:
    """Tag 8C is an 01 in 1.00 and cn 01 in 2.00 (ssc-card.md 3.7, 3.9)."""
    region = "843E110000" + "EE" * 59
    assert [each.text for each in decoded("1.00", "DF04 EF05", region, "8C0121")] == ["110000", "21"]
    assert [each.text for each in decoded("1.00", "DF04 EF05", "8C0131")] == ["1"]


def test_2_00_items_are_never_rewritten() -> None:
    (content,) = decoded("2.00", "DF01 EF0A", "37 03 EEEEEE")
    assert content.version == "2.00"


@pytest.mark.parametrize(
    ("name", "extension", "text"),
    [
        ("C0EEBDA8BBAA" + "00" * 24, "00" * 20, "李建华"),
        ("FE9F" + "00" * 28, "00" * 20, "䶮"),
        ("CABE" * 15, "C0EE" + "00" * 18, "示" * 15 + "李"),
        ("41" + "CABE" * 14 + "C0", "EE" + "00" * 19, "A" + "示" * 14 + "李"),
        ("95328236" + "00" * 26, "00" * 20, "𠀀"),  # GB18030 in four bytes
        ("CABE" * 14 + "9532", "8236" + "00" * 18, "示" * 14 + "𠀀"),
    ],
)
def test_names_with_extension_and_rare_characters(name: str, extension: str, text: str) -> None:
    content = decoded("2.00", "SSSE EF06", f"091E{name}", f"4E14{extension}")
    assert (content[0].text, content[0].known) == (text, True)


def test_what_the_table_does_not_know_is_kept() -> None:
    """ssc-card.md 3.2: files may gain items; lengths and texts that do not fit are shown as they are."""
    records = ("C703414243", "0A0131", "0A03414243", "FF", "0B", "0A0181", "0A01310B", "0A0107", "")
    contents = decoded("2.00", "SSSE EF06", *records)
    assert [content.known for content in contents] == [False, True, *[False] * 7]
    assert [content.text for content in contents] == ["C703414243", "1", *records[2:]]
    assert [content.tag for content in contents][:4] == ["C7", "0A", "0A", "FF"]


@pytest.mark.parametrize("record", ["", "00", "00" * 0x1B, "00" * 0x13, "00" * 0x1D])
def test_a_cyclic_record_of_another_length_is_kept(record: str) -> None:
    (content,) = decoded("2.00", "DF04 EF08", record)
    assert (content.known, content.text) == (False, record)


def test_a_transparent_file_is_hexadecimal_or_blank() -> None:
    _, decoder = table("2.00", "SSSE EF07")
    assert [decoder.binary(each)[0].text for each in (b"\0" * 9, b"\xff" * 9, b"", b"\1\0")] == ["", "", "", "0100"]


@given(st.sampled_from(EVERY), st.lists(st.binary(max_size=64), max_size=4), st.booleans())
def test_any_records_are_content(which: tuple[str, str], records: list[bytes], tagged: bool) -> None:
    file, decoder = table(*which)
    if tagged and file.items:
        items = [file.items[len(record) % len(file.items)] for record in records]
        records = [
            bytes((item.tag, item.length)) + record.ljust(item.length, b"\0")[: item.length]
            for item, record in zip(items, records, strict=True)
        ]
    contents = decoder.records(tuple(records))
    assert len(contents) == len(records)
    for content, record in zip(contents, records, strict=True):
        assert content.known or content.text == record.hex().upper()
