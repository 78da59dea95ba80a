"""`ssc card`: read a card, verify and change its PIN, send single APDUs."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Annotated, NamedTuple, NoReturn

import msgspec
import typer

from host_bridge.card.errors import PIN_INSTRUCTIONS, AccessRefused, CardError, NoPin, PinLocked, PinNotTyped, text_key
from host_bridge.card.pin_entry import PinPad, PinRules, change_at_pad, change_typed, pad_of, verify_at_pad
from host_bridge.card.sam_module import SamModule
from host_bridge.card.session import CardSession, Holder, Issuer
from host_bridge.readers.addresses import AddressError, open_reader
from host_bridge.readers.reader import CardConnection, ReaderError
from protocols.iso7816.apdu import ApduError, CommandApdu, ResponseApdu
from protocols.iso7816.status import SW_AUTHENTICATION_BLOCKED, meaning
from protocols.sscard.content import Content
from protocols.sscard.files import card_files
from protocols.sscard.identity import mask_card_no, mask_certno, mask_name
from protocols.texts.catalogue import texts

HIDDEN_DATE = "****-**-**"
CARD_ID_SHOWN = 16
"""Region and application of the card identification code; its serial is masked."""
HELP_ZH = {"place": "参保地社保经办机构", "hotline": "12333"}
HELP_EN = {"place": "the agency of the insured place", "hotline": "12333"}

AT_PAD_ZH, AT_PAD_EN = "请在密码键盘上输入", "Enter at the PIN pad"

app = typer.Typer(no_args_is_help=True)
Address = Annotated[
    str,
    typer.Option("--reader", help="读卡器地址 · serial:PATH[#SLOT], pcsc:NAME, virtual:2.00, virtual:FILE[#pad]"),
]
Json = Annotated[bool, typer.Option("--json", help="以 JSON 输出 · JSON output")]
Show = Annotated[bool, typer.Option("--show", help="不遮盖个人信息 · do not mask personal data")]
SamAddress = Annotated[
    str | None,
    typer.Option("--sam", help="PSAM 所在读卡器地址，如 serial:PATH#1 · address of a reader with a PSAM"),
]
FileName = Annotated[
    str | None,
    typer.Option("--file", help="只读这个文件，如 DF04EF05 · read this file instead, such as DF04EF05"),
]
Apdus = Annotated[list[str], typer.Argument(help="十六进制，每个参数一条 · hexadecimal, one each")]


class Opened(NamedTuple):
    """The powered card, the pad of its reader where there is one, and the security module that was named."""

    connection: CardConnection
    pad: PinPad | None
    module: SamModule | None


@app.command()
def read(
    reader: Address, file: FileName = None, sam: SamAddress = None, show: Show = False, as_json: Json = False
) -> None:
    """读发卡信息和持卡人 · Read issuer, holder and PIN tries left; with --file that file instead."""
    if file is not None:
        _read_file(reader, file, sam, show, as_json)
        return
    with _card(reader, as_json, sam) as card:
        session = CardSession(card.connection, card.module)
        issuer, holder, tries = session.read_issuer(), session.read_holder(), session.pin_tries()
    found = msgspec.to_builtins({"issuer": issuer, "holder": holder, "pin_tries": tries})
    if not show:
        found["issuer"].update(_masked_issuer(issuer))
        found["holder"].update(_masked_holder(holder))
    if as_json:
        _print_json(found)
    else:
        _print_card(found["issuer"], found["holder"], tries)


@app.command("verify-pin")
def verify_pin(reader: Address, as_json: Json = False) -> None:
    """验证密码 · Verify the PIN, at the reader's pad or asked for without echo."""
    with _card(reader, as_json) as card:
        session = CardSession(card.connection)
        _ask_pin(session, card.pad)
        tries = session.pin_tries()
    if as_json:
        _print_json({"verified": tries is not None, "tries": tries})
    elif tries is None:
        typer.echo("这张卡没有密码 · The card has no PIN")
    else:
        typer.echo(f"密码正确，可试次数恢复为 {tries} · The PIN is right; tries are back to {tries}")


@app.command("change-pin")
def change_pin(reader: Address, as_json: Json = False) -> None:
    """修改密码 · Change the PIN: the old one, then the new one twice, at the reader's pad or without echo."""
    with _card(reader, as_json) as card:
        session = CardSession(card.connection)
        before = _tries(session)
        if before is None:
            fail(NoPin(), as_json)
        _change_pin(session, card.pad, before)
        after = session.pin_tries()
    if as_json:
        _print_json({"changed": True, "tries_before": before, "tries": after})
    else:
        typer.echo(f"密码已修改，可试 {after} 次 · The PIN is changed; {after} tries")


@app.command()
def apdu(reader: Address, apdus: Apdus, as_json: Json = False) -> None:
    """发送 APDU · Send APDUs; answers are shown as the card gives them, 61xx and 6Cxx included."""
    commands = [_command(text) for text in apdus]
    answers = []
    with _card(reader, as_json) as card:
        for command in commands:
            answer = _exchange(command, card.connection.transmit(command))
            answers.append(answer)
            if not as_json:
                received = f"{answer['data']} {answer['sw']}".lstrip()
                typer.echo(f"> {answer['command']}\n< {received}  {answer['meaning']}")
    if as_json:
        _print_json({"answers": answers})


def _read_file(reader: str, name: str, sam: str | None, show: bool, as_json: bool) -> None:
    """Print a file's items; the PIN is asked for where the card refuses and the PIN is a way in."""
    df, ef = name[:4], name[4:]
    with _card(reader, as_json, sam) as card:
        session = CardSession(card.connection, card.module)
        tables = card_files(session.read_issuer().version)
        try:
            rule = tables.directory(df).file(ef).read
        except KeyError:
            raise typer.BadParameter(
                f"{tables.version} 没有这个文件 · has no file {name}", param_hint="--file"
            ) from None
        try:
            contents = session.read_file(df, ef)
        except AccessRefused:
            if "PIN" not in rule.split():
                raise
            _ask_pin(session, card.pad)
            contents = session.read_file(df, ef)
    if not show:
        contents = tuple(map(_masked_content, contents))
    if as_json:
        _print_json({"file": name, "items": contents})
        return
    for content in contents:
        label = f"{content.tag} {content.zh} {content.en}".lstrip()
        typer.echo(f"{label}: {content.text or '—'}")


def _tries(session: CardSession) -> int | None:
    """Tries left, None on a card without PIN; `PinLocked` where there is none."""
    tries = session.pin_tries()
    if tries == 0:
        raise PinLocked(SW_AUTHENTICATION_BLOCKED)
    return tries


def _ask_pin(session: CardSession, pad: PinPad | None) -> None:
    """Verify the PIN where the card has one."""
    tries = _tries(session)
    if tries is None:
        return
    if pad is not None:
        typer.echo(f"{AT_PAD_ZH}（还可试 {tries} 次）· {AT_PAD_EN} ({tries} tries left)", err=True)
        verify_at_pad(session, pad, PinRules())
        return
    session.verify_pin(typed(f"密码（还可试 {tries} 次）· PIN ({tries} tries left)"))


def _change_pin(session: CardSession, pad: PinPad | None, tries: int) -> None:
    if pad is not None:
        typer.echo(f"{AT_PAD_ZH}：原密码、新密码、再次新密码（还可试 {tries} 次）", err=True)
        typer.echo(f"{AT_PAD_EN}: the old PIN, the new one, the new one again ({tries} tries left)", err=True)
        change_at_pad(session, pad, PinRules())
        return
    old = typed(f"原密码（还可试 {tries} 次）· Old PIN ({tries} tries left)")
    new, repeat = typed("新密码 · New PIN"), typed("再次输入新密码 · New PIN again")
    change_typed(session, old, new, repeat, PinRules())


@contextmanager
def _card(address: str, as_json: bool, sam: str | None = None) -> Iterator[Opened]:
    """The powered card in a reader; what goes wrong is told as `fail` does."""
    try:
        with ExitStack() as used:
            reader = used.enter_context(closing(open_reader(address)))
            module = None if sam is None else used.enter_context(closing(SamModule(open_reader(sam))))
            connection = reader.connect()
            used.callback(connection.disconnect)
            yield Opened(connection, pad_of(reader), module)
    except AddressError as error:
        raise typer.BadParameter(str(error)) from None
    except (CardError, ReaderError) as error:
        fail(error, as_json)


def typed(prompt: str, default: str | None = None) -> bytearray:
    """What is typed without echo; the caller wipes it. `PinNotTyped` where the input has ended."""
    try:
        return bytearray(typer.prompt(prompt, default, hide_input=True, show_default=False, err=True), "utf-8")
    except typer.Abort as error:
        # Ctrl-C is an Abort too
        if isinstance(error.__context__, EOFError):
            raise PinNotTyped from None
        raise


def fail(error: CardError | ReaderError, as_json: bool, code: int = 1) -> NoReturn:
    """Say what went wrong in the catalogue's words; exit with `code`, or 2 where a PIN could not be typed."""
    key, facts = text_key(error)
    text = texts()[key]
    zh, en = text.zh.fill({**facts, **HELP_ZH}), text.en.fill({**facts, **HELP_EN})
    if as_json:
        shown = {
            "number": text.number,
            "key": key,
            "sw": facts.get("sw"),
            "tries": getattr(error, "tries", None),
        }
        _print_json({"error": {**shown, "zh": zh, "en": en}})
    else:
        for words in (zh, en):
            lines = (f"{text.number} {words.title}", words.what, words.holder, words.bill)
            typer.echo("\n".join(filter(None, lines)), err=True)
    raise typer.Exit(2 if isinstance(error, PinNotTyped) else code)


def _command(text: str) -> CommandApdu:
    try:
        return CommandApdu.from_bytes(bytes.fromhex(text))
    except ApduError as error:
        raise typer.BadParameter(f"不是一条 APDU · not an APDU: {error}") from None
    except ValueError:
        raise typer.BadParameter("不是十六进制 · not hexadecimal") from None


def _exchange(command: CommandApdu, answer: ResponseApdu) -> dict[str, str]:
    """One command and its answer in hexadecimal; PINs are hidden."""
    sent = command.to_bytes().hex().upper()
    if command.ins in PIN_INSTRUCTIONS and command.data:
        sent = sent[:10] + "*" * (2 * len(command.data)) + sent[10 + 2 * len(command.data) :]
    return {
        "command": sent,
        "data": answer.data.hex().upper(),
        "sw": f"{answer.sw:04X}",
        "meaning": meaning(answer.sw),
    }


def _masked_content(content: Content) -> Content:
    parts = tuple(map(_masked_content, content.parts))
    return msgspec.structs.replace(content, text="*" * len(content.text), parts=parts)


def _masked_issuer(issuer: Issuer) -> dict[str, str]:
    card_id = issuer.card_id
    hidden = "*" * (len(card_id) - CARD_ID_SHOWN)
    return {"card_id": card_id[:CARD_ID_SHOWN] + hidden, "card_no": mask_card_no(issuer.card_no)}


def _masked_holder(holder: Holder) -> dict[str, str]:
    return {"certno": mask_certno(holder.certno), "name": mask_name(holder.name), "brdy": HIDDEN_DATE}


def _print_card(issuer: dict[str, str | None], holder: dict[str, str], tries: int | None) -> None:
    for label, value in (
        ("卡号 Card number", issuer["card_no"]),
        ("卡识别码 Card id", issuer["card_id"]),
        ("规范版本 Version", issuer["version"]),
        ("发卡日期 Issued", issuer["issue_date"]),
        ("有效期至 Valid until", issuer["expiry_date"]),
        ("姓名 Name", holder["name"]),
        ("社会保障号码 Social security number", holder["certno"]),
        ("性别 Sex", holder["gend"]),
        ("民族 Ethnic group", holder["naty"]),
        ("出生日期 Date of birth", holder["brdy"]),
        ("密码可试次数 PIN tries left", "无密码 no PIN" if tries is None else tries),
    ):
        typer.echo(f"{label}: {'—' if value is None else value}")


def _print_json(document: object) -> None:
    typer.echo(json.dumps(msgspec.to_builtins(document), ensure_ascii=False))
