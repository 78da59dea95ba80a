"""`ssc card conformance`: check a card against the facts, for integrators and card makers."""

import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from host_bridge.card.commands import typed
from host_bridge.card.errors import PinNotTyped
from host_bridge.card.sam_module import SamModule
from host_bridge.card.session import CardSession
from host_bridge.clock import SystemClock
from host_bridge.conformance.card import SAFE_TRIES, Tester
from host_bridge.conformance.case import Case
from host_bridge.conformance.command_line import (
    Address,
    Groups,
    HtmlFile,
    Json,
    JunitFile,
    chosen_groups,
    hand_in,
    opened_reader,
)
from host_bridge.conformance.keys import KeyFileError, Keys, load_roots, simulated_roots
from host_bridge.conformance.report import Report
from host_bridge.conformance.suite import SUITE, Subject, all_cases, read_subject, run_cases
from host_bridge.readers.addresses import AddressError, open_reader
from host_bridge.readers.reader import Reader
from protocols.sscard.pin import wipe

SIMULATED = "simulated"

KeyFile = Annotated[
    str | None,
    typer.Option("--keys", help="根密钥文件，或 simulated：模拟卡的公开密钥 · root keys, or those of simulated cards"),
]
SamAddress = Annotated[
    str | None,
    typer.Option("--sam", help="密钥在这个读卡器的 PSAM 里 · the keys are in the PSAM in this reader"),
]
Destructive = Annotated[
    bool,
    typer.Option(
        "--destructive", help="可写卡、锁密码、锁卡：只用于报废卡 · may write, lock and block: spare cards only"
    ),
]


def conformance(  # noqa: PLR0917 - each is an option of the command
    reader: Address,
    keys: KeyFile = None,
    sam: SamAddress = None,
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
    groups = chosen_groups(group, SUITE)
    if keys is not None and sam is not None:
        raise typer.BadParameter("--keys 和 --sam 只能用一个 · one of --keys and --sam", param_hint="--sam")
    with opened_reader(reader, json_) as opened, _module(sam) as module:
        subject = _subject(opened)
        cases = [case for case in all_cases(subject.tables) if case.group in groups]
        known = _keys(keys, subject) if module is None else subject.keys(module)
        pin = _pin(opened, cases)
        try:
            tester = Tester(pin, known, destructive=destructive, random=secrets.token_bytes)
            began = SystemClock().wall()
            running = run_cases(opened, subject.tables, cases, tester, time.monotonic)
            shown = track(running, "检查 Checking", len(cases), console=Console(stderr=True), transient=True)
            report = Report(SUITE, subject.facts, reader, began, tuple(shown))
        finally:
            if pin is not None:
                wipe(pin)
    hand_in(report, html, junit, json_)


@contextmanager
def _module(address: str | None) -> Iterator[SamModule | None]:
    if address is None:
        yield None
        return
    try:
        module = SamModule(open_reader(address))
    except AddressError as error:
        raise typer.BadParameter(str(error), param_hint="--sam") from None
    with closing(module):
        yield module


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
