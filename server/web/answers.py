"""Answers to a viewer: pages from templates, JSON twins, and problems as a page or as JSON."""

from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from protocols.events.events import event_key
from protocols.texts.catalogue import texts
from server.web import labels

PROBLEMS = {
    400: "page_bad_question",
    403: "page_foreign",
    404: "page_not_found",
    405: "page_read_only",
    503: "page_store_away",
}

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "money": labels.money,
    "duration": labels.duration,
    "json": lambda value: msgspec.json.encode(value).decode().replace("<", "\\u003c"),
    "clock": lambda time: time[11:19] if len(time) > 19 else time,
    "day": lambda time: time[:10],
    "terminal": lambda event: event_key(event)[0],
}
_TEMPLATES.globals |= {"MODES": labels.MODES, "KINDS": labels.KINDS, "named": labels.named}


def render(template: str, **values: Any) -> str:
    """A template's text; unknown names are an error."""
    return _TEMPLATES.get_template(template).render(**values)


def fragment(template: str, macro: str, *values: Any) -> str:
    """What one macro of a template makes of the values."""
    return str(getattr(_TEMPLATES.get_template(template).module, macro)(*values))


def page(template: str, **values: Any) -> Response:
    """A page as HTML."""
    return HTMLResponse(render(template, **values))


def json(value: Any, status: int = 200) -> Response:
    """A picture as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def problem(path: str, status: int) -> Response:
    """A refusal, with number and words: JSON below `/api/` and `/events`, a page elsewhere."""
    text = texts()[PROBLEMS.get(status, "page_fault")]
    if path.startswith(("/api/", "/events", "/health/")):
        error = {"number": text.number, "zh": text.zh, "en": text.en}
        return json({"error": error}, status)
    return HTMLResponse(render("problem.html", text=text, status=status), status)
