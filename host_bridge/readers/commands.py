"""`ssc reader`."""

import typer
from rich.console import Console
from rich.table import Table

from host_bridge.card.errors import text_key
from host_bridge.readers.addresses import FoundReader, list_pcsc_readers, list_serial_readers
from host_bridge.readers.bridge_command import bridge
from host_bridge.readers.command_line import Json, print_json, say
from host_bridge.readers.flash_command import flash
from host_bridge.readers.port_lock import Holder
from host_bridge.readers.reader import ReaderUnavailable
from host_bridge.readers.recover_command import recover
from host_bridge.readers.service_commands import info, log
from host_bridge.readers.trace_command import trace
from host_bridge.readers.update_commands import manifest, update

MAX_WIDTH = 1000
CARD = {True: "有 · in", False: "无 · none", None: "—"}

app = typer.Typer(no_args_is_help=True)
app.command()(bridge)
app.command()(flash)
app.command()(info)
app.command()(log)
app.command()(manifest)
app.command()(recover)
app.command()(trace)
app.command()(update)


@app.command("list")
def list_(
    as_json: Json = False,
) -> None:
    """列出串口和 PC/SC 读卡器，不打扰使用者 · List serial ports and PC/SC readers, and who holds them; opens none."""
    found = list_serial_readers()
    try:
        found += list_pcsc_readers()
    except ReaderUnavailable as error:
        say(*text_key(error))
    if as_json:
        print_json([_facts(reader) for reader in found])
        return
    if not found:
        say("reader_none_found", {})
        return
    table = Table("地址 · Address", "说明 · Description", "卡 · Card", "占用 · In use by")
    for reader in found:
        table.add_row(reader.address, reader.description, CARD[reader.card_present], _user(reader.holder))
    console = Console()
    whole = console.measure(table, options=console.options.update(max_width=MAX_WIDTH)).maximum
    console.width = max(console.width, whole)  # a long address would cost the other columns
    console.print(table)


def _user(holder: Holder | None) -> str:
    if holder is None:
        return "—"
    if holder.pid is None and not holder.command:
        return "是 · yes"  # PC/SC does not say whose
    return f"PID {holder.pid or '?'}, {holder.command or '?'}"


def _facts(reader: FoundReader) -> dict[str, object]:
    holder = reader.holder
    in_use = None if holder is None else {"pid": holder.pid, "command": holder.command}
    facts = {"address": reader.address, "description": reader.description}
    return {**facts, "card_present": reader.card_present, "in_use_by": in_use}
