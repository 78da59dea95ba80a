"""`ssc virtual card`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.card_commands import app
from hardware.virtual.people import DEFAULT_PERSON, card_image, gallery
from protocols.iso7816.atr import Atr

runner = CliRunner()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "employee.card"
    made = runner.invoke(app, ["make", str(DEFAULT_PERSON), "-o", str(path), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout) == {"card": str(path), "version": "2.00"}
    return path


@pytest.mark.parametrize("version", ["1.00", "2.00", "3.00"])
def test_a_person_on_a_card_of_another_version(tmp_path: Path, version: str) -> None:
    path = tmp_path / "x.card"
    made = runner.invoke(app, ["make", str(DEFAULT_PERSON), "-o", str(path), "--version", version, "--json"])
    assert json.loads(made.stdout) == {"card": str(path), "version": version}
    ssse = VirtualCard.open(path).tables.directory("SSSE")
    assert VirtualCard.open(path).records(ssse, ssse.file("EF05"))[2] == b"\x03\x04" + version.encode()


def test_a_card_that_speaks_t1(card: Path, tmp_path: Path) -> None:
    """T0 with TC1 and TD1, TD1 and TD2 of T=1, IFSC 254, BWI 4 and CWI 5; the historical bytes are the same."""
    path = tmp_path / "t1.card"
    assert runner.invoke(app, ["make", str(DEFAULT_PERSON), "-o", str(path), "--protocol", "1"]).exit_code == 0
    atr, t0 = Atr.from_bytes(VirtualCard.open(path).reset()), Atr.from_bytes(VirtualCard.open(card).reset())
    assert atr.to_bytes()[:8].hex().upper() == "3BED00008131FE45"
    assert (atr.protocols, t0.protocols, atr.historical_bytes) == ((1,), (0,), t0.historical_bytes)
    assert VirtualCard.open(path).image.files == VirtualCard.open(card).image.files


def test_the_whole_gallery(tmp_path: Path) -> None:
    made = runner.invoke(app, ["gallery", "-o", str(tmp_path / "cards"), "--json"])
    people = gallery()
    assert [card["about"] for card in json.loads(made.stdout)] == [person.about for person in people.values()]
    for name, person in people.items():
        assert VirtualCard.open(tmp_path / "cards" / f"{name}.card").image == card_image(person)
    assert len(list((tmp_path / "cards").iterdir())) == len(people)


def test_a_gallery_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    made = runner.invoke(app, ["gallery", "-o", str(tmp_path / "taken")])
    assert made.exit_code == 2
    assert "taken" in made.stderr


def test_show_hides_the_pin(card: Path) -> None:
    shown = json.loads(runner.invoke(app, ["show", str(card), "--json"]).stdout)
    assert shown["pin"] == {"digits": "******", "limit": 3, "tries": 3}
    assert [item["value"] for item in shown["files"]["SSSE EF06"]][:2] == ["990101198802290036", "李建华"]
    text = runner.invoke(app, ["show", str(card)]).stdout
    assert "135790" not in text
    assert "09 姓名 Name: 李建华" in text


def test_show_names_what_the_table_does_not_know(card: Path) -> None:
    content = json.loads(card.read_text())
    content["files"]["SSSE EF06"] += ["C70141", "0A03414243", "FF"]
    card.write_text(json.dumps(content))
    shown = json.loads(runner.invoke(app, ["show", str(card), "--json"]).stdout)
    assert [item["value"] for item in shown["files"]["SSSE EF06"][7:]] == ["C70141", "0A03414243", "FF"]


def test_run_answers_line_by_line(card: Path) -> None:
    apdus = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF\n00c0000002\n0020 0000 03 000000\n"
    assert runner.invoke(app, ["run", str(card)], input=apdus).stdout.splitlines() == ["611E", "6F1C611C", "63C2"]
    answers = runner.invoke(app, ["run", str(card), "--json"], input="00200000\n").stdout
    assert json.loads(answers) == {"data": "", "sw": "63C2", "meaning": "Verification failed, 2 tries left."}


def test_a_power_cut(card: Path) -> None:
    apdus = "00200000\n0020000003000000\n00200000\n"
    cut = runner.invoke(app, ["run", str(card), "--tear", "500"], input=apdus)
    assert (cut.exit_code, cut.stdout) == (2, "63C3\n")
    assert str(card) in cut.stderr
    assert runner.invoke(app, ["run", str(card)], input="00200000\n").stdout == "63C3\n"
    assert runner.invoke(app, ["run", str(card), "--tear", "10000000"], input=apdus).stdout == "63C3\n63C2\n63C2\n"


@pytest.mark.parametrize("line", ["zz", "00", "00A4040005AA", ""])
def test_run_stops_at_what_is_no_apdu(card: Path, line: str) -> None:
    ran = runner.invoke(app, ["run", str(card)], input=f"{line}\n")
    assert ran.exit_code == 2
    assert not ran.stdout


@pytest.mark.parametrize("command", ["show", "run"])
def test_a_bad_card_file_ends_with_2(tmp_path: Path, command: str) -> None:
    path = tmp_path / "bad.card"
    path.write_text('{"pin": "135790"}')
    for target in (path, tmp_path / "none.card"):
        ran = runner.invoke(app, [command, str(target), "--json"])
        assert ran.exit_code == 2
        assert str(target) in json.loads(ran.stdout)["error"]
        assert "135790" not in ran.output


@pytest.mark.parametrize(
    ("old", "new"), [('"2.00"', '"9.00"'), ("李建华", "𠮷"), ("A12345674", "A12345670"), ("gend", "sex")]
)
def test_a_bad_person_ends_with_2_and_makes_no_card(tmp_path: Path, old: str, new: str) -> None:
    person, card = tmp_path / "person.toml", tmp_path / "x.card"
    person.write_text(DEFAULT_PERSON.read_text("utf-8").replace(old, new), "utf-8")
    ran = runner.invoke(app, ["make", str(person), "-o", str(card)])
    assert ran.exit_code == 2
    assert "person.toml" in ran.stderr
    assert not card.exists()
