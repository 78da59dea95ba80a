"""The clerk page and the counter's JSON API; it keeps no state of its own."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from host_bridge.counter.view import CounterView, ItemView, PastView
from host_bridge.counter.visit import NotNow
from host_bridge.web.bodies import (
    BillBody,
    CatalogueLine,
    EmptyBody,
    EventBody,
    ReasonBody,
    SettleBody,
    bill_lines,
    read_as,
    read_pins,
    wipe,
)
from host_bridge.web.errors import ApiError, error_response, json_response
from host_bridge.web.guard import Guard
from host_bridge.web.stream import Stream
from protocols.settlement.bill import FeeLine
from protocols.settlement.codes import code_tables
from protocols.settlement.split import BillError
from protocols.style.style import STYLE

HERE = Path(__file__).parent
SEARCH_LIMIT = 100
STATE_NUMBER = "State-Number"
"""Header of an action's answer, in step with the event ids: which of two pictures is the later one."""
COUNTER_MED_TYPES = ("11", "12", "13", "14", "41")
"""Kinds of care that a counter enters (settlement.md B.6); inpatients are settled elsewhere."""

Handler = Callable[[Request], Awaitable[Response]]
Result = TypeVar("Result")


class Counter(Protocol):
    """What the page asks of the counter. Calls may block; each may raise `NotNow` or `BillError`."""

    def view(self) -> CounterView: ...
    def subscribe(self, callback: Callable[[CounterView], None]) -> object: ...
    def enter_pin(self, digits: bytearray, *, tries: int | None = None) -> object: ...
    def ask_pad(self) -> object: ...
    def begin_change(self) -> object: ...
    def change_pin(self, old: bytearray, new: bytearray, repeat: bytearray, *, tries: int | None = None) -> object: ...
    def keep_pin(self) -> object: ...
    def enter_bill(self, med_type: str, lines: Sequence[CatalogueLine | FeeLine]) -> object: ...
    def settle(self, quote_id: str | None = None) -> object: ...
    def full_cash(self, reason_key: str) -> object: ...
    def refund(self, event_id: str) -> object: ...
    def reprint(self, event_id: str) -> object: ...
    def print_guide(self) -> object: ...
    def cancel(self) -> object: ...
    def finish(self) -> object: ...
    def search(self, text: str) -> Sequence[ItemView]: ...
    def past(self) -> Sequence[PastView]: ...


class PublicFiles(StaticFiles):
    """Style sheets and scripts of a folder, nothing else of it."""

    def lookup_path(self, path: str) -> Any:
        return super().lookup_path(path) if path.endswith((".css", ".js", ".svg")) else ("", None)


class ClerkApi:
    """Handlers over one counter."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._stream = Stream(counter.view)
        counter.subscribe(self._stream.change)
        templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)
        self._page = templates.get_template("clerk.html")

    async def page(self, _: Request) -> Response:
        """The shell; the script draws the state into it."""
        view = self._counter.view()
        return HTMLResponse(self._page.render(terminal=view.terminal, data=_page_data()))

    async def health(self, _: Request) -> Response:
        """200 while the counter can settle, 503 once it has stopped."""
        view = self._counter.view()
        parts = {"reader": view.reader.state, "centre": view.centre.state, "printer": view.printer.state}
        return json_response({"stage": view.stage, **parts}, 503 if view.stage == "stopped" else 200)

    async def state(self, _: Request) -> Response:
        return json_response(self._counter.view())

    async def events(self, _: Request) -> Response:
        return StreamingResponse(self._stream.events(), media_type="text/event-stream")

    def pins(self, call: str, action: Callable[..., object]) -> Handler:
        """A handler of an action that takes PINs."""

        async def handle(request: Request) -> Response:
            pins, tries = await read_pins(request, call)
            try:
                return await self._done(partial(action, tries=tries), *pins)
            finally:
                for digits in pins:
                    wipe(digits)

        return handle

    async def bill(self, request: Request) -> Response:
        body = await read_as(request, BillBody)
        return await self._done(self._counter.enter_bill, body.med_type, bill_lines(body))

    async def settle(self, request: Request) -> Response:
        return await self._done(self._counter.settle, (await read_as(request, SettleBody)).quote)

    async def full_cash(self, request: Request) -> Response:
        return await self._done(self._counter.full_cash, (await read_as(request, ReasonBody)).reason)

    async def refund(self, request: Request) -> Response:
        return await self._done(self._counter.refund, (await read_as(request, EventBody)).event_id)

    async def reprint(self, request: Request) -> Response:
        return await self._done(self._counter.reprint, (await read_as(request, EventBody)).event_id)

    def plain(self, action: Callable[[], object]) -> Handler:
        """A handler of an action that takes nothing."""

        async def handle(request: Request) -> Response:
            await read_as(request, EmptyBody)
            return await self._done(action)

        return handle

    async def items(self, request: Request) -> Response:
        text = request.query_params.get("q", "")
        if len(text) > SEARCH_LIMIT:
            raise ApiError("web_too_large", 413)
        return json_response(await self._ask(self._counter.search, text))

    async def past(self, _: Request) -> Response:
        return json_response(await self._ask(self._counter.past))

    async def _done(self, action: Callable[..., object], *values: object) -> Response:
        await self._ask(action, *values)
        number = self._stream.number
        answer = json_response(await self._ask(self._counter.view))
        answer.headers[STATE_NUMBER] = str(number)
        return answer

    async def _ask(self, action: Callable[..., Result], *values: object) -> Result:
        try:
            return await run_in_threadpool(action, *values)
        except NotNow as error:
            raise ApiError(error.key, 409, action=error.action, stage=error.stage, **error.facts) from None
        except BillError as error:
            raise ApiError(error.code, 422, line=error.line, field=error.field) from None


def _page_data() -> str:
    """Tables the script draws with, as JSON that may stand inside an element."""
    kinds = {code: code_tables()["med_type"][code] for code in COUNTER_MED_TYPES}
    return msgspec.json.encode({"med_type": kinds}).decode().replace("<", "\\u003c")


def create_app(counter: Counter) -> Starlette:
    """The application over one running counter."""
    api = ClerkApi(counter)
    actions: dict[str, Handler] = {
        "pin": api.pins("pin", counter.enter_pin),
        "ask_pad": api.plain(counter.ask_pad),
        "begin_change": api.plain(counter.begin_change),
        "change_pin": api.pins("change_pin", counter.change_pin),
        "keep_pin": api.plain(counter.keep_pin),
        "bill": api.bill,
        "settle": api.settle,
        "full_cash": api.full_cash,
        "refund": api.refund,
        "reprint": api.reprint,
        "print_guide": api.plain(counter.print_guide),
        "cancel": api.plain(counter.cancel),
        "finish": api.plain(counter.finish),
    }
    reads: dict[str, Handler] = {"state": api.state, "events": api.events, "items": api.items, "past": api.past}
    return Starlette(
        routes=[
            Route("/", api.page),
            Route("/health", api.health),
            *(Route(f"/api/1/{name}", handler, methods=["GET"]) for name, handler in reads.items()),
            *(Route(f"/api/1/{name}", handler, methods=["POST"]) for name, handler in actions.items()),
            Mount("/style", PublicFiles(directory=STYLE)),
            Mount("/static", PublicFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={ApiError: _refuse, HTTPException: _http_error, Exception: _fault},
    )


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this type only
    return error_response(error)


async def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return error_response(ApiError("web_not_found", status))


async def _fault(_: Request, __: Exception) -> Response:
    return error_response(ApiError("web_fault", 500))
