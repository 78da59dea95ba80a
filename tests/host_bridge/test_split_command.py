"""`ssc split`: the vectors through the command, and every bad input as one JSON error."""

import copy
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from host_bridge.split_command import MAX_BYTES, error_document, split, split_document
from protocols.settlement.split import BillError
from protocols.texts.catalogue import text_of, texts

VECTORS = Path(__file__).parents[1] / "vectors" / "settlement"
C4: list[dict[str, Any]] = json.loads((VECTORS / "c4.json").read_text(encoding="utf-8"))
WORKED: list[dict[str, Any]] = tomllib.loads((VECTORS / "worked.toml").read_text(encoding="utf-8"))["vector"]
D2 = next(vector for vector in C4 if vector["id"] == "D2")

app = typer.Typer()
app.command()(split)


def run(data: bytes, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the one JSON object on standard output, standard error."""
    result = CliRunner().invoke(app, arguments, input=data)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout.count("\n") == 1
    return result.exit_code, json.loads(result.stdout), result.stderr


def changed(**fields: Any) -> dict[str, Any]:
    """D2 with other fields; `None` of a name ending in `_` leaves that field out."""
    bill = copy.deepcopy(D2)
    for name, value in fields.items():
        if name.endswith("_"):
            del bill[name[:-1]]
        else:
            bill[name] = value
    return bill


def line(**fields: Any) -> dict[str, Any]:
    """D2 with a third line, class A of 1.00, changed by these fields."""
    return changed(lines=[*D2["lines"], {"lv": "01", "pric": "1.00", "cnt": "1"} | fields])


@pytest.mark.parametrize("vector", C4, ids=lambda vector: vector["id"])
def test_vectors_of_the_sheet(vector: dict[str, Any]) -> None:
    """The split under the names of `expect`, in their order, and nothing else."""
    code, answer, errors = run(json.dumps(vector).encode())
    assert (code, answer, errors) == (0, vector["expect"], "")
    assert list(answer) == list(vector["expect"])


@pytest.mark.parametrize("vector", WORKED, ids=lambda vector: vector["id"])
def test_worked_vectors(vector: dict[str, Any]) -> None:
    names = ("profile", "before", "account", "acct_scope", "lines")
    bill = {name: vector.get(name) for name in names} | {"rounding": vector.get("rounding", "line")}
    code, answer, _ = run(json.dumps(bill).encode(), "--json")
    assert code == 0
    assert {name: answer[name] for name in vector["expect"]} == vector["expect"]


def test_simulated_figures_are_named() -> None:
    """Beside the split, not in it."""
    _, answer, errors = run(json.dumps(changed(profile="GEN-R")).encode())
    assert "error" not in answer
    assert "模拟" in errors
    assert "GEN-R" in errors


BAD_BILLS: list[tuple[Any, str, int | None, str | None]] = [
    ([], "bill_not_json", None, None),
    ("D2", "bill_not_json", None, None),
    (None, "bill_not_json", None, None),
    ({}, "bill_field_missing", None, "profile"),
    (changed(profile_=None), "bill_field_missing", None, "profile"),
    (changed(before_=None), "bill_field_missing", None, "before"),
    (changed(account_=None), "bill_field_missing", None, "account"),
    (changed(acct_scope_=None), "bill_field_missing", None, "acct_scope"),
    (changed(lines_=None), "bill_field_missing", None, "lines"),
    (changed(colour="red"), "bill_field_unknown", None, "colour"),
    (changed(**{"名" * 99: 1}), "bill_field_unknown", None, "名" * 40),
    (changed(profile="BJ-X"), "bill_profile_unknown", None, "profile"),
    (changed(profile="../BJ-E"), "bill_profile_unknown", None, "profile"),
    (changed(profile=1), "bill_field_wrong", None, "profile"),
    (changed(profile=None), "bill_field_wrong", None, "profile"),
    (changed(before=None), "bill_field_wrong", None, "before"),
    (changed(before=["0", "0"]), "bill_field_wrong", None, "before"),
    (changed(before={"inscope": "0.00"}), "bill_field_missing", None, "before.big"),
    (changed(before={"inscope": "0", "big": "0", "supp": "0"}), "bill_field_unknown", None, "before.supp"),
    (changed(before={"inscope": 0, "big": "0"}), "bill_field_wrong", None, "before.inscope"),
    (changed(before={"inscope": "0", "big": "-0.01"}), "bill_field_wrong", None, "before.big"),
    (changed(before={"inscope": "0.001", "big": "0"}), "bill_field_wrong", None, "before.inscope"),
    (changed(account=80), "bill_field_wrong", None, "account"),
    (changed(account="-1.00"), "bill_field_wrong", None, "account"),
    (changed(account="-0.00"), "bill_field_wrong", None, "account"),
    (changed(account="80,00"), "bill_field_wrong", None, "account"),
    (changed(account="999999999999999.00"), "bill_field_wrong", None, "account"),
    (changed(acct_scope="some"), "bill_field_wrong", None, "acct_scope"),
    (changed(rounding="even"), "bill_field_wrong", None, "rounding"),
    (changed(rounding=None), "bill_field_wrong", None, "rounding"),
    (changed(lines=[]), "bill_empty", None, None),
    (changed(lines={}), "bill_field_wrong", None, "lines"),
    (changed(lines="x"), "bill_field_wrong", None, "lines"),
    (changed(lines=[None]), "line_field_wrong", 1, "lines"),
    (changed(profile="BJ-REG"), "bill_one_line_only", None, None),
    (line(pric="9999999999.99", cnt="999999999999"), "bill_too_large", None, None),
    (line(lv="04"), "line_field_wrong", 3, "lv"),
    (line(lv=1), "line_field_wrong", 3, "lv"),
    (line(lv="02"), "line_field_missing", 3, "prop"),
    (line(lv="02", prop=None), "line_field_missing", 3, "prop"),
    (line(lv="02", prop=0.1), "line_field_wrong", 3, "prop"),
    (line(lv="02", prop="1.1"), "line_field_wrong", 3, "prop"),
    (line(lv="02", prop="10%"), "line_field_wrong", 3, "prop"),
    (line(lv="02", prop="-0.1"), "line_field_wrong", 3, "prop"),
    (line(pric=1.00), "line_field_wrong", 3, "pric"),
    (line(pric="-1.00"), "line_field_wrong", 3, "pric"),
    (line(pric="1.0000001"), "line_field_wrong", 3, "pric"),
    (line(pric="NaN"), "line_field_wrong", 3, "pric"),
    (line(pric="1/3"), "line_field_wrong", 3, "pric"),
    (line(pric="٣"), "line_field_wrong", 3, "pric"),
    (line(pric=True), "line_field_wrong", 3, "pric"),
    (line(pric=None), "line_field_wrong", 3, "pric"),
    (line(cnt="1.00001"), "line_field_wrong", 3, "cnt"),
    (line(uplmt="x"), "line_field_wrong", 3, "uplmt"),
    (line(uplmt=["1"]), "line_field_wrong", 3, "uplmt"),
    (line(selfpay_prop="0.1"), "line_field_unknown", 3, "selfpay_prop"),
    (changed(lines=[{"lv": "01", "pric": "1"}]), "line_field_missing", 1, "cnt"),
]


@pytest.mark.parametrize(("bill", "key", "number", "field"), BAD_BILLS)
def test_bad_bills(bill: Any, key: str, number: int | None, field: str | None) -> None:
    """Exit 2 and one error: number, both languages, line from 1, field."""
    code, answer, errors = run(json.dumps(bill).encode())
    assert (code, errors) == (2, "")
    assert list(answer) == ["error"]
    error = answer["error"]
    assert (error["number"], error["line"], error["field"]) == (texts()[key].number, number, field)
    assert error["zh"]
    assert error["en"]
    assert "{" not in error["zh"] + error["en"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        json.dumps(D2).encode() + b"x",
        json.dumps(D2).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(D2).encode(),
        b"\xff\xfe",
        b'{"profile": NaN}',
        b'{"profile": -Infinity}',
        b'{"id": 1, "id": 2}',
        json.dumps(D2).encode().replace(b'"cnt": "1"', b'"cnt": "1", "cnt": "2"', 1),
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b" " * (MAX_BYTES + 1),
    ],
    ids=range(16),
)
def test_not_json(data: bytes) -> None:
    """One document, in UTF-8, each name once, of a bearable size."""
    code, answer, errors = run(data)
    assert (code, answer["error"]["number"], errors) == (2, texts()["bill_not_json"].number, "")


def test_a_name_that_is_no_text() -> None:
    """Half a surrogate pair is answered in proper UTF-8."""
    code, answer, _ = run(b'{"profile":"BJ-E","before":{},"account":null,"acct_scope":null,"lines":[],"\\ud800":1}')
    assert (code, answer["error"]["field"]) == (2, "\\ud800")


def test_ignored_fields() -> None:
    """`id` and `expect` may be anything; `prop` and `uplmt` may be null."""
    bill = line(lv="03", prop=None, uplmt=None) | {"id": 5, "expect": None}
    assert run(json.dumps(bill).encode())[0] == 0


def outcome(data: bytes) -> str:
    """The catalogue key of the error, or nothing: any other exception fails the test."""
    try:
        split_document(data)
    except BillError as error:
        refused = error
    else:
        return ""
    document = json.dumps(error_document(refused), ensure_ascii=False).encode()
    assert text_of(json.loads(document)["error"]["number"]).key == refused.code
    return refused.code


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    assert outcome(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["0", "1.00", "01", "BJ-E"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(json_values)
def test_any_json(value: Any) -> None:
    assert outcome(json.dumps(value).encode())


@given(st.sampled_from(C4), st.data(), json_values)
def test_any_value_in_any_place(vector: dict[str, Any], data: st.DataObject, value: Any) -> None:
    """A bill with one value replaced is split or refused, nothing else."""
    bill = copy.deepcopy(vector)
    places: list[tuple[Any, Any]] = [(bill, name) for name in bill]
    places += [(bill["before"], name) for name in bill["before"]]
    places += [(bill["lines"], number) for number in range(len(bill["lines"]))]
    places += [(entry, name) for entry in bill["lines"] for name in entry]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = value
    outcome(json.dumps(bill).encode())


@given(st.sampled_from(C4), st.data())
def test_any_byte_in_any_place(vector: dict[str, Any], data: st.DataObject) -> None:
    """A bill with one byte replaced is split or refused, nothing else."""
    document = bytearray(json.dumps(vector).encode())
    document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    outcome(bytes(document))


@pytest.mark.parametrize(("data", "code"), [(json.dumps(D2).encode(), 0), (b"\xff", 2), (b"", 2)])
def test_as_a_process(data: bytes, code: int) -> None:
    """Whatever the locale: one line of UTF-8 JSON, the exit code, and no traceback."""
    ended = subprocess.run(
        [sys.executable, "-c", "import typer; from host_bridge.split_command import split; typer.run(split)"],
        input=data,
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (code, b"")
    assert ("error" in json.loads(ended.stdout.decode())) == bool(code)
