"""`ssc card`."""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, load_person
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from host_bridge.card.commands import app
from host_bridge.card.errors import CardError
from protocols.texts.catalogue import texts

Make = Callable[..., VirtualCard]
PROGRAM = "from host_bridge.card.commands import app; app()"
runner = CliRunner()


def ask(*arguments: str, typed: str | None = None) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON on standard output."""
    result = runner.invoke(app, [*arguments, "--json"], input=typed)
    return result.exit_code, json.loads(result.stdout)


def address(card: VirtualCard) -> str:
    return f"virtual:{card.path}"


def test_read_masks_unless_asked(make: Make) -> None:
    card = address(make())
    code, found = ask("read", "--reader", card)
    assert code == 0
    assert found["issuer"]["card_id"] == "990101D156000005" + "*" * 16
    assert found["issuer"]["card_no"] == "*****5674"
    assert found["issuer"]["expiry_date"] == "2034-02-28"
    assert found["holder"] == {
        "certno": "990101********0036",
        "name": "李＊华",
        "gend": "1",
        "naty": "01",
        "brdy": "****-**-**",
    }
    assert found["pin_tries"] == 3
    _, shown = ask("read", "--reader", card, "--show")
    assert shown["holder"]["certno"] == "990101198802290036"
    assert shown["holder"]["brdy"] == "1988-02-29"
    assert shown["issuer"]["card_no"] == "A12345674"


def test_read_as_text(make: Make) -> None:
    card = address(make())
    masked = runner.invoke(app, ["read", "--reader", card]).stdout
    assert "姓名 Name: 李＊华" in masked
    for secret in ("李建华", "19880229", "1988-02-29", "A1234567"):
        assert secret not in masked
    assert "李建华" in runner.invoke(app, ["read", "--reader", card, "--show"]).stdout


def test_read_a_fresh_card_by_version() -> None:
    code, found = ask("read", "--reader", "virtual:2.00")
    assert (code, found["issuer"]["version"]) == (0, "2.00")


def test_read_a_file_masks_unless_asked(make: Make) -> None:
    card = address(make())
    code, found = ask("read", "--reader", card, "--file", "SSSEEF06")
    assert (code, found["file"]) == (0, "SSSEEF06")
    assert [(item["tag"], item["text"]) for item in found["items"]][1] == ("09", "***")
    assert "李建华" in runner.invoke(app, ["read", "--reader", card, "--file", "SSSEEF06", "--show"]).stdout


def test_read_a_file_asks_for_the_pin_where_that_opens_it(make: Make) -> None:
    card = address(make())
    shown = ["read", "--reader", card, "--show", "--file"]
    result = runner.invoke(app, [*shown, "DF04EF05"], input="135790\n")
    assert result.exit_code == 0
    assert "84 参保地行政区划代码 Insured region: 110000" in result.stdout
    assert "135790" not in result.output
    code, found = ask("read", "--reader", card, "--file", "DF04EF06", typed="135790\n")
    assert (code, found["error"]["sw"]) == (1, "6982")
    code, found = ask("read", "--reader", card, "--file", "SSSEEF07")
    assert (code, found["error"]["sw"]) == (1, "6982")


@pytest.mark.parametrize("name", ["", "DF09EF05", "EF05", "DF04", "df04ef05"])
def test_no_file_of_the_table_ends_with_2(make: Make, name: str) -> None:
    assert runner.invoke(app, ["read", "--reader", address(make()), "--file", name]).exit_code == 2


def test_the_holder_of_a_3_00_card_is_refused_in_words() -> None:
    code, found = ask("read", "--reader", "virtual:3.00")
    assert (code, found["error"]["number"], found["error"]["sw"]) == (1, "-2201", "6982")
    assert "RKSSSE" in found["error"]["zh"]["what"]
    assert ask("read", "--reader", "virtual:1.00")[1]["issuer"]["version"] == "1.00"


def test_a_3_00_card_is_read_with_a_security_module(tmp_path: Path) -> None:
    module = tmp_path / "counter.sam"
    VirtualSam.create(module, sam_image(load_person(DEFAULT_PERSON).card.region, 3, "counter"))
    code, found = ask("read", "--reader", "virtual:3.00", "--sam", f"virtual:{module}", "--show")
    assert (code, found["holder"]["name"]) == (0, "李建华")
    shown = ("--file", "SSSEEF06", "--show")
    code, found = ask("read", "--reader", "virtual:3.00", "--sam", f"virtual:{module}", *shown)
    assert (code, found["items"][1]["text"]) == (0, "李建华")
    code, found = ask("read", "--reader", "virtual:3.00", "--sam", f"virtual:{tmp_path}/none.sam")
    assert (code, found["error"]["number"]) == (1, "-2201")


def test_verify_pin_shows_the_tries_and_not_the_pin(make: Make) -> None:
    card = make()
    result = runner.invoke(app, ["verify-pin", "--reader", address(card)], input="135791\n")
    assert result.exit_code == 1
    assert "-51" in result.stderr
    assert "2" in result.stderr
    assert "13579" not in result.output
    code, found = ask("verify-pin", "--reader", address(card), typed="135790\n")
    assert (code, found) == (0, {"verified": True, "tries": 3})


def test_verify_pin_until_locked(make: Make) -> None:
    card = address(make())
    for number, tries in (("-51", 2), ("-51", 1), ("-52", 0)):
        code, found = ask("verify-pin", "--reader", card, typed="000000\n")
        assert (code, found["error"]["number"], found["error"]["tries"]) == (1, number, tries)
        assert all("{" not in text for words in ("zh", "en") for text in found["error"][words].values())
    code, found = ask("verify-pin", "--reader", card)
    assert (code, found["error"]["number"], found["error"]["sw"]) == (1, "-52", "6983")
    assert "参保地" in found["error"]["zh"]["holder"]


def test_the_pin_is_not_echoed(make: Make) -> None:
    """At a real terminal: asked for, typed, and nowhere on the screen."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "verify-pin", "--reader", address(make())],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        cwd=Path(__file__).parents[3],
    )
    os.close(slave)
    screen = b""
    with contextlib.suppress(OSError):  # the terminal ends with its last process
        while select.select([master], [], [], 30)[0]:
            screen += os.read(master, 4096)
            if screen.endswith(b": "):
                os.write(master, b"135790\n")
    os.close(master)
    assert process.wait(30) == 0
    assert "还可试 3 次" in screen.decode()
    assert "The PIN is right" in screen.decode()
    assert b"13579" not in screen


def test_verify_pin_of_another_form(make: Make) -> None:
    card = make()
    code, found = ask("verify-pin", "--reader", address(card), typed="12\n")
    assert (code, found["error"]["number"]) == (1, "-33")
    assert VirtualCard.open(card.path).image.pin == card.image.pin


def test_verify_pin_of_a_card_without(make: Make) -> None:
    card = address(make(pin=None))
    assert ask("verify-pin", "--reader", card) == (0, {"verified": False, "tries": None})
    assert runner.invoke(app, ["verify-pin", "--reader", card]).exit_code == 0


def test_change_pin_asks_for_three_and_shows_none(make: Make) -> None:
    card = make()
    result = runner.invoke(app, ["change-pin", "--reader", address(card)], input="135790\n314159\n314159\n")
    assert result.exit_code == 0
    assert "密码已修改" in result.stdout
    assert "还可试 3 次" in result.stderr
    assert not [pin for pin in ("135790", "314159") if pin in result.output]
    code, found = ask("verify-pin", "--reader", address(card), typed="135790\n")
    assert (code, found["error"]["number"], found["error"]["tries"]) == (1, "-51", 2)
    typed = "314159\n271828\n271828\n"
    assert ask("change-pin", "--reader", address(card), typed=typed) == (
        0,
        {"changed": True, "tries_before": 2, "tries": 3},
    )


@pytest.mark.parametrize(
    ("typed", "number", "tries"),
    [
        ("135790\n314159\n314158\n", "-34", 3),
        ("135790\n314\n314\n", "-33", 3),
        ("135791\n314159\n314159\n", "-51", 2),
    ],
)
def test_a_change_that_is_refused_leaves_the_pin(make: Make, typed: str, number: str, tries: int) -> None:
    card = make()
    code, found = ask("change-pin", "--reader", address(card), typed=typed)
    assert (code, found["error"]["number"]) == (1, number)
    assert "{" not in found["error"]["zh"]["what"]
    pin = VirtualCard.open(card.path).image.pin
    assert pin is not None
    assert (pin.digits, pin.tries) == ("135790", tries)


@pytest.mark.parametrize(
    ("command", "typed_so_far"), [("verify-pin", ""), ("change-pin", ""), ("change-pin", "135790\n")]
)
def test_input_that_ends_is_an_error_of_its_own_and_costs_no_try(make: Make, command: str, typed_so_far: str) -> None:
    card = make()
    code, found = ask(command, "--reader", address(card), typed=typed_so_far)
    assert (code, found["error"]["number"]) == (2, "-39")
    assert VirtualCard.open(card.path).image.pin == card.image.pin


def test_change_pin_of_a_card_without(make: Make) -> None:
    code, found = ask("change-pin", "--reader", address(make(pin=None)))
    assert (code, found["error"]["number"]) == (1, "K-002")


def test_a_reader_with_a_pad_is_not_typed_into(make: Make) -> None:
    card = make()
    keys = card.path.with_name(f"{card.path.name}.keys")
    keys.write_text("135790\n314159\n314159\n")
    result = runner.invoke(app, ["change-pin", "--reader", f"{address(card)}#pad"])
    assert result.exit_code == 0
    assert "密码键盘" in result.stderr
    keys.write_text("314159\n")
    assert ask("verify-pin", "--reader", f"{address(card)}#pad") == (0, {"verified": True, "tries": 3})
    keys.write_text("cancel\n")
    code, found = ask("verify-pin", "--reader", f"{address(card)}#pad")
    assert (code, found["error"]["number"]) == (1, "-31")


def test_apdus_with_the_meaning_of_their_status_words(make: Make) -> None:
    card = address(make())
    code, found = ask("apdu", "--reader", card, "00A4020002EF05", "00b2 0204 03", "00B2090403", "0020000003000000")
    assert code == 0
    assert found["answers"] == [
        {"command": "00A4020002EF05", "data": "", "sw": "9000", "meaning": "Success."},
        {"command": "00B2020403", "data": "020133", "sw": "9000", "meaning": "Success."},
        {"command": "00B2090403", "data": "", "sw": "6A83", "meaning": "Record not found."},
        {
            "command": "0020000003******",
            "data": "",
            "sw": "63C2",
            "meaning": "Verification failed, 2 tries left.",
        },
    ]


def test_the_pin_of_an_apdu_is_not_repeated(make: Make) -> None:
    result = runner.invoke(app, ["apdu", "--reader", address(make()), "0020000003135790"])
    assert result.exit_code == 0
    assert "135790" not in result.output
    assert "9000  Success." in result.stdout
    result = runner.invoke(app, ["apdu", "--reader", address(make()), "805E010007135790FF314159"])
    assert not [pin for pin in ("135790", "314159") if pin in result.output]


@pytest.mark.parametrize("apdu", ["xx", "0", "00A4", "00A4040005AA", ""])
def test_what_is_no_apdu_ends_with_2_before_any_is_sent(make: Make, apdu: str) -> None:
    card = make()
    result = runner.invoke(app, ["apdu", "--reader", address(card), "0020000003000000", apdu])
    assert result.exit_code == 2
    assert VirtualCard.open(card.path).image == card.image


@pytest.mark.parametrize("reader", ["nonsense", "usb:1", "virtual:", ""])
def test_no_address_ends_with_2(reader: str) -> None:
    assert runner.invoke(app, ["read", "--reader", reader]).exit_code == 2


@pytest.mark.parametrize(("reader", "number"), [("virtual:/nowhere/x.card", "-2"), ("virtual:9.00", "-12")])
def test_reader_errors_have_numbers(reader: str, number: str) -> None:
    code, found = ask("read", "--reader", reader)
    assert (code, found["error"]["number"]) == (1, number)


def test_a_file_that_makes_no_card_is_mute(make: Make) -> None:
    card = make()
    card.path.write_text("{}")
    code, found = ask("read", "--reader", address(card))
    assert (code, found["error"]["number"]) == (1, "-4")


def test_every_card_error_has_a_text() -> None:
    def kinds(kind: type[CardError]) -> set[type[CardError]]:
        return {kind}.union(*(kinds(each) for each in kind.__subclasses__()))

    assert {kind.key for kind in kinds(CardError)} <= texts().keys()
    for key in ("card_absent", "card_removed", "card_mute", "card_reader_in_use", "card_reader_away", "pin_default"):
        text = texts()[key]
        assert text.number.startswith("-")
        assert all((words.title, words.what, words.holder) for words in (text.zh, text.en))
