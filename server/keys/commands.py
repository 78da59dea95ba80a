"""`ssc server key …`: simulated root keys, requests of agency terminals, the book of uses."""

import typer
from rich.console import Console
from rich.table import Column, Table

from protocols.events.clock import rfc3339
from protocols.sscard.files import card_files, versions
from protocols.sscard.simulated import simulated_root
from protocols.texts.catalogue import text_of
from server.clock import SystemClock
from server.command_line import AsJson, ConfigFile, edge, opened, print_json
from server.config import load_config
from server.errors import CentreError
from server.keys.requests import approve as approve_request
from server.keys.requests import audit as all_uses
from server.keys.requests import list_requests
from server.run import roots
from server.store.store import millis, moment

key = typer.Typer(no_args_is_help=True, help="密钥服务 · The key service")


@key.command()
def init(config: ConfigFile, as_json: AsJson = False) -> None:
    """装入仿真根密钥 · Load the root keys of simulated cards into the token; real keys there are left alone."""
    with edge(as_json=as_json):
        token = roots(load_config(config))
        if token is None:
            raise CentreError("key_service_absent")
        try:
            loaded = token.load(_simulated())
        finally:
            token.close()
    if as_json:
        print_json({"loaded": loaded, "simulated": True})
    else:
        typer.echo(f"已装入 {loaded} 个仿真根密钥 · {loaded} simulated root keys loaded")


@key.command()
def requests(config: ConfigFile, as_json: AsJson = False) -> None:
    """列出请求 · Requests of agency terminals in the last 24 hours."""
    with opened(config, as_json=as_json) as (_, store), store.read() as connection:
        rows = list_requests(connection, millis(SystemClock().wall()))
    if as_json:
        print_json({"requests": rows})
        return
    table = Table(
        "号 No.",
        Column("终端 Terminal", no_wrap=True),
        "用途 Use",
        "密钥 Key",
        "芯片 Chip",
        "地区 Region",
        "请求 At",
        "批准 Approved",
    )
    for row in rows:
        approved = "" if row.approved_ms is None else rfc3339(moment(row.approved_ms))
        at = rfc3339(moment(row.requested_ms))
        table.add_row(str(row.id), row.terminal, row.use, row.key, row.card, row.region, at, approved)
    Console().print(table)


@key.command()
def approve(request: int, config: ConfigFile, as_json: AsJson = False) -> None:
    """批准一个请求 · Approve a request: once, for that terminal and card, for 15 minutes."""
    with opened(config, as_json=as_json) as (_, store), store.write() as connection:
        approve_request(connection, request, millis(SystemClock().wall()))
    if as_json:
        print_json({"approved": request})
    else:
        typer.echo(f"已批准 {request} · {request} approved")


@key.command()
def audit(config: ConfigFile, as_json: AsJson = False) -> None:
    """密钥使用记录 · Every use of a root key, refused ones included."""
    with opened(config, as_json=as_json) as (_, store), store.read() as connection:
        rows = all_uses(connection)
    if as_json:
        print_json({"uses": rows})
        return
    table = Table(
        "于 At",
        Column("终端 Terminal", no_wrap=True),
        "用途 Use",
        "步骤 Step",
        "密钥 Key",
        "请求 Request",
        "结果 Result",
    )
    for row in rows:
        result = "" if row.refusal is None else f"{row.refusal} {text_of(row.refusal).zh.title}"
        request = "" if row.request_id is None else str(row.request_id)
        table.add_row(rfc3339(moment(row.at_ms)), row.terminal, row.use, row.step, row.key, request, result)
    Console().print(table)


def _simulated() -> dict[tuple[str, int], bytes]:
    """By name and algorithm, the key of each table of a card version, in the version that cards use unasked."""
    return {
        (row.name, tables.algorithm): simulated_root(tables.algorithm, row, tables.keys.versions[0])
        for tables in map(card_files, versions())
        for row in tables.keys.rows
    }
