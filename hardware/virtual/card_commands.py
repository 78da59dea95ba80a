"""`ssc virtual card`: make, show and run simulated cards."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from hardware.virtual.apdu_lines import answer_lines
from hardware.virtual.card import CardFileError, VirtualCard, file_key
from hardware.virtual.card_side import Chip
from hardware.virtual.chips import chip_at, chip_of, with_fault
from hardware.virtual.people import PersonFileError, gallery, load_person, make_card
from hardware.virtual.test_card import TEST_SUFFIX, TestCard
from hardware.virtual.vpcd_command import Vpcd, run_in_pcscd
from protocols.sscard.content import Content, FileDecoder
from protocols.sscard.files import Directory, File
from protocols.sscard.items import ItemError

app = typer.Typer(no_args_is_help=True)
PersonFile = Annotated[Path, typer.Argument(help="人员文件 · person file, see hardware/virtual/people")]
CardFile = Annotated[Path, typer.Argument(help="卡文件 · card file")]
Output = Annotated[Path, typer.Option("-o", "--output", help="写入的卡文件 · card file to write")]
Json = Annotated[bool, typer.Option("--json", help="以 JSON 输出 · JSON output")]


@app.command()
def make(
    person: PersonFile,
    output: Output,
    version: Annotated[
        str | None,
        typer.Option(help="卡规范版本，默认按人员文件 · Version of the card, otherwise as the person file says"),
    ] = None,
    protocol: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="传输协议，默认按人员文件 · T=0 or T=1, otherwise as the person file says"),
    ] = None,
    as_json: Json = False,
) -> None:
    """制卡 · Make a new card of a person; a card file of that name is replaced."""
    try:
        owner = load_person(person)
        asked = {"version": version, "protocol": protocol}
        changes = {name: value for name, value in asked.items() if value is not None}
        card = make_card(msgspec.structs.replace(owner, card=msgspec.structs.replace(owner.card, **changes)), output)
    except KeyError as error:
        _fail(f"{person}: {error.args[0]}", as_json)
    except ItemError as error:
        _fail(f"{person}: {error}", as_json)
    except (PersonFileError, CardFileError) as error:
        _fail(str(error), as_json)
    facts = {"card": str(output), "version": card.image.version}
    typer.echo(json.dumps(facts) if as_json else " ".join(facts.values()))


@app.command("make-test")
def make_test(
    output: Annotated[Path, typer.Option("-o", "--output", help="写入的 *.test 文件 · *.test file to write")],
    as_json: Json = False,
) -> None:
    """测试卡 · Make a test card, which misbehaves on the contact line as APDUs tell it."""
    try:
        if output.suffix != TEST_SUFFIX:
            raise CardFileError(output, f"does not end in {TEST_SUFFIX}")
        TestCard.create(output)
    except CardFileError as error:
        _fail(str(error), as_json)
    typer.echo(json.dumps({"card": str(output)}) if as_json else str(output))


@app.command("gallery")
def make_gallery(
    output: Annotated[Path, typer.Option("-o", "--output", help="写入的目录 · folder to write to")],
    as_json: Json = False,
) -> None:
    """样卡 · Make a card of everybody in the gallery: a file for each, in a folder that is made where it is missing."""
    cards = []
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, person in gallery().items():
            card = make_card(person, output / f"{name}.card")
            cards.append({"card": str(card.path), "version": card.image.version, "about": person.about})
    except OSError as error:
        _fail(f"{output}: {error.strerror}", as_json)
    except CardFileError as error:
        _fail(str(error), as_json)
    if as_json:
        typer.echo(json.dumps(cards, ensure_ascii=False))
    else:
        typer.echo("\n".join(" ".join(facts.values()) for facts in cards))


@app.command()
def show(file: CardFile, as_json: Json = False) -> None:
    """查看 · Show what a card file holds; the PIN is hidden, keys are left out."""
    card = _open(file, as_json)
    image = card.image
    pin = image.pin and {
        "digits": "*" * len(image.pin.digits),
        "limit": image.pin.limit,
        "tries": image.pin.tries,
    }
    files = {
        file_key(directory, file): [_shown(content) for content in _content(card, directory, file)]
        for directory, file in card.tables.all_files()
    }
    if as_json:
        document = {"version": image.version, "atr": image.atr, "pin": pin, "files": files}
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    typer.echo(f"版本 Version: {image.version}\nATR: {image.atr}")
    typer.echo("密码 PIN: {digits}, {tries}/{limit}".format(**pin) if pin else "密码 PIN: —")
    for key, items in files.items():
        typer.echo(key)
        for item in items:
            name = f"{item['tag']} {item['zh']} {item['en']}".lstrip()
            typer.echo(f"  {name}: {item['value'] or '—'}")


@app.command()
def run(
    file: CardFile,
    vpcd: Vpcd = None,
    fault: Annotated[
        str | None, typer.Option(help="故障，如 missing_record@DF04_EF05 · a fault of the chip, see card-faults.md")
    ] = None,
    tear: Annotated[
        int | None,
        typer.Option(
            min=0, help="再写入这么多字节后断电 · Cut the power when this many more bytes were written to the card"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """运行 · Power the card on and answer APDUs: one in hexadecimal per line in, one answer per line out.

    With --vpcd the card is in a PC/SC reader instead; prints one JSON line when it is: {"ready": true, "vpcd": …}.
    """
    card = _test_card(file, as_json) if file.suffix == TEST_SUFFIX else _chip(file, fault, tear, as_json)
    if vpcd is not None:
        run_in_pcscd(card, vpcd, _fail, as_json=as_json)
    answer_lines(card, sys.stdin, _fail, as_json=as_json)


def _open(path: Path, as_json: bool) -> VirtualCard:
    try:
        return VirtualCard.open(path)
    except CardFileError as error:
        _fail(str(error), as_json)


def _chip(path: Path, fault: str | None, tear: int | None, as_json: bool) -> Chip:
    """The card of a file with the fault of its name, or with another; its power goes after `tear` bytes."""
    card = _open(path, as_json)
    if tear is not None:
        card.tear_after(tear)
    try:
        return chip_of(card) if fault is None else with_fault(card, fault)
    except CardFileError as error:
        _fail(str(error), as_json)
    except KeyError:
        _fail(f"没有这个故障 · no such fault: {fault}", as_json)


def _test_card(path: Path, as_json: bool) -> Chip:
    try:
        return chip_at(path)
    except CardFileError as error:
        _fail(str(error), as_json)


def _content(card: VirtualCard, directory: Directory, file: File) -> tuple[Content, ...]:
    decoder = FileDecoder(card.tables, directory, file)
    if file.structure == "transparent":
        return decoder.binary(card.binary(directory, file))
    return decoder.records(card.records(directory, file))


def _shown(content: Content) -> dict[str, str]:
    return {"tag": content.tag, "zh": content.zh, "en": content.en, "value": content.text}


def _fail(reason: str, as_json: bool) -> NoReturn:
    """Bad input ends with exit code 2."""
    typer.echo(json.dumps({"error": reason}, ensure_ascii=False) if as_json else reason, err=not as_json)
    raise typer.Exit(2)
