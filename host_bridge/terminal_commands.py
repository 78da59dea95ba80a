"""`ssc terminal`: enrol this counter, look into its journal."""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from host_bridge.card.errors import text_key
from host_bridge.clock import SystemClock
from host_bridge.config import ConfigError, load_config
from host_bridge.enrol import JOURNAL, EnrolError, EnrolRefused
from host_bridge.enrol import enrol as enrol_terminal
from host_bridge.journal.chain import Stored
from host_bridge.journal.errors import JournalError
from host_bridge.journal.reader import JournalReader
from host_bridge.readers.reader import ReaderError
from protocols.events.clock import rfc3339
from protocols.events.events import PinService, Refund, Settlement
from protocols.settlement.money import yuan
from protocols.texts.catalogue import texts

app = typer.Typer(no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", help="终端配置 · configuration file (TOML)")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")]

_PAGE = 500


@app.command("enrol")
def enrol(
    config: ConfigOption,
    url: Annotated[str, typer.Option(help="登记地址 · address of the enrolment listener")],
    code: Annotated[str | None, typer.Option(help="登记码，省略则读标准输入 · code; else standard input")] = None,
    as_json: JsonOption = False,
) -> None:
    """登记本终端 · Enrol this terminal with a one-time code."""
    with reported(as_json):
        settings = load_config(config)
        code = code or sys.stdin.readline().strip()
        if not code:
            raise _CodeMissing
        clock = SystemClock(settings.clock.trusted)
        enrolled = enrol_terminal(settings.terminal.state, url, code, clock, secret=secrets.token_bytes(32))
    record = enrolled.record
    if as_json:
        kept = None if enrolled.kept is None else str(enrolled.kept)
        facts = {"terminal": record.terminal, "epoch": record.epoch, "fixmedins_code": record.fixmedins_code}
        typer.echo(json.dumps(facts | {"city": record.city, "kept": kept, "stranded": enrolled.stranded}))
        return
    typer.echo(f"已登记 · enrolled: {record.terminal}, {record.fixmedins_name}, 纪元 · epoch {record.epoch}")
    if enrolled.kept is not None:
        typer.echo(f"旧流水 · journal before: {enrolled.kept}")
    if enrolled.stranded:
        typer.echo(f"旧流水中中心没有的 · events in it that the centre does not have: {enrolled.stranded}", err=True)


@app.command("journal")
def journal(
    config: ConfigOption,
    as_json: JsonOption = False,
    verify: Annotated[bool, typer.Option(help="检查整条链 · check the whole chain first")] = False,
) -> None:
    """列出流水，不含个人信息 · List the journal, without personal data."""
    with reported(as_json):
        settings = load_config(config)
        with closing(JournalReader(settings.terminal.state / JOURNAL)) as reader:
            listed = _listed(reader, verify=verify)
    if as_json:
        typer.echo(json.dumps(listed, ensure_ascii=False))
    else:
        _print(listed)


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Errors of configuration, enrolment, journal and reader as catalogue text on standard error, exit code 2."""
    try:
        yield
    except ConfigError as error:
        document = _document("terminal_config_unreadable", {"reason": str(error)})
    except EnrolRefused as error:
        document = error.error
    except (EnrolError, JournalError) as error:
        document = _document(error.key, error.facts)
    except ReaderError as error:
        document = _document(*text_key(error))
    else:
        return
    if as_json:
        typer.echo(json.dumps({"error": document}, ensure_ascii=False))
    else:
        for words in (document.get("zh"), document.get("en")):
            if isinstance(words, dict):
                lines = (f"{document.get('number')} {words.get('title')}", words.get("what"), words.get("bill"))
                typer.echo("\n".join(str(line) for line in lines if line), err=True)
    raise typer.Exit(2)


class _CodeMissing(EnrolError):
    key = "enrol_code_missing"


def _document(key: str, facts: dict[str, str]) -> dict[str, Any]:
    text = texts()[key]
    words = {"zh": text.zh.fill(facts), "en": text.en.fill(facts)}
    return {"number": text.number, **msgspec.to_builtins(words)}


def _listed(reader: JournalReader, *, verify: bool) -> dict[str, Any]:
    verified = reader.verify().seq if verify else None
    mark, backlog = reader.mark, reader.backlog()
    refused = {each.seq: each.reason for each in reader.refused()}
    events: list[dict[str, Any]] = []
    while page := reader.after(len(events), _PAGE):
        events += [_event(stored, mark.seq, refused) for stored in page]
    return {
        "terminal": reader.record.terminal,
        "epoch": reader.record.epoch,
        "end": len(events),
        "mark": mark.seq,
        "backlog": {
            "count": backlog.count,
            "fen": backlog.fen,
            "oldest": rfc3339(backlog.oldest_time) if backlog.oldest_time else None,
        },
        "rolled_back": reader.rolled_back is not None,
        "verified": verified,
        "events": events,
    }


def _event(stored: Stored, mark: int, refused: dict[int, str]) -> dict[str, Any]:
    data = stored.event.data
    facts: dict[str, Any] = {
        "seq": stored.seq,
        "id": stored.id,
        "kind": stored.event.type.removeprefix("ssc."),
        "time": stored.event.time,
        "hash": stored.hash,
        "received": stored.seq <= mark,
        "quarantined": refused.get(stored.seq),
    }
    if isinstance(data, Settlement | Refund):
        split = data.split
        facts |= {
            "mdtrt_id": data.mdtrt_id,
            "mode": data.mode if isinstance(data, Settlement) else None,
            "original": data.original if isinstance(data, Refund) else None,
            "medfee_sumamt": split.medfee_sumamt,
            "fund_pay_sumamt": split.fund_pay_sumamt,
            "acct_pay": split.acct_pay,
            "psn_cash_pay": split.psn_cash_pay,
        }
    else:
        facts["number"] = data.number
    if isinstance(data, PinService):
        facts |= {"service": data.service, "state": data.state}
    return facts


def _how(event: dict[str, Any]) -> str:
    """How a bill was settled, why a visit was refused, what became of a PIN."""
    parts = (event.get(name) for name in ("mode", "service", "state", "number"))
    return " ".join(part for part in parts if part)


def _print(listed: dict[str, Any]) -> None:
    table = Table(title=f"{listed['terminal']} 纪元 · epoch {listed['epoch']}")
    for heading in (
        "seq",
        "时间 · time",
        "kind",
        "mode",
        "总额 · total",
        "基金 · fund",
        "现金 · cash",
        "中心 · centre",
    ):
        table.add_column(heading)
    for event in listed["events"]:
        amounts = [event.get(name) for name in ("medfee_sumamt", "fund_pay_sumamt", "psn_cash_pay")]
        table.add_row(
            str(event["seq"]),
            event["time"],
            event["kind"],
            _how(event),
            *("" if amount is None else yuan(amount) for amount in amounts),
            event["quarantined"] or ("✓" if event["received"] else "…"),
        )
    Console().print(table)
    backlog = listed["backlog"]
    typer.echo(
        f"中心已收到 · centre has: {listed['mark']}; 未上传 · backlog: {backlog['count']}, ¥{yuan(backlog['fen'])}"
    )
    if listed["rolled_back"]:
        typer.echo(f"{texts()['journal_old_copy'].zh.title} · {texts()['journal_old_copy'].en.title}")
    if listed["verified"] is not None:
        typer.echo(f"链完整 · chain verified: {listed['verified']}")
