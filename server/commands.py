"""Commands that the centre adds to `ssc`: `ssc server …`."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from protocols.events.clock import rfc3339
from protocols.settlement.money import yuan
from server.clock import SystemClock
from server.command_line import AsJson, ConfigFile, edge, opened, print_json
from server.config import load_config
from server.keys.commands import key
from server.ledger.report import report
from server.people.files import import_person, read_person
from server.run import renew_broker_files, run_server
from server.store.store import millis, moment
from server.terminals.registry import Role, add_terminal, check_city, list_terminals

app = typer.Typer()
server = typer.Typer(no_args_is_help=True, help="中心 · The centre: ledger, enrolment, pages")
terminal = typer.Typer(no_args_is_help=True, help="终端 · Terminals")
people = typer.Typer(no_args_is_help=True, help="参保人 · Insured persons")
app.add_typer(server, name="server")
server.add_typer(terminal, name="terminal")
server.add_typer(people, name="people")
server.add_typer(key, name="key")


@server.command()
def run(config: ConfigFile) -> None:
    """运行中心 · Run the centre; prints one JSON line once it listens."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with edge():
        run_server(load_config(config))


@server.command("broker-files")
def broker_files(config: ConfigFile) -> None:
    """生成代理的权限与密码文件 · Write the broker's rights and passwords."""
    with opened(config) as (loaded, store):
        renew_broker_files(loaded, store)


@terminal.command("add")
def add(  # noqa: PLR0917 - options of a command
    config: ConfigFile,
    terminal_id: Annotated[str, typer.Option("--terminal", help="Terminal id", metavar="ID")],
    institution: Annotated[str, typer.Option(help="fixmedins_code", metavar="CODE")],
    name: Annotated[str, typer.Option(help="fixmedins_name")],
    city: Annotated[str, typer.Option(help="Division code", metavar="CODE")],
    role: Annotated[Role, typer.Option(help="What the terminal is for")] = "counter",
    as_json: AsJson = False,
) -> None:
    """登记终端并给出一次性登记码 · Note a terminal and print its one-time code."""
    today = SystemClock().wall().date()
    with opened(config, as_json=as_json) as (_, store), store.write() as connection:
        check_city(city, today)
        code = add_terminal(
            connection,
            terminal_id,
            fixmedins_code=institution,
            fixmedins_name=name,
            city=city,
            role=role,
            random=os.urandom,
            now_ms=millis(SystemClock().wall()),
        )
    if as_json:
        print_json({"code": code})
    else:
        typer.echo(code)


@terminal.command("list")
def list_all(config: ConfigFile, as_json: AsJson = False) -> None:
    """列出终端 · List terminals with epoch and mark."""
    with opened(config, as_json=as_json) as (_, store), store.read() as connection:
        rows = list_terminals(connection)
    if as_json:
        print_json({"terminals": rows})
        return
    table = Table(
        Column("终端 Terminal", no_wrap=True),
        "机构 Institution",
        "地区 City",
        "角色 Role",
        "纪元 Epoch",
        "已收 Mark",
        "于 At",
    )
    for row in rows:
        at = "" if row.mark_ms is None else rfc3339(moment(row.mark_ms))
        name = f"{row.fixmedins_code} {row.fixmedins_name}"
        table.add_row(row.terminal, name, row.city, row.role, str(row.epoch), str(row.mark), at)
    Console().print(table)


@people.command("import")
def import_people(config: ConfigFile, files: list[Path], as_json: AsJson = False) -> None:
    """导入参保人 · Import persons; all of the files or none."""
    with opened(config, as_json=as_json) as (_, store):
        persons = [read_person(path) for path in files]
        with store.write() as connection:
            for person in persons:
                import_person(connection, person)
    if as_json:
        print_json({"imported": len(persons)})
    else:
        typer.echo(f"已导入 {len(persons)} 人 · {len(persons)} imported")


@server.command()
def ledger(config: ConfigFile, as_json: AsJson = False) -> None:
    """账本 · The ledger: events, adjustments, sums and proofs."""
    with opened(config, as_json=as_json) as (_, store), store.read() as connection:
        found = report(connection)
    if as_json:
        print_json(found)
        return
    table = Table(Column("事件 Event", no_wrap=True, overflow="ignore"), "种类 Kind", "方式 Mode")
    for title in ("总额 Total", "基金 Fund", "账户 Account", "现金 Cash"):
        table.add_column(title, justify="right", no_wrap=True)
    for event in found.events:
        amounts = (event.medfee_fen, event.fund_fen, event.acct_fen, event.cash_fen)
        kind = event.kind if event.state == "booked" else f"{event.state} {event.number or ''}"
        table.add_row(event.id, kind, event.mode or "", *(yuan(amount) for amount in amounts))
    console = Console()
    console.print(table)
    console.print(
        f"账本平衡 Balance {yuan(found.balance_fen)} · 链上事件 Chained {found.chains.events}"
        f" · 断链 Broken {len(found.chains.broken)} · 调整 Adjustments {len(found.adjustments)}"
    )
