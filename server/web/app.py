"""The operator pages: read-only HTML, its JSON twins and the live stream, over one store."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from protocols.events.clock import Clock, business_day
from protocols.events.events import event_key
from protocols.events.topics import is_terminal_id
from protocols.style.style import STYLE
from server.store.store import Store
from server.store.tables import lease
from server.web import answers
from server.web.event_page import event_page
from server.web.guard import Guard
from server.web.lists import alarm_page, differences, quarantine, settlements
from server.web.live import Live
from server.web.overview import Balance, overview
from server.web.pictures import Cursor, Overview, StreamLine, TerminalPage
from server.web.stream import read_cursor, stream_lines
from server.web.terminals import terminal_rows

STATIC = Path(__file__).parent / "static"
MAX_NUMBER = 2**53
YEARS = range(2000, 3000)
TABS = ("overview", "terminals", "settlements", "differences", "quarantine", "alarms")

_NUMBER = re.compile(r"[1-9]\d{0,15}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Picture = Callable[[Connection, Request], Any]
"""What a page shows for a request; none where there is no such thing."""


class BadQuestion(Exception):
    """A day, terminal, number or event in an address that is none."""


class PublicFiles(StaticFiles):
    """Style sheets and scripts of a folder, nothing else of it."""

    def lookup_path(self, path: str) -> Any:
        return super().lookup_path(path) if path.endswith((".css", ".js", ".svg")) else ("", None)


class Pages:
    """Handlers over one store. `connected` says whether the centre has its broker."""

    def __init__(self, store: Store, clock: Clock, connected: Callable[[], bool]) -> None:
        self._store = store
        self._clock = clock
        self._connected = connected
        self._balance = Balance()
        self.live = Live(self._look, lambda: store.commits)

    def overview(self, connection: Connection, _: Request) -> Overview:
        return self._overview(connection)

    def terminals(self, connection: Connection, _: Request) -> Any:
        return terminal_rows(connection, self._clock.wall())

    def terminal(self, connection: Connection, request: Request) -> TerminalPage | None:
        terminal = _terminal(request.path_params["terminal"])
        rows = terminal_rows(connection, self._clock.wall(), only=terminal)
        if not rows:
            return None
        lines = stream_lines(connection, terminal=terminal)
        return TerminalPage(rows[0], lines, alarm_page(connection, terminal=terminal).alarms)

    def settlements(self, connection: Connection, request: Request) -> Any:
        query = request.query_params
        day = _day(query["day"]) if "day" in query else business_day(self._clock.wall())
        before = _number(query["before"]) if "before" in query else None
        return settlements(connection, day, terminal=_asked_terminal(request), before=before)

    def differences(self, connection: Connection, _: Request) -> Any:
        return differences(connection)

    def quarantine(self, connection: Connection, request: Request) -> Any:
        return quarantine(connection, terminal=_asked_terminal(request))

    def alarms(self, connection: Connection, request: Request) -> Any:
        return alarm_page(connection, terminal=_asked_terminal(request))

    def event(self, connection: Connection, request: Request) -> Any:
        return event_page(connection, *_event(request.path_params["event"]))

    def html(self, template: str, picture: Picture) -> Callable[[Request], Any]:
        """A handler that draws a picture as a page."""

        def draw(request: Request) -> Response:
            found = self._picture(picture, request)
            return answers.page(
                template,
                picture=found,
                tab=template.removesuffix(".html"),
                now=self._clock.wall().isoformat(),
            )

        return draw

    def json(self, picture: Picture) -> Callable[[Request], Response]:
        """A handler that gives a picture as JSON."""
        return lambda request: answers.json(self._picture(picture, request))

    async def events(self, request: Request) -> Response:
        """Server-sent events after the cursor the viewer has."""
        asked = (
            request.headers.get("last-event-id")
            or request.query_params.get("last_event_id")
            or request.query_params.get("after")
        )
        try:
            after = read_cursor(asked) if asked else Cursor(MAX_NUMBER, MAX_NUMBER, MAX_NUMBER)
        except ValueError:
            raise BadQuestion from None
        if not self.live.has_room():
            raise HTTPException(503)
        return StreamingResponse(self.live.follow(after), media_type="text/event-stream")

    async def alive(self, _: Request) -> Response:
        """The loop turns."""
        return answers.json({"live": True})

    async def ready(self, _: Request) -> Response:
        """200 while the store can be read, takes what arrives, and the broker is there."""
        store = await run_in_threadpool(self._works)
        broker = self._connected()
        return answers.json({"store": store, "broker": broker}, 200 if store and broker else 503)

    def _overview(self, connection: Connection) -> Overview:
        now, writing = self._clock.wall(), not self._store.failing
        return overview(connection, now, self._balance, listening=self._connected(), writing=writing)

    def _works(self) -> bool:
        try:
            with self._store.read() as connection:
                connection.execute(select(lease.c.number)).first()
        except SQLAlchemyError:
            return False
        return not self._store.failing

    def _picture(self, picture: Picture, request: Request) -> Any:
        with self._store.read() as connection:
            found = picture(connection, request)
        if found is None:
            raise HTTPException(404)
        return found

    def _look(self, cursors: tuple[Cursor, ...]) -> tuple[Overview, tuple[tuple[StreamLine, ...], ...]]:
        with self._store.read() as connection:
            now = self._overview(connection)
            return now, tuple(stream_lines(connection, after=cursor) for cursor in cursors)


def create_app(store: Store, clock: Clock, *, connected: Callable[[], bool]) -> Starlette:
    """The application; `app.state.live.close()` ends its streams before the listener waits for them."""
    pages = Pages(store, clock, connected)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(pages.live.run())
        yield
        pages.live.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    pictures: dict[str, Picture] = {name: getattr(pages, name) for name in TABS}
    app = Starlette(
        routes=[
            Route("/", pages.html("overview.html", pages.overview)),
            *(Route(f"/{name}", pages.html(f"{name}.html", pictures[name])) for name in TABS[1:]),
            Route("/terminals/{terminal}", pages.html("terminal.html", pages.terminal)),
            Route("/event/{event:path}", pages.html("event.html", pages.event)),
            *(Route(f"/api/1/{name}", pages.json(picture)) for name, picture in pictures.items()),
            Route("/api/1/terminals/{terminal}", pages.json(pages.terminal)),
            Route("/api/1/event/{event:path}", pages.json(pages.event)),
            Route("/events", pages.events),
            Route("/health/live", pages.alive),
            Route("/health/ready", pages.ready),
            Mount("/style", PublicFiles(directory=STYLE)),
            Mount("/static", PublicFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={
            BadQuestion: _bad,
            HTTPException: _refuse,
            SQLAlchemyError: _away,
            Exception: _fault,
        },
        lifespan=lifespan,
    )
    app.state.live = pages.live
    return app


def _terminal(text: str) -> str:
    if not is_terminal_id(text):
        raise BadQuestion
    return text


def _asked_terminal(request: Request) -> str | None:
    text = request.query_params.get("terminal")
    return None if text is None else _terminal(text)


def _day(text: str) -> str:
    try:
        known = _DAY.fullmatch(text) is not None and date.fromisoformat(text).year in YEARS
    except ValueError:
        known = False
    if not known:
        raise BadQuestion
    return text


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise BadQuestion
    return int(text)


def _event(text: str) -> tuple[str, int, int]:
    try:
        terminal, epoch, seq = event_key(text)
    except ValueError:
        raise BadQuestion from None
    if not is_terminal_id(terminal) or max(epoch, seq) > MAX_NUMBER:
        raise BadQuestion
    return terminal, epoch, seq


async def _bad(request: Request, _: Exception) -> Response:
    return answers.problem(request.url.path, 400)


async def _refuse(request: Request, error: Exception) -> Response:
    return answers.problem(request.url.path, error.status_code if isinstance(error, HTTPException) else 500)


async def _away(request: Request, _: Exception) -> Response:
    return answers.problem(request.url.path, 503)


async def _fault(request: Request, _: Exception) -> Response:
    return answers.problem(request.url.path, 500)
