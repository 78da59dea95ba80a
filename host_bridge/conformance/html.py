"""A report as one HTML file in the house's style, with nothing beside it."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from host_bridge.conformance.report import MARKS, Report
from protocols.style.style import STYLE

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TONES = {"passed": "teal", "failed": "red", "skipped": "amber"}


def as_html(report: Report) -> str:
    styles = [(STYLE / name).read_text("utf-8") for name in ("tokens.css", "base.css")]
    return _TEMPLATES.get_template("report.html").render(
        report=report,
        styles=styles,
        groups=[(group, *names, report.of(group)) for group, names in report.suite.groups.items() if report.of(group)],
        marks=MARKS,
        tones=TONES,
    )
