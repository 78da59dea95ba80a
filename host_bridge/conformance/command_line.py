"""What the commands of conformance suites have in common: options, the reader they open, the report they give."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host_bridge.card.commands import fail
from host_bridge.card.errors import CardError
from host_bridge.conformance.case import Suite
from host_bridge.conformance.report import Report, as_json, print_report
from host_bridge.readers.addresses import AddressError, open_reader
from host_bridge.readers.reader import Reader, ReaderError

Address = Annotated[str, typer.Option("--reader", help="读卡器地址 · reader address")]
Groups = Annotated[list[str] | None, typer.Option("--group", help="只查这些组 · these groups only")]
HtmlFile = Annotated[Path | None, typer.Option("--html", help="写 HTML 报告 · write a report in HTML")]
JunitFile = Annotated[Path | None, typer.Option("--junit", help="写 JUnit 报告 · write a report in JUnit XML")]
Json = Annotated[bool, typer.Option("--json", help="末行输出 JSON · one JSON object as the last line")]


def chosen_groups(named: list[str] | None, suite: Suite) -> tuple[str, ...]:
    """Those named, or all of the suite."""
    unknown = [name for name in named or () if name not in suite.groups]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: {', '.join(suite.groups)}", param_hint="--group")
    return tuple(named or suite.groups)


@contextmanager
def opened_reader(address: str, json_: bool) -> Iterator[Reader]:
    """Exit code 2 where reader or card end the run."""
    try:
        with closing(open_reader(address)) as reader:
            yield reader
    except AddressError as error:
        raise typer.BadParameter(str(error), param_hint="--reader") from None
    except (CardError, ReaderError) as error:
        fail(error, json_, code=2)


def hand_in(report: Report, html: Path | None, junit: Path | None, json_: bool) -> None:
    """Write and print a report; exit code 1 where a check failed, 2 where a file cannot be written."""
    _write(report, html, junit)
    if json_:
        typer.echo(json.dumps(as_json(report), ensure_ascii=False))
    else:
        print_report(report, Console())
    if report.failed:
        raise typer.Exit(1)


def _write(report: Report, html: Path | None, junit: Path | None) -> None:
    try:
        if html is not None:
            from host_bridge.conformance.html import as_html  # noqa: PLC0415 - Jinja2 for whoever wants a page

            html.write_text(as_html(report), "utf-8")
        if junit is not None:
            from host_bridge.conformance.junit import as_junit  # noqa: PLC0415

            junit.write_bytes(as_junit(report))
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        sys.exit(2)
