"""What `--vpcd` does: a chip in a PC/SC reader of this machine until the command is ended."""

import json
import signal
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from hardware.virtual.card_file import CardFileError
from hardware.virtual.card_side import Chip
from hardware.virtual.vpcd import VpcdError, VpcdSlot
from protocols.texts.catalogue import sentence

Vpcd = Annotated[
    str | None,
    typer.Option(help="插入 pcscd 的虚拟读卡器 HOST:PORT，直到被终止 · Put it into this vpcd reader until ended"),
]


def run_in_pcscd(chip: Chip, address: str, fail: Callable[[str, bool], NoReturn], *, as_json: bool) -> NoReturn:
    """`fail` is told of an address that is none. Exit code 1 where the reader has gone or the chip's file has."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        fail(f"不是 HOST:PORT · not HOST:PORT: {address}", as_json)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with VpcdSlot(chip, host, int(port)) as slot:
            typer.echo(json.dumps({"ready": True, "vpcd": address}))
            sys.stdout.flush()
            slot.run()
        typer.echo(sentence("vpcd_away", address=address), err=True)
    except VpcdError as error:
        typer.echo(sentence("vpcd_away", address=str(error)), err=True)
    except CardFileError as error:
        typer.echo(sentence("slot_card_unusable", reason=str(error)), err=True)
    raise typer.Exit(1)
