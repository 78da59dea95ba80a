"""`ssc server key …`: simulated root keys, requests of agency terminals, the book of uses."""

from typing import Annotated

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
from server.keys.roots import Root
from server.run import roots
from server.store.store import millis, moment

_USES: dict[str, str] = {
    "genuine": "验真",
    "read": "读取",
    "update": "更新",
    "unblock_pin": "密码解锁",
    "reset_pin": "密码重置",
}
"""What a key is wanted for, in words."""
KeyVersion = Annotated[int, typer.Option("--key-version", min=1, max=3, help="密钥版本 · version of the keys")]

key = typer.Typer(no_args_is_help=True, help="密钥服务 · The key service")


@key.command()
def init(config: ConfigFile, key_version: KeyVersion = 1, as_json: AsJson = False) -> None:
    """装入仿真根密钥 · Load a version of the simulated cards' root keys into the token; what is there is left alone."""
    with edge(as_json=as_json):
        token = roots(load_config(config))
        if token is None:
            raise CentreError("key_service_absent")
        try:
            loaded = token.load(_simulated(key_version))
        finally:
            token.close()
    if as_json:
        print_json({"loaded": loaded, "key_version": key_version, "simulated": True})
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
        _whole("号\nNo."),
        Column("终端\nTerminal", overflow="fold"),
        _whole("用途\nUse"),
        _whole("芯片 Chip\n地区 · 算法"),
        _whole("请求 Requested\n批准 Approved"),
    )
    for row in rows:
        times = [row.requested_ms] if row.approved_ms is None else [row.requested_ms, row.approved_ms]
        table.add_row(
            str(row.id),
            row.terminal,
            _lines(_USES[row.use], row.use, row.key),
            _lines(row.card, f"{row.region} · 算法 {row.algorithm:02X}"),
            _lines(*map(_time, times)),
        )
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
        _whole("于 At"),
        Column("终端\nTerminal", overflow="fold"),
        _whole("用途\nUse"),
        _whole("步骤 Step\n密钥 Key"),
        Column("请求 · 结果\nResult", overflow="fold"),
    )
    for row in rows:
        request = "" if row.request_id is None else f"请求 {row.request_id}"
        result = "" if row.refusal is None else f"{row.refusal} {text_of(row.refusal).zh.title}"
        table.add_row(
            _time(row.at_ms) if row.last_ms is None else _lines(_time(row.at_ms), _time(row.last_ms), f"× {row.count}"),
            row.terminal,
            _lines(_USES[row.use], row.use),
            _lines(row.step, f"{row.key} {row.version}"),
            _lines(request, result),
        )
    Console().print(table)


def _whole(title: str) -> Column:
    """A column that is never cut or broken; all of them leave room for the others in 80 columns."""
    return Column(title, no_wrap=True)


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _time(ms: int) -> str:
    """`2026-11-21 09:58:00`, Shanghai; to the millisecond it is in the JSON."""
    return rfc3339(moment(ms))[:19].replace("T", " ")


def _simulated(version: int) -> dict[Root, bytes]:
    """The keys of each table of a card version, in one of their versions."""
    return {
        Root(row.name, tables.algorithm, version): simulated_root(tables.algorithm, row, version)
        for tables in map(card_files, versions())
        for row in tables.keys.rows
    }
