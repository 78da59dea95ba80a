"""`ssc card conformance`: check a card against the facts, for integrators and card makers."""

import json
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from host_bridge.card.commands import fail, typed
from host_bridge.card.errors import CardError, PinNotTyped
from host_bridge.card.session import CardSession
from host_bridge.clock import SystemClock
from host_bridge.conformance.card import SAFE_TRIES, Tester
from host_bridge.conformance.case import GROUPS, Case
from host_bridge.conformance.keys import KeyFileError, Keys, load_roots, simulated_roots
from host_bridge.conformance.report import Report, as_json, print_report
from host_bridge.conformance.suite import Subject, all_cases, read_subject, run_cases
from host_bridge.readers.addresses import AddressError, open_reader
from host_bridge.readers.reader import Reader, ReaderError
from protocols.sscard.pin import wipe

SIMULATED = "simulated"

Address = Annotated[str, typer.Option("--reader", help="读卡器地址 · reader address")]
KeyFile = Annotated[
    str | None,
    typer.Option("--keys", help="根密钥文件，或 simulated：模拟卡的公开密钥 · root keys, or those of simulated cards"),
]
Destructive = Annotated[
    bool,
    typer.Option(
        "--destructive", help="可写卡、锁密码、锁卡：只用于报废卡 · may write, lock and block: spare cards only"
    ),
]
Groups = Annotated[list[str] | None, typer.Option("--group", help="只查这些组 · these groups only, such as PIN")]
HtmlFile = Annotated[Path | None, typer.Option("--html", help="写 HTML 报告 · write a report in HTML")]
JunitFile = Annotated[Path | None, typer.Option("--junit", help="写 JUnit 报告 · write a report in JUnit XML")]
Json = Annotated[bool, typer.Option("--json", help="末行输出 JSON · one JSON object as the last line")]


def conformance(  # noqa: PLR0917 - each is an option of the command
    reader: Address,
    keys: KeyFile = None,
    destructive: Destructive = False,
    group: Groups = None,
    html: HtmlFile = None,
    junit: JunitFile = None,
    json_: Json = False,
) -> None:
    """检查一张卡是否符合规范 · Check a card. By default it writes nothing and never uses the last PIN try.

    The PIN is asked for without echo where a check needs it; Enter or the end of input skips those.
    Exit code 1: a check failed.
    """
    groups = _groups(group)
    with _reader(reader, json_) as opened:
        subject = _subject(opened)
        cases = [case for case in all_cases(subject.tables) if case.group in groups]
        known = _keys(keys, subject)
        pin = _pin(opened, cases)
        try:
            tester = Tester(pin, known, destructive=destructive, random=secrets.token_bytes)
            began = SystemClock().wall()
            running = run_cases(opened, subject.tables, cases, tester, time.monotonic)
            shown = track(running, "检查 Checking", len(cases), console=Console(stderr=True), transient=True)
            report = Report(subject, reader, began, tuple(shown))
        finally:
            if pin is not None:
                wipe(pin)
    _write(report, html, junit)
    if json_:
        typer.echo(json.dumps(as_json(report), ensure_ascii=False))
    else:
        print_report(report, Console())
    if report.failed:
        raise typer.Exit(1)


def _groups(named: list[str] | None) -> tuple[str, ...]:
    unknown = [name for name in named or () if name not in GROUPS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: {', '.join(GROUPS)}", param_hint="--group")
    return tuple(named or GROUPS)


@contextmanager
def _reader(address: str, as_json: bool) -> Iterator[Reader]:
    try:
        with closing(open_reader(address)) as reader:
            yield reader
    except AddressError as error:
        raise typer.BadParameter(str(error), param_hint="--reader") from None
    except (CardError, ReaderError) as error:
        fail(error, as_json, code=2)


def _subject(reader: Reader) -> Subject:
    connection = reader.connect()
    try:
        return read_subject(connection)
    finally:
        connection.disconnect()


def _pin(reader: Reader, cases: list[Case]) -> bytearray | None:
    """The PIN, tried once on the card; None where no check needs it, none is given, or too few tries are left."""
    if not any("PIN" in need.split() for case in cases for need in case.needs):
        return None
    connection = reader.connect()
    try:
        session = CardSession(connection)
        tries = session.pin_tries()
        if tries is None:
            return None
        if tries < SAFE_TRIES:
            typer.echo(f"密码只剩 {tries} 次，不使用 · {tries} PIN tries left: it is not used", err=True)
            return None
        prompt = f"密码（还可试 {tries} 次，回车跳过）· PIN ({tries} tries left, Enter skips)"
        try:
            pin = typed(prompt, "")
        except PinNotTyped:
            return None
        if not pin:
            return None
        session.verify_pin(bytearray(pin))
        return pin
    finally:
        connection.disconnect()


def _keys(source: str | None, subject: Subject) -> Keys | None:
    if source is None:
        return None
    try:
        roots = simulated_roots(subject.tables) if source == SIMULATED else load_roots(Path(source), subject.tables)
    except KeyFileError as error:
        raise typer.BadParameter(str(error), param_hint="--keys") from None
    return subject.keys(roots)


def _write(report: Report, html: Path | None, junit: Path | None) -> None:
    try:
        if html is not None:
            from host_bridge.conformance.html import as_html  # noqa: PLC0415 - Jinja2 for whoever wants a page

            html.write_text(as_html(report), "utf-8")
        if junit is not None:
            from host_bridge.conformance.junit import as_junit  # noqa: PLC0415

            junit.write_bytes(as_junit(report))
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        sys.exit(2)
