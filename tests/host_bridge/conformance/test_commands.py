"""`ssc card conformance`."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, load_person
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from host_bridge.commands import card as app
from host_bridge.conformance.suite import SUITE
from tests.host_bridge.conformance.conftest import PIN, Make

runner = CliRunner()


def invoke(path: Path, *options: str, pin: str = PIN.decode()) -> Result:
    return runner.invoke(app, ["conformance", "--reader", f"virtual:{path}", *options], input=f"{pin}\n")


def last_line(ran: Result) -> dict[str, object]:
    found = json.loads(ran.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_everything_on_a_throw_away_card(make: Make, tmp_path: Path) -> None:
    html, junit = tmp_path / "report.html", tmp_path / "report.xml"
    ran = invoke(
        make(version="3.00"),
        "--keys",
        "simulated",
        "--destructive",
        "--html",
        str(html),
        "--junit",
        str(junit),
        "--json",
    )
    assert ran.exit_code == 0, ran.output
    found = last_line(ran)
    assert (found["failed"], found["skipped"]) == (0, 0)
    assert found["passed"] == found["cases"]
    results = found["results"]
    assert isinstance(results, list)
    assert results[0] == results[0] | {"id": "ATR.form", "group": "ATR", "outcome": "passed", "fact": "ssc-card.md 2"}
    suites = ET.parse(junit).getroot()  # noqa: S314 - our own file
    assert [suite.get("name") for suite in suites] == list(SUITE.groups)
    assert sum(int(suite.get("tests", "0")) for suite in suites) == found["cases"]
    page = html.read_text()
    assert f"{found['cases']} 项全部通过" in page
    assert re.findall(r'(?:src|href)="|url\(|@import', page) == []


@pytest.mark.parametrize(("version", "key_version"), [("2.00", 1), ("3.00", 2)])
def test_keys_in_a_security_module(make: Make, tmp_path: Path, version: str, key_version: int) -> None:
    """An agency's has no keys for blocking, and one version of the others."""
    module = tmp_path / "agency.sam"
    VirtualSam.create(module, sam_image(load_person(DEFAULT_PERSON).card.region, 3, "agency", key_version))
    versions = None if key_version == 1 else (key_version, 3)
    path = make(version=version, key_versions=versions)
    found = last_line(invoke(path, "--sam", f"virtual:{module}", "--destructive", "--json"))
    results = found["results"]
    assert isinstance(results, list)
    outcomes = {result["id"]: result["outcome"] for result in results}
    assert found["failed"] == 0
    assert outcomes[f"KEY_VER.{key_version}"] == "passed"
    assert outcomes["KEY_VER.3"] == outcomes["BLOCK.card"] == "skipped"
    for name in ("CHALLENGE.internal", "PIN.unblock", "PIN.reset", "SAFETY.DF04_EF06.PIN+RK1DF04", "KEY_VER.SSSE"):
        assert outcomes[name] == "passed"


def test_a_security_module_that_is_not_there(make: Make, tmp_path: Path) -> None:
    ran = invoke(make(), "--sam", f"virtual:{tmp_path}/none.sam", "--json")
    error = last_line(ran)["error"]
    assert ran.exit_code == 2
    assert isinstance(error, dict)
    assert error["number"] == "-2201"
    for options in (["--sam", "nonsense"], ["--sam", f"virtual:{tmp_path}/none.sam", "--keys", "simulated"]):
        assert invoke(make(), *options).exit_code == 2


def test_what_is_missing_is_told(make: Make, tmp_path: Path) -> None:
    html, junit = tmp_path / "report.html", tmp_path / "report.xml"
    ran = invoke(make(), "--html", str(html), "--junit", str(junit), pin="")
    assert ran.exit_code == 0, ran.output
    assert "--destructive" in ran.stdout
    assert "缺少 · missing" in ran.stdout
    skipped = ET.parse(junit).getroot().findall(".//skipped")  # noqa: S314 - our own file
    assert "missing PIN or RK1DF04" in [each.get("message") for each in skipped]
    assert "项未检查" in html.read_text()


def test_input_that_ends_skips_what_needs_the_pin(make: Make) -> None:
    path = make()
    ran = runner.invoke(app, ["conformance", "--reader", f"virtual:{path}", "--group", "PIN", "--json"], input="")
    found = last_line(ran)
    assert (ran.exit_code, found["failed"]) == (0, 0)
    assert found["skipped"]
    assert found["passed"]


def test_groups(make: Make) -> None:
    found = last_line(invoke(make(), "--group", "ATR", "--group", "PARAM", "--json"))
    assert found["cases"] == 16
    refused = invoke(make(), "--group", "PURCHASE")
    assert refused.exit_code == 2


def test_the_pin_is_asked_for_only_where_it_is_needed(make: Make) -> None:
    assert "PIN" not in invoke(make(), "--group", "ATR").stderr
    assert "3 tries left" in invoke(make(), "--group", "PIN").stderr
    assert "1 PIN tries left: it is not used" in invoke(make(pin_tries=1), "--group", "PIN").stderr
    assert "PIN" not in invoke(make(pin=None), "--group", "PIN").stderr


def test_a_wrong_pin_ends_the_run_after_one_try(make: Make) -> None:
    path = make()
    ran = invoke(path, pin="000000")
    assert ran.exit_code == 2
    assert "-51" in ran.stderr
    assert "Goes on after the right PIN." in ran.stderr
    assert "000000" not in ran.output
    pin = VirtualCard.open(path).image.pin
    assert pin is not None
    assert pin.tries == 2


def test_what_ends_the_run_is_told_as_json(make: Make) -> None:
    ran = invoke(make(), "--json", pin="000000")
    error = last_line(ran)["error"]
    assert ran.exit_code == 2
    assert isinstance(error, dict)
    assert (error["number"], error["tries"]) == ("-51", 2)


def test_nothing_shown_names_pin_or_holder(make: Make, tmp_path: Path) -> None:
    html, junit = tmp_path / "report.html", tmp_path / "report.xml"
    path = make()
    content = json.loads(path.read_text())
    content["files"]["SSSE EF06"][1] = "0A" + content["files"]["SSSE EF06"][1][2:]  # a finding beside the name
    path.write_text(json.dumps(content))
    ran = invoke(path, "--keys", "simulated", "--html", str(html), "--junit", str(junit), "--json")
    assert ran.exit_code == 1
    shown = ran.output + html.read_text() + junit.read_text()
    assert "RECORD.SSSE_EF06" in shown
    for secret in (PIN.decode(), "990101198802290036", "李建华", "A12345674", "01234567"):
        assert secret not in shown


@pytest.mark.parametrize(
    "options",
    [
        ["--reader", "virtual:/nowhere/none.card"],
        ["--reader", "nonsense"],
        ["--reader", "virtual:2.00", "--keys", "/nowhere/keys.toml"],
        ["--reader", "virtual:2.00", "--group", "ATR", "--html", "/nowhere/report.html"],
    ],
)
def test_what_cannot_begin_or_end_exits_with_2(options: list[str]) -> None:
    assert runner.invoke(app, ["conformance", *options], input="\n").exit_code == 2
