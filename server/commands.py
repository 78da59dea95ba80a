"""Commands that the centre adds to `ssc`: `ssc server …`."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy.exc import SQLAlchemyError

from protocols.events.clock import rfc3339
from protocols.settlement.money import yuan
from protocols.texts.catalogue import texts
from server.clock import SystemClock
from server.config import Config, load_config
from server.errors import CentreError, StoreUnusable
from server.ledger.report import report
from server.people.files import import_person, read_person
from server.run import open_store, renew_broker_files, run_server
from server.store.store import Store, millis, moment, reason_of
from server.terminals.registry import Role, add_terminal, list_terminals

app = typer.Typer()
server = typer.Typer(no_args_is_help=True, help="中心 · The centre: ledger, enrolment, pages")
terminal = typer.Typer(no_args_is_help=True, help="终端 · Terminals")
people = typer.Typer(no_args_is_help=True, help="参保人 · Insured persons")
app.add_typer(server, name="server")
server.add_typer(terminal, name="terminal")
server.add_typer(people, name="people")

ConfigFile = Annotated[Path, typer.Option("--config", help="Configuration (TOML)", metavar="F")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object")]


@contextmanager
def _edge(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error into words from the catalogue and exit status 2."""
    try:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreUnusable("store_unusable", reason=reason_of(error)) from error
        except OSError as error:
            facts = {"path": str(error.filename or ""), "reason": error.strerror or ""}
            raise CentreError("file_unusable", **facts) from error
    except CentreError as error:
        text = texts()[error.key]
        zh, en = text.zh.fill(error.facts), text.en.fill(error.facts)
        if as_json:
            _print_json({"error": {"number": text.number, "zh": zh, "en": en}})
        else:
            typer.echo(f"{text.number} {zh.title}：{zh.what}\n{en.title}: {en.what}", err=True)
        raise typer.Exit(2) from error


@contextmanager
def _opened(path: Path, *, as_json: bool = False) -> Iterator[tuple[Config, Store]]:
    with _edge(as_json=as_json):
        config = load_config(path)
        store = open_store(config)
        try:
            yield config, store
        finally:
            store.close()


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.encode(value).decode())


@server.command()
def run(config: ConfigFile) -> None:
    """运行中心 · Run the centre; prints one JSON line once it listens."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with _edge():
        run_server(load_config(config))


@server.command("broker-files")
def broker_files(config: ConfigFile) -> None:
    """生成代理的权限与密码文件 · Write the broker's rights and passwords."""
    with _opened(config) as (loaded, store):
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
    with _opened(config, as_json=as_json) as (_, store), store.write() as connection:
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
        _print_json({"code": code})
    else:
        typer.echo(code)


@terminal.command("list")
def list_all(config: ConfigFile, as_json: AsJson = False) -> None:
    """列出终端 · List terminals with epoch and mark."""
    with _opened(config, as_json=as_json) as (_, store), store.read() as connection:
        rows = list_terminals(connection)
    if as_json:
        _print_json({"terminals": rows})
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
    with _opened(config, as_json=as_json) as (_, store):
        persons = [read_person(path) for path in files]
        with store.write() as connection:
            for person in persons:
                import_person(connection, person)
    if as_json:
        _print_json({"imported": len(persons)})
    else:
        typer.echo(f"已导入 {len(persons)} 人 · {len(persons)} imported")


@server.command()
def ledger(config: ConfigFile, as_json: AsJson = False) -> None:
    """账本 · The ledger: events, adjustments, sums and proofs."""
    with _opened(config, as_json=as_json) as (_, store), store.read() as connection:
        found = report(connection)
    if as_json:
        _print_json(found)
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
