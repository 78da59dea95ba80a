"""`ssc virtual printer`: the simulated receipt printer as a process."""

import json
import signal
from pathlib import Path
from typing import Annotated

import typer

from hardware.virtual.printer import VirtualPrinter

app = typer.Typer(no_args_is_help=True, help="模拟打印机 · Simulated receipt printer")


@app.callback()
def printer() -> None:
    """模拟打印机 · Simulated receipt printer."""


@app.command()
def run(
    out: Annotated[
        Path,
        typer.Option(
            help="收据文件夹；其中有 paper-out 文件时缺纸 · Folder of receipts; file paper-out in it: no paper"
        ),
    ],
    port: Annotated[int, typer.Option(help="TCP 端口，0 为任意空闲端口 · TCP port, 0 for a free one")] = 0,
) -> None:
    """运行，直到收到终止信号 · Run until terminated; prints one JSON line once it listens."""
    twin = VirtualPrinter(out, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: twin.stop())
    print(json.dumps({"ready": True, "port": twin.port, "printer": f"tcp:127.0.0.1:{twin.port}"}), flush=True)
    twin.serve()
