"""Three files of version 2.00 byte for byte, types and padding, access rules; every wrong row must fail the vectors."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sscard.files import CardFiles, Directory, File, card_files, granted, versions
from protocols.sscard.items import Item, ItemError

VECTORS = Path(__file__).parents[2] / "vectors" / "sscard"
SHEET: dict[str, Any] = tomllib.loads((VECTORS / "files_2.00.toml").read_text("utf-8"))
FILES = [(directory["name"], file["ef"]) for directory in SHEET["directory"] for file in directory["file"]]
ITEMS = [
    (directory["name"], file["ef"], row)
    for directory in SHEET["directory"]
    for file in directory["file"]
    for row in file["items"]
]

ANY_ITEM = st.builds(
    Item,
    tag=st.integers(0, 255),
    type=st.sampled_from(["an", "cn", "b"]),
    length=st.integers(1, 40),
    zh=st.just(""),
    en=st.just(""),
)


def faults(files: CardFiles) -> list[str]:
    """Every place where a table is not what the sheet says."""
    found = []
    if (files.version, files.algorithm) != (SHEET["version"], SHEET["algorithm"]):
        found.append("version")
    for sheet in SHEET["directory"]:
        directory = files.directory(sheet["name"])
        if (directory.fid, directory.df_name) != (sheet["fid"], sheet["df_name"]):
            found.append(f"{directory.name} name")
        for rows in sheet["file"]:
            file = directory.file(rows["ef"])
            found += [f"{directory.name} {file.ef} {fault}" for fault in file_faults(file, rows)]
    return found


def file_faults(file: File, sheet: dict[str, Any]) -> list[str]:
    found = [name for name in ("sfi", "structure", "read", "update") if getattr(file, name) != sheet[name]]
    if sheet.get("total") not in (None, sum(item.record_length for item in file.items)):
        found.append("total")
    if len(file.items) != len(sheet["items"]):
        return [*found, "items"]
    for row in sheet["items"]:
        item = file.items[row["no"] - 1]
        if (item.tag, item.type, item.length, item.record_length) != (row["tag"], row["type"], row["len"], row["le"]):
            found.append(f"row {row['no']}")
        if record_or_error(item, row["text"]) != bytes.fromhex(row["record"]):
            found.append(f"record {row['no']}")
    return found


def record_or_error(item: Item, text: str) -> bytes | None:
    try:
        return item.record(text)
    except ItemError:
        return None


def with_file(files: CardFiles, name: str, ef: str, change: Callable[[File], File]) -> CardFiles:
    def changed(directory: Directory) -> Directory:
        if directory.name != name:
            return directory
        return msgspec.structs.replace(
            directory, files=tuple(change(file) if file.ef == ef else file for file in directory.files)
        )

    return msgspec.structs.replace(files, directories=tuple(map(changed, files.directories)))


def with_item(file: File, number: int, **change: object) -> File:
    items = list(file.items)
    items[number - 1] = msgspec.structs.replace(items[number - 1], **change)
    return msgspec.structs.replace(file, items=tuple(items))


def test_the_table_is_the_sheet() -> None:
    assert faults(card_files("2.00")) == []


@pytest.mark.parametrize(("name", "ef", "row"), ITEMS)
def test_a_wrong_tag_length_or_type_is_noticed(name: str, ef: str, row: dict[str, Any]) -> None:
    files, number = card_files("2.00"), row["no"]
    for change in (
        {"tag": row["tag"] ^ 0x10},
        {"length": row["len"] + 1},
        {"length": row["len"] - 1},
        *({"type": each} for each in ("an", "cn", "b") if each != row["type"]),
    ):

        def changed(file: File, change: dict[str, Any] = change) -> File:
            return with_item(file, number, **change)

        assert faults(with_file(files, name, ef, changed)), change


@pytest.mark.parametrize(("name", "ef"), FILES)
def test_a_wrong_rule_order_or_number_is_noticed(name: str, ef: str) -> None:
    def swapped(file: File) -> File:
        return msgspec.structs.replace(file, items=(file.items[1], file.items[0], *file.items[2:]))

    changes: list[Callable[[File], File]] = [
        lambda file: msgspec.structs.replace(file, read="PIN" if file.read == "free" else "free"),
        lambda file: msgspec.structs.replace(file, read="PIN and RK1DF04"),
        lambda file: msgspec.structs.replace(file, update="free"),
        lambda file: msgspec.structs.replace(file, sfi=file.sfi + 1),
        lambda file: msgspec.structs.replace(file, structure="transparent"),
        lambda file: msgspec.structs.replace(file, items=file.items[:-1]),
        swapped,
    ]
    for change in changes:
        assert faults(with_file(card_files("2.00"), name, ef, change))


@pytest.mark.parametrize(("name", "ef", "row"), ITEMS)
def test_a_record_reads_back(name: str, ef: str, row: dict[str, Any]) -> None:
    item = card_files("2.00").directory(name).file(ef).item(row["tag"])
    assert item.decode(bytes.fromhex(row["record"])[2:]) == row["text"]


@pytest.mark.parametrize(("name", "ef", "row"), ITEMS)
def test_a_blank_item_is_all_padding_and_reads_as_nothing(name: str, ef: str, row: dict[str, Any]) -> None:
    item = card_files("2.00").directory(name).file(ef).item(row["tag"])
    padding = {"an": b"\0", "cn": b"\xff"}[row["type"]]
    assert item.encode("") == padding * row["len"]
    assert item.decode(padding * row["len"]) == ""
    if row["type"] == "an":
        assert item.decode(b" " * row["len"]) == ""


def test_every_row_has_its_source_and_both_names() -> None:
    for version in versions():
        for directory in card_files(version).directories:
            for file in directory.files:
                assert directory.source.startswith("ssc-card.md ")
                assert file.source.startswith("ssc-card.md ")
                assert all(item.zh and item.en for item in file.items)


@pytest.mark.parametrize("version", ["2.00", "2.0", "2.01"])
def test_an_amendment_is_read_by_the_table_it_amends(version: str) -> None:
    assert card_files(version).version == "2.00"


@pytest.mark.parametrize("version", ["", "2", "2.", "2.000", "2x00", "2.٣٤", "9.99", "../x", "2.00\n"])
def test_an_unknown_version_has_no_table(version: str) -> None:
    with pytest.raises(KeyError):
        card_files(version)


def test_names_that_the_table_lacks() -> None:
    files = card_files("2.00")
    with pytest.raises(KeyError):
        files.directory("DF09")
    with pytest.raises(KeyError):
        files.directory("SSSE").file("EF09")
    with pytest.raises(KeyError):
        files.directory("SSSE").file("EF05").item(0x99)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("䶮", "FE9F"),  # GB18030-2000 code of U+4DAE, which the older GBK lacks
        ("李", "C0EE"),
        ("·", "A1A4"),
    ],
)
def test_chinese_text_is_two_bytes_a_character(text: str, value: str) -> None:
    name = card_files("2.00").directory("SSSE").file("EF06").item(0x09)
    assert name.encode(text) == bytes.fromhex(value).ljust(0x1E, b"\0")
    assert name.decode(name.encode(text)) == text


@pytest.mark.parametrize("text", ["𠮷", "a\0b", "\ud800", "汉" * 16])
def test_text_that_does_not_fit_is_refused_without_being_named(text: str) -> None:
    name = card_files("2.00").directory("SSSE").file("EF06").item(0x09)
    with pytest.raises(ItemError) as caught:
        name.encode(text)
    assert text not in str(caught.value)
    assert caught.value.tag == 0x09


@pytest.mark.parametrize(
    ("rule", "rights", "expected"),
    [
        ("free", set(), True),
        ("never", {"PIN", "UKSSSE"}, False),
        ("PIN or RK1DF04", set(), False),
        ("PIN or RK1DF04", {"PIN"}, True),
        ("PIN or RK1DF04", {"RK1DF04"}, True),
        ("PIN and RK1DF04", {"PIN"}, False),
        ("PIN and RK1DF04", {"PIN", "RK1DF04"}, True),
        ("PIN and RK1DF04 or UK1DF04", {"UK1DF04"}, True),
        ("UKSSSE", {"PIN"}, False),
    ],
)
def test_access_rules(rule: str, rights: set[str], expected: bool) -> None:
    assert granted(rule, frozenset(rights)) is expected


@given(ANY_ITEM, st.binary(max_size=48))
def test_any_value_is_text_or_an_item_error(item: Item, value: bytes) -> None:
    try:
        text = item.decode(value)
    except ItemError:
        return
    assert len(value) == item.length
    assert isinstance(text, str)


@given(ANY_ITEM, st.text(max_size=30))
def test_any_text_is_a_full_value_or_an_item_error(item: Item, text: str) -> None:
    try:
        record = item.record(text)
    except ItemError:
        return
    assert record[:2] == bytes((item.tag, item.length))
    assert len(record) == item.record_length


@given(st.text(st.characters(codec="gbk", exclude_categories=("Cc", "Zs", "Zl", "Zp")), max_size=15))
def test_gbk_text_comes_back(text: str) -> None:
    name = card_files("2.00").directory("SSSE").file("EF06").item(0x09)
    assert name.decode(name.encode(text)) == text


@given(st.text("0123456789", max_size=32))
def test_digits_come_back(digits: str) -> None:
    card_id = card_files("2.00").directory("SSSE").file("EF05").item(0x01)
    assert card_id.decode(card_id.encode(digits)) == digits
