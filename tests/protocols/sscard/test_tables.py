"""Every file of every version against rows typed from the sheet; in each file a wrong one must be noticed."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.sscard import page
from protocols.sscard.files import CardFiles, File, card_files, versions
from protocols.sscard.items import Item

SHEET: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "tables.toml").read_text("utf-8")
)
FILES = SHEET["file"] + [{**row, "version": "3.00"} for row in SHEET["file"] if row["version"] == "2.00"]
RULE = re.compile(r"(free|never|(PIN|[RU]K\w+)( (and|or) (PIN|[RU]K\w+))*)")
MARK = re.compile(r"\b(ST|MC|OC|PG|INF)\b")


def printed(item: Item) -> str:
    """An item as the sheet prints it: `20 an 02`, `40 x3 tlv 34 (57 an 03, …)`."""
    tag = f"{item.tag:02X} " if item.tag else ""
    count = f"x{item.count} " if item.count > 1 else ""
    parts = f" ({', '.join(map(printed, item.parts))})" if item.parts else ""
    return f"{tag}{count}{item.type} {item.length:02X}{parts}"


def faults(file: File, row: dict[str, Any]) -> list[str]:
    """What in a file is not as in the sheet."""
    read = SHEET["v3"]["EF06"] if (row["version"], row["where"]) == ("3.00", "SSSE EF06") else row["read"]
    is_cyclic = file.structure == "cyclic"
    found = {
        "sfi": (file.sfi, row["sfi"]),
        "structure": (file.structure, row["structure"]),
        "read": (file.read, read),
        "update": (file.update, row["update"]),
        "items": ([printed(item) for item in file.items if not item.absent], row["items"]),
        "size": (file.size, row.get("size", 0)),
        "capacity": (file.capacity, row.get("capacity", 0)),
        "short": (file.short, row.get("short", 0)),
        "record": (file.record_length if is_cyclic else 0, row.get("record", 0)),
        "total": (sum(item.record_length for item in file.records), row["total"]) if "total" in row else (0, 0),
    }
    return [name for name, (ours, theirs) in found.items() if ours != theirs]


def file_of(files: CardFiles, where: str) -> File:
    name, ef = where.split()
    return files.directory(name).file(ef)


def mutants(file: File) -> Iterator[tuple[str, File]]:
    """The file with one thing wrong."""

    def changed(**change: object) -> File:
        return msgspec.structs.replace(file, **change)

    yield "read", changed(read="PIN" if file.read != "PIN" else "free")
    yield "read", changed(read=f"{file.read} or PIN")
    yield "update", changed(update="UKSSSE" if file.update != "UKSSSE" else "free")
    yield "sfi", changed(sfi=file.sfi ^ 1)
    yield "structure", changed(structure="cyclic" if file.structure != "cyclic" else "linear")
    yield "size", changed(size=file.size + 1)
    yield "capacity", changed(capacity=file.capacity + 1)
    for place, item in enumerate(file.items):
        for name, wrong in item_mutants(item):
            yield f"{place} {name}", changed(items=(*file.items[:place], wrong, *file.items[place + 1 :]))
        yield f"{place} missing", changed(items=file.items[:place] + file.items[place + 1 :])


def item_mutants(item: Item) -> Iterator[tuple[str, Item]]:
    def changed(**change: object) -> Item:
        return msgspec.structs.replace(item, **change)

    if item.absent:
        yield "absent", changed(absent=False)
        return
    yield "absent", changed(absent=True)
    yield "tag", changed(tag=item.tag ^ 0x10)
    yield "length", changed(length=item.length + 1)
    yield "type", changed(type="cn" if item.type != "cn" else "an")
    yield "count", changed(count=item.count + 1)
    for place, part in enumerate(item.parts):
        for name, wrong in item_mutants(part):
            if name != "absent":
                yield f"part {name}", changed(parts=(*item.parts[:place], wrong, *item.parts[place + 1 :]))


def test_every_file_and_directory_of_the_sheet_and_no_other() -> None:
    for version in versions():
        files = card_files(version)
        rows = [row for row in SHEET["directory"] if version in row["versions"]]
        assert [(each.name, each.fid, each.df_name) for each in files.directories] == [
            (row["name"], row["fid"], row["df_name"]) for row in rows
        ]
        there = {f"{directory.name} {file.ef}" for directory, file in files.all_files()}
        assert there == {row["where"] for row in FILES if row["version"] == version}
    assert card_files("3.00").algorithm == SHEET["v3"]["algorithm"]


@pytest.mark.parametrize("row", FILES, ids=lambda row: f"{row['version']} {row['where']}")
def test_a_file_is_as_the_sheet_says_and_every_wrong_row_is_noticed(row: dict[str, Any]) -> None:
    file = file_of(card_files(row["version"]), row["where"])
    assert faults(file, row) == []
    for name, mutant in mutants(file):
        # The item that goes on in another file by question 7, or is there twice by question 5, is nobody's row.
        if name.endswith("missing") and file.items[int(name.split()[0])].absent:
            continue
        assert faults(mutant, row), name


def all_items(file: File) -> Iterator[Item]:
    for item in file.items:
        yield item
        yield from item.parts


@pytest.mark.parametrize("version", versions())
def test_every_row_has_source_mark_names_and_a_rule(version: str) -> None:
    for directory, file in card_files(version).all_files():
        for row in (directory, file):
            assert row.source.startswith("ssc-card.md ")
            assert MARK.search(row.mark)
        assert RULE.fullmatch(file.read)
        assert RULE.fullmatch(file.update)
        for item in all_items(file):
            assert item.zh
            assert item.en
            assert not item.mark or MARK.search(item.mark)


@pytest.mark.parametrize("version", versions())
def test_tags_are_unique_and_lengths_add_up(version: str) -> None:
    for _, file in card_files(version).all_files():
        tags = [item.tag for item in file.items]
        assert len(set(tags)) == len(tags) or file.structure == "cyclic"
        assert all(0 < item.tag < 0xFF for item in file.items) or file.structure == "cyclic"
        for item in file.items:
            if item.type == "tlv":
                assert item.length == sum(part.record_length for part in item.parts)
            if item.extension:
                assert file.item(item.extension).type == "an"


@pytest.mark.parametrize("row", SHEET["answer"], ids=lambda row: row["question"])
def test_another_answer_changes_its_rows_only(row: dict[str, Any]) -> None:
    for version in ("2.00", "3.00"):
        before = card_files(version)
        after = before.answered({row["question"]: row["answer"]})
        for where, size in row.get("sizes", {}).items():
            assert file_of(after, where).size == size
        for where, items in row.get("items", {}).items():
            assert [printed(item) for item in file_of(after, where).items if not item.absent] == items
        changed = {
            f"{directory.name} {file.ef}"
            for directory, file in after.all_files()
            if file != before.directory(directory.name).file(file.ef)
        }
        assert changed == {*row.get("sizes", {}), *row.get("items", {})}


def test_the_rights_to_read_the_holder_of_a_3_00_card_are_open() -> None:
    """ssc-card.md 10 no. 2, 11."""
    files = card_files("3.00")
    for answer, read in (("key", "RKSSSE"), ("pin_or_key", "RKSSSE or PIN"), ("free", "free")):
        assert files.answered({"holder_read": answer}).directory("SSSE").file("EF06").read == read


def test_the_first_answer_is_what_the_rows_say_and_others_are_something_else() -> None:
    for version in versions():
        files = card_files(version)
        for question in files.questions:
            first, *others = question.answers
            assert files.answered({question.name: first}) == files
            assert all(files.answered({question.name: other}) != files for other in others)


@pytest.mark.parametrize("answers", [{"nothing": "x"}, {"holder_read": "x"}])
def test_an_unknown_answer(answers: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        card_files("3.00").answered(answers)


def test_the_page_has_every_row() -> None:
    text = page.page()
    for version in ("1.00", "2.00"):
        for directory, file in card_files(version).all_files():
            assert f"**{directory.name} {file.ef} {file.zh}" in text
            for item in all_items(file):
                assert f"{item.zh} · {item.en} | {item.type} | " in text
    assert text.count("`holder_read`") == 2
    assert "SFI 06, linear; read: RKSSSE; update: UKSSSE" in text
    assert all(f"| {row} |" in text for row in ("↳ 57", "1–5", "≤24"))
