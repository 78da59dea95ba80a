"""Every key of every version against the sheet; a wrong row must be noticed, and every access rule has its keys."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.sscard.files import card_files, card_keys, versions
from protocols.sscard.keys import CardKeys, Key
from protocols.sscard.security import SM4, TRIPLE_DES
from protocols.sscard.simulated import simulated_root

SHEET: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "keys.toml").read_text("utf-8")
)
KEY_NAME = re.compile(r"\b[RU]K\w+")
all_versions = pytest.mark.parametrize("version", versions())


def sheet_of(version: str) -> dict[str, str]:
    rows: dict[str, str] = SHEET["2.00" if version == "3.00" else version]
    return rows


def hexadecimal(value: int | None) -> str:
    return ".." if value is None else f"{value:02X}"


def printed(key: Key) -> str:
    """A key as the sheet prints it: `UK1 83 (48/42)`."""
    name = key.name.removesuffix(key.directory)
    in_psam = "" if key.usage is key.psam_id is None else f" ({hexadecimal(key.usage)}/{hexadecimal(key.psam_id)})"
    return f"{name if key.directory != 'SSSE' else key.name} {hexadecimal(key.id)}{in_psam}".removesuffix(" ..")


def faults(version: str, keys: CardKeys) -> list[str]:
    """What in a table is not as in the sheet."""
    rows = {
        name: re.sub(r"\s+", " ", text).strip().removesuffix(";").split("; ")
        for name, text in sheet_of(version).items()
    }
    found: dict[str, list[str]] = {}
    for key in keys.rows:
        if not key.absent:
            found.setdefault(key.directory, []).append(printed(key))
    hsm = {} if version == "1.00" else SHEET["hsm"]
    wrong = [] if found == rows else ["ids"]
    wrong += [] if {key.name: key.hsm for key in keys.rows if key.hsm} == hsm else ["hsm"]
    purposes = SHEET["purpose"]
    for key in keys.rows:
        start = key.name if key.name in purposes else key.name[:3] if key.name[:3] in purposes else key.name[:2]
        wrong += [] if purposes[start] == key.purpose else [f"{key.name} purpose"]
        wrong += [] if key.single == key.name.startswith("STK") else [f"{key.name} length"]
    return wrong


def mutants(keys: CardKeys) -> Iterator[tuple[str, CardKeys]]:
    """The table with one thing wrong."""
    for place, key in enumerate(keys.rows):
        for field, value in (
            ("id", 0x7F),
            ("usage", 0x11),
            ("psam_id", 0x7F),
            ("hsm", "000000"),
            ("purpose", "TAC" if key.purpose != "TAC" else "load"),
            ("single", not key.single),
            ("absent", True),
            ("directory", "DF09"),
        ):
            wrong = msgspec.structs.replace(key, **{field: value})
            rows = (*keys.rows[:place], wrong, *keys.rows[place + 1 :])
            yield f"{key.name} {field}", msgspec.structs.replace(keys, rows=rows)


@all_versions
def test_the_table_is_as_the_sheet_says_and_every_wrong_row_is_noticed(version: str) -> None:
    keys = card_keys(version)
    assert faults(version, keys) == []
    for name, mutant in mutants(keys):
        assert faults(version, mutant), name


@all_versions
def test_every_right_in_an_access_rule_has_a_key_in_its_directory(version: str) -> None:
    files = card_files(version)
    for directory, file in files.all_files():
        for name in KEY_NAME.findall(f"{file.read} {file.update}"):
            key = files.keys.key(name)
            assert (key.directory, key.external) == (directory.name, True)


@all_versions
def test_ids_are_unique_for_external_authentication_and_find_their_key(version: str) -> None:
    keys = card_keys(version)
    for key in keys.rows:
        if key.external and key.id is not None:
            assert keys.by_id(key.directory, key.id) == key
        assert keys.key(key.name) == key
        assert key.mark


def test_a_global_id_finds_its_key_everywhere_and_a_local_one_at_home() -> None:
    """ssc-card.md 4.1: bit 8 of the id is 1 for keys of the DF."""
    keys = card_keys("2.00")
    assert keys.by_id("DF04", 0x0A).name == "RKSSSE"
    assert [keys.by_id(f"DF0{n}", 0x84).name for n in (1, 3, 4)] == ["UK2DF01", "RK1DF03", "RK1DF04"]
    for directory, key_id in (("SSSE", 0x84), ("DF04", 0x8F), ("DF04", 0x82), ("SSSE", 0x00)):
        with pytest.raises(KeyError):
            keys.by_id(directory, key_id)


def test_lengths_and_versions() -> None:
    """ssc-card.md 6.1: keys are 16 bytes, STK 8 bytes in the DES card; three versions."""
    keys = card_keys("2.00")
    assert [keys.key("STK").length(each) for each in (TRIPLE_DES, SM4)] == [8, 16]
    assert [keys.key("RKSSSE").length(each) for each in (TRIPLE_DES, SM4)] == [16, 16]
    assert keys.versions == (1, 2, 3)


def test_open_questions_change_the_keys_they_are_about() -> None:
    """ssc-card.md 10 no. 11, 12, 15."""
    for version in versions():
        before = card_files(version)
        after = before.answered(SHEET["answers"]).keys
        assert [key.name for key in before.keys.rows if key.pin_mac] == [before.keys.pin_mac.name] == ["STK"]
        assert [key.name for key in after.rows if key.pin_mac] == [after.pin_mac.name] == ["PUK"]
        assert after.by_id("SSSE", 0x00).name == "PUK"
        gone = {key.name for key in after.rows if key.absent}
        assert gone == {key.name for key in before.keys.rows if "inferred from the gap" in key.unverified}
        for name in gone:
            with pytest.raises(KeyError):
                after.key(name)


def test_an_unknown_key() -> None:
    for call in (card_keys("2.00").key, lambda name: card_keys("2.00").changed(name, {})):
        with pytest.raises(KeyError):
            call("RK9DF09")


def test_simulated_roots_differ_and_fit_their_cipher() -> None:
    for algorithm in (TRIPLE_DES, SM4):
        roots = {
            (key.name, version): simulated_root(algorithm, key, version)
            for key in card_keys("2.00").rows
            for version in (1, 2, 3)
        }
        assert len(set(roots.values())) == len(roots)
        assert {len(root) for root in roots.values()} == ({8, 16} if algorithm == TRIPLE_DES else {16})
        assert all(len(root) == card_keys("2.00").key(name).length(algorithm) for (name, _), root in roots.items())
