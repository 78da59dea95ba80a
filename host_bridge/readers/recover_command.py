"""`ssc reader recover`."""

from typing import Annotated

import typer

from host_bridge.card.errors import text_key
from host_bridge.readers.command_line import Json, fail, print_json
from host_bridge.readers.pins import BOOTSEL, RUN
from host_bridge.readers.reader import ReaderUnavailable
from host_bridge.readers.recover import enter_bootloader, restart


def recover(
    bootloader: Annotated[
        bool, typer.Option(help="进入引导模式，等待写入固件 · into the bootloader, to be flashed")
    ] = False,
    as_json: Json = False,
) -> None:
    """用树莓派的引脚重启读卡器 · Start the reader anew by the Raspberry Pi's own pins, whatever its firmware does."""
    try:
        (enter_bootloader if bootloader else restart)()
    except ReaderUnavailable as error:
        fail(*text_key(error), as_json)
    if as_json:
        print_json({"run": RUN, "bootsel": BOOTSEL, "bootloader": bootloader})
    elif bootloader:
        typer.echo("已要求读卡器进入引导模式，盘符 RPI-RP2 · the reader was told to come back as the drive RPI-RP2")
    else:
        typer.echo("已重启读卡器 · the reader was started anew")
