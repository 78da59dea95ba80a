"""`ssc virtual reader`."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from hardware.firmware_files import BOOT_ON_BOARD, FirmwareError, application_files, board_image, version_in
from hardware.virtual.chips import chip_at
from hardware.virtual.faulty_reader import FaultyReader
from hardware.virtual.keypad import VirtualKeypad
from hardware.virtual.line_faults import FaultsError, load_faults
from hardware.virtual.pressed_keys import FileKeys
from hardware.virtual.reader import ReaderProcess, ReaderStartError, install_files
from hardware.virtual.reader_faults import fault_named
from hardware.virtual.slot import VirtualSlot
from protocols.release.bundle import manifest_of
from protocols.texts.catalogue import sentence

WATCH_EVERY_S = 0.2
UNIX = "unix"

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `run` a command of its own."""


@app.command()
def run(  # noqa: PLR0917 - each is an option of the command
    slot: Annotated[
        Path, typer.Option(help="卡槽目录 · Folder that is the slot: the one *.card file in it is the card")
    ],
    sam: Annotated[
        Path | None, typer.Option(help="安全模块卡槽目录 · Folder that is the second slot, for a SAM")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="故障脚本 · Script of how the card misbehaves on the line")
    ] = None,
    reader_fault: Annotated[
        str | None, typer.Option(help="读卡器的故障，如 lrc_ignored · a fault of the reader, see reader-conformance.md")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="密码键盘按键文件：每行一个密码，或 clear、cancel"
            " · File that is pressed on the reader's PIN pad and removed: a PIN on each line, or clear or cancel"
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(help="读卡器自己的文件目录，可更新 · Folder of the reader's own files; it can then be updated"),
    ] = None,
    link: Annotated[Path | None, typer.Option(help="串口链接 · Symbolic link to make to the reader's pty")] = None,
) -> None:
    """运行虚拟读卡器，直到被终止 · Run a virtual reader until it is ended.

    Prints one JSON line when ready: {"ready": true, "path": …, "interpreter": …, "slot": …, "sam": …, "keys": …}.
    """
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        for folder in filter(None, (slot, sam)):
            if not folder.is_dir():
                raise ReaderStartError(f"{folder} is no folder")
        rules = load_faults(faults) if faults else ()
        slots = [VirtualSlot(slot, chip_at, _say, rules), *([VirtualSlot(sam, chip_at, _say)] if sam else [])]
        keypad = VirtualKeypad(FileKeys(keys)) if keys else None
        if files is not None and not (files / BOOT_ON_BOARD).exists():
            install_files(files, _image())
        own = None if files is None else files.absolute()
        sound = ReaderProcess(*slots, keypad=keypad, link=None if reader_fault else link, files=own)
        reader = FaultyReader(sound, fault_named(reader_fault), link) if reader_fault else sound
        reader.start()
    except (ReaderStartError, FaultsError, FirmwareError, OSError) as error:
        _say(sentence("virtual_reader_not_started", reason=str(error)))
        raise typer.Exit(1) from None
    ready = {
        "ready": True,
        "path": reader.path,
        "interpreter": reader.interpreter,
        "slot": str(slot),
        "sam": str(sam) if sam else None,
        "keys": str(keys) if keys else None,
    }
    typer.echo(json.dumps(ready, ensure_ascii=False))
    sys.stdout.flush()
    while not ended.wait(WATCH_EVERY_S):
        if not reader.keep_running():
            _say(sentence("virtual_reader_ended"))
            reader.stop()
            raise typer.Exit(1)
    reader.stop()


def _image() -> dict[str, bytes]:
    """This program's firmware, as a unix board has it when it is new."""
    files, version = application_files(UNIX), version_in()
    return board_image(files, manifest_of(files, UNIX, version, version))


def _say(what: str) -> None:
    typer.echo(what, err=True)
