"""`ssc reader`."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from host_bridge.readers.addresses import FoundReader, list_readers
from protocols.texts.catalogue import texts

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `list` a command of its own."""


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="JSON 输出 · One JSON array")] = False,
) -> None:
    """列出串口读卡器，不打开端口 · List serial ports and who holds them; opens none."""
    found = list_readers()
    if as_json:
        typer.echo(json.dumps([_facts(reader) for reader in found], ensure_ascii=False))
        return
    if not found:
        none = texts()["reader_none_found"]
        typer.echo(f"{none.number} {none.zh.what} · {none.en.what}")
        return
    table = Table("地址 · Address", "说明 · Description", "占用 · In use by")
    for reader in found:
        holder = reader.holder
        table.add_row(
            reader.address,
            reader.description,
            "—" if holder is None else f"PID {holder.pid or '?'}, {holder.command}",
        )
    Console().print(table)


def _facts(reader: FoundReader) -> dict[str, object]:
    holder = reader.holder
    in_use = None if holder is None else {"pid": holder.pid, "command": holder.command}
    return {"address": reader.address, "description": reader.description, "in_use_by": in_use}
