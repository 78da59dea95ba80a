"""`ssc reader conformance`: check a reader against the facts, for makers and buyers of readers."""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from host_bridge.clock import SystemClock
from host_bridge.conformance.case import Result, Unexpected
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
from host_bridge.conformance.reader.bench import CCID, CONTACT_LINE, TEST_CARD, Bench
from host_bridge.conformance.reader.ccid_port import open_ccid_port
from host_bridge.conformance.reader.hands import STAYS_FOR_PCSCD_S, STAYS_S, FolderHand, Hand, HandError, PersonHand
from host_bridge.conformance.reader.suite import CASES, SUITE, run_cases
from host_bridge.conformance.report import Fact, Report
from host_bridge.readers.addresses import serial_path
from protocols.ccid.messages import ESCAPE, ESCAPE_FIRMWARE_NAME
from protocols.iso7816.atr import Atr
from protocols.iso7816.pps import DEFAULT_FI_DI

SEED_BITS = 32

SlotFolder = Annotated[
    Path | None, typer.Option("--slot-folder", help="虚拟读卡器的卡槽目录，由此插拔卡 · folder that is the slot")
]
ByHand = Annotated[bool, typer.Option("--by-hand", help="请操作者插拔卡 · ask a person to move the card")]
Seed = Annotated[int | None, typer.Option("--seed", help="重复一次检查的随机数 · repeat the random numbers of a run")]


def conformance(  # noqa: PLR0917 - each is an option of the command
    reader: Address,
    slot_folder: SlotFolder = None,
    by_hand: ByHand = False,
    group: Groups = None,
    seed: Seed = None,
    html: HtmlFile = None,
    junit: JunitFile = None,
    json_: Json = False,
) -> None:
    """检查读卡器是否符合规范 · Check a reader. Most of it needs a test card (`ssc virtual card make-test`) in the slot.

    Harmless to any card: another one is reset and selected, nothing else. Exit code 1: a check failed.
    """
    groups = chosen_groups(group, SUITE)
    seed = secrets.randbits(SEED_BITS) if seed is None else seed
    cases = [case for case in CASES if case.group in groups]
    with opened_reader(reader, json_) as opened:
        found = serial_path(reader)
        hand = _hand(slot_folder, by_hand, STAYS_S if found else STAYS_FOR_PCSCD_S)
        bench = Bench(opened, None if found is None else lambda: open_ccid_port(*found), hand)
        atr = bench.survey()
        facts = (*_facts(bench, atr), Fact("seed", "随机数种子", "Seed", str(seed)))
        began = SystemClock().wall()
        running: Iterable[Result] = run_cases(bench, cases, seed)
        if not by_hand:
            running = track(running, "检查 Checking", len(cases), console=Console(stderr=True), transient=True)
        try:
            report = Report(SUITE, facts, reader, began, tuple(running))
        except HandError as error:
            raise typer.BadParameter(str(error), param_hint="--by-hand") from None
    hand_in(report, html, junit, json_)


def _hand(folder: Path | None, by_hand: bool, stays_s: float) -> Hand | None:
    if folder is None:
        return PersonHand(_say, _confirm) if by_hand else None
    try:
        return FolderHand(folder, stays_s)
    except HandError as error:
        raise typer.BadParameter(str(error), param_hint="--slot-folder") from None


def _say(what: str) -> None:
    typer.echo(what, err=True)


def _confirm(what: str) -> None:
    try:
        typer.prompt(what, "", show_default=False, err=True)
    except typer.Abort:
        raise HandError("没有人操作 · nobody moves the card") from None


def _facts(bench: Bench, atr: Atr) -> tuple[Fact, ...]:
    """Firmware where the reader tells it, and the kind of card; no card's own bytes."""
    firmware = _firmware(bench)
    told = (Fact("firmware", "固件", "Firmware", firmware),) if firmware else ()
    return (*told, Fact("card", "卡", "Card", _card(bench, atr)))


def _firmware(bench: Bench) -> str:
    """What the reader says of itself, "" for nothing."""
    if CCID not in bench.abilities:
        return ""
    with suppress(Unexpected), bench.ccid() as port:
        return port.ask(ESCAPE, ESCAPE_FIRMWARE_NAME).data.decode("ascii", "replace")
    return ""


def _card(bench: Bench, atr: Atr) -> str:
    if CONTACT_LINE in bench.abilities:
        return f"test card, TA1 {atr.ta1 or DEFAULT_FI_DI:02X}, WI {atr.waiting_integer}"
    return "test card without contact line" if TEST_CARD in bench.abilities else "not a test card"
