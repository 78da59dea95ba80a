"""A report in words for the terminal, and as the object of `--json`."""

from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from host_bridge.conformance.case import Outcome, Reason, Result, Suite
from protocols.events.clock import rfc3339

MARKS: dict[Outcome, tuple[str, str, str]] = {
    "passed": ("通过", "passed", "green"),
    "failed": ("不符", "failed", "red"),
    "skipped": ("跳过", "skipped", "yellow"),
}
"""Chinese, English, colour of each outcome."""


class Fact(NamedTuple):
    """Something that is known about what was checked; `key` is its name in JSON."""

    key: str
    zh: str
    en: str
    value: str


class Report(NamedTuple):
    """One run: what was checked, at which reader address, when it began, and how each case ended."""

    suite: Suite
    facts: tuple[Fact, ...]
    reader: str
    began: datetime
    results: tuple[Result, ...]

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome == outcome for result in self.results)

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    def of(self, group: str) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.case.group == group)

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.outcome == "failed")

    @property
    def missing(self) -> list[tuple[str, int]]:
        """The rights that the tester lacked and how many cases were skipped for each, the commonest first."""
        reasons = (result.reason for result in self.results if result.reason is not None)
        return Counter(reason.missing for reason in reasons if reason.is_right).most_common()

    @property
    def reasons(self) -> list[tuple[Reason, int]]:
        """Why else cases were skipped and how many for each reason, the commonest first."""
        reasons = (result.reason for result in self.results if result.reason is not None)
        return Counter(reason for reason in reasons if not reason.is_right).most_common()


def as_json(report: Report) -> dict[str, Any]:
    """The object of `--json`."""
    return {
        "cases": len(report.results),
        **{outcome: report.count(outcome) for outcome in MARKS},
        **{fact.key: fact.value for fact in report.facts},
        "reader": report.reader,
        "began": rfc3339(report.began),
        "results": [_result(result, report.suite.sheet) for result in report.results],
    }


def _result(result: Result, sheet: str) -> dict[str, Any]:
    case = result.case
    shown: dict[str, Any] = {
        "id": case.id,
        "group": case.group,
        "zh": case.zh,
        "en": case.en,
        "fact": f"{sheet} {case.fact}",
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
    }
    if result.finding is not None:
        shown["finding"] = result.finding._asdict()
    if result.reason is not None:
        shown["reason"] = result.reason._asdict()
    if result.measured:
        shown["measured"] = result.measured
    return shown


def print_report(report: Report, console: Console) -> None:
    """Groups with their counts, then every finding, then why cases were skipped, then what was measured."""
    table = Table("组 · Group", *(f"{zh} · {en}" for zh, en, _ in MARKS.values()))
    for group, (zh, en) in report.suite.groups.items():
        results = report.of(group)
        if results:
            counts = Counter(result.outcome for result in results)
            table.add_row(f"{group} {zh} · {en}", *(_count(counts[mark], MARKS[mark][2]) for mark in MARKS))
    console.print(table)
    for result in report.failed:
        console.print(
            f"[red]{result.case.id}[/red] {result.case.zh} · {result.case.en} ({report.suite.sheet} {result.case.fact})"
        )
        if result.finding is not None:
            step, expected, answered = result.finding
            console.print(f"  {step}: 应为 expected {expected}, 实为 found {answered}", highlight=False)
    if report.missing:
        rights = ", ".join(f"{right} ({count})" for right, count in report.missing)
        console.print(f"[yellow]缺少 · missing[/yellow] {rights}", highlight=False)
    for reason, count in report.reasons:
        console.print(f"[yellow]{count}[/yellow] {MARKS['skipped'][0]}：{reason.zh} · {reason.en}")
    for result in report.results:
        if result.measured:
            console.print(f"{result.case.id} {result.measured}", highlight=False)
    total = "，".join(f"{report.count(mark)} {zh}" for mark, (zh, _, _) in MARKS.items())
    console.print(f"{len(report.results)} 项：{total} · {report.count('passed')} of {len(report.results)} passed")


def _count(count: int, colour: str) -> str:
    return f"[{colour}]{count}[/{colour}]" if count else "—"
