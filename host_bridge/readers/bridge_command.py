"""`ssc reader bridge`: our reader behind pcscd, which may come and go."""

import os
import signal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from host_bridge.card.errors import text_key
from host_bridge.readers.bridge_ports import BridgeError, BridgePorts
from host_bridge.readers.command_line import Json, fail, print_json, reason_of, say
from host_bridge.readers.kept_files import KeptFiles
from host_bridge.readers.reader import ReaderInUse
from protocols.texts.catalogue import sentence

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libccidtwin.so")


class Profile(StrEnum):
    """Those of libccidtwin that our firmware fits (`reader.md A.4`)."""

    TWIN = "GemPCTwin"
    PIN_PAD = "GemPCPinPad"


def reader_conf(links: list[Path], profile: Profile) -> str:
    """What pcscd reads, one reader per link; `BridgeError` for a link that the driver would cut (`reader.md A.6`)."""
    for link in links:
        if ":" in str(link.absolute()):
            raise BridgeError(f"{link}: libccidtwin takes no path with a colon")
    return "\n".join(
        f'FRIENDLYNAME "SSC {link.name}"\nDEVICENAME   {link.absolute()}:{profile}\nLIBPATH      {DRIVER}\n'
        for link in links
    )


def bridge(
    port: Annotated[str, typer.Option(help="读卡器串口 · Serial port of the reader: /dev/serial/by-id/…")],
    link: Annotated[
        list[Path], typer.Option(help="每个卡槽的固定串口名 · Name of a slot's permanent line; the second is slot 1")
    ],
    profile: Annotated[
        Profile, typer.Option(help="libccidtwin 型号，带密码键盘用 GemPCPinPad · As which reader pcscd drives it")
    ] = Profile.TWIN,
    reader_conf_file: Annotated[
        Path | None, typer.Option("--reader-conf", help="写入 pcscd 配置 · Write pcscd's configuration to this file")
    ] = None,
    as_json: Json = False,
) -> None:
    """让 pcscd 使用读卡器，可随时拔插，直到被终止 · Offer the reader to pcscd, unplugged or not, until ended.

    Ready when the first look for the reader is over: {"ready": true, "port": …, "links": […], "reader": true or false}.
    """
    ready = False
    kept = KeptFiles(os.environ)

    def changed(here: bool, holder: ReaderInUse | None) -> None:
        nonlocal ready
        if holder is not None and not ready:
            raise holder
        if not ready:
            ready = True
            _say_ready(here)
            kept.ready()
        if holder is not None:
            say(*text_key(holder))
        else:
            say("bridge_reader_here" if here else "bridge_reader_away", {"port": port, "name": ports.reader_name})

    def _say_ready(here: bool) -> None:
        if as_json:
            links = [str(each) for each in link]
            print_json({"ready": True, "port": port, "links": links, "reader": here})
            return
        typer.echo(sentence("bridge_ready"))
        if reader_conf_file is None:
            typer.echo(conf, nl=False)

    try:
        conf = reader_conf(link, profile)
        if reader_conf_file is not None:
            reader_conf_file.write_text(conf)
        ports = BridgePorts(port, link, changed, kept=kept)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ports.stop())
        ports.run()
    except (BridgeError, OSError) as error:
        fail("bridge_not_started", {"reason": reason_of(error)}, as_json)
    except ReaderInUse as error:
        fail(*text_key(error), as_json)
