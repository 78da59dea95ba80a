"""The live stream of the pages: one task looks at the store, every viewer is told."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.concurrency import run_in_threadpool

from server.web.answers import fragment
from server.web.pictures import Cursor, Overview, StreamLine
from server.web.stream import write_cursor

POLL_S = 0.25
"""How often the change counter is read."""
AGAIN_S = 5.0
"""The pictures contain ages, so they are drawn again after this long without a change."""
BEAT_S = 10.0
QUEUE = 64
"""Messages that wait for one viewer; older ones are dropped."""
VIEWERS = 200

Look = Callable[[tuple[Cursor, ...]], tuple[Overview, tuple[tuple[StreamLine, ...], ...]]]
"""In one view of the store: the overview, and the lines after each cursor, newest first."""


class Full(Exception):
    """As many viewers as there may be."""


class _Viewer:
    """What waits to be sent to one browser."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque(maxlen=QUEUE)
        self.woken = asyncio.Event()

    def tell(self, message: bytes) -> None:
        self.waiting.append(message)
        self.woken.set()


class Live:
    """Watches `changes`, looks when it grew, and fans out; `run` is the one task."""

    def __init__(self, look: Look, changes: Callable[[], int]) -> None:
        self._look = look
        self._changes = changes
        self._viewers: set[_Viewer] = set()
        self._turn = asyncio.Lock()
        self._cursor = Cursor()
        self._seen: tuple[int, float] = (-1, 0.0)
        self._drawn = b""
        self._closed = False

    async def run(self) -> None:
        """Until cancelled. A store that cannot be read is asked again at the next turn."""
        while True:
            await asyncio.sleep(POLL_S)
            changes = self._changes()
            if not self._viewers or (
                changes == self._seen[0] and asyncio.get_running_loop().time() - self._seen[1] < AGAIN_S
            ):
                continue
            try:
                async with self._turn:
                    await self._turned(changes)
            except Exception:  # noqa: S112 - the store is away; viewers keep what they have
                continue

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for viewer in self._viewers:
            viewer.woken.set()

    def has_room(self) -> bool:
        """Whether another viewer may come."""
        return len(self._viewers) < VIEWERS and not self._closed

    async def follow(self, after: Cursor) -> AsyncIterator[bytes]:
        """Server-sent events for one viewer, from what arrived after its cursor on."""
        viewer = _Viewer()
        async with self._turn:
            missed = await self._turned(self._changes(), after)
            self._viewers.add(viewer)
        try:
            if missed:
                yield _lines(self._cursor, missed)
            yield self._drawn
            while not self._closed:
                try:
                    async with asyncio.timeout(BEAT_S):
                        await viewer.woken.wait()
                except TimeoutError:
                    yield b"event: beat\ndata: {}\n\n"
                viewer.woken.clear()
                while viewer.waiting:
                    yield viewer.waiting.popleft()
        finally:
            self._viewers.discard(viewer)

    async def _turned(self, changes: int, *others: Cursor) -> tuple[StreamLine, ...]:
        """One look: tells the viewers what is new and gives the lines after the other cursor."""
        overview, lines = await run_in_threadpool(self._look, (self._cursor, *others))
        self._seen = (changes, asyncio.get_running_loop().time())
        self._cursor = overview.cursor
        if lines[0]:
            self._tell(_lines(overview.cursor, lines[0]))
        drawn = _overview(overview)
        if drawn != self._drawn:
            self._drawn = drawn
            self._tell(drawn)
        return lines[1] if others else ()

    def _tell(self, message: bytes) -> None:
        for viewer in self._viewers:
            viewer.tell(message)


def _lines(cursor: Cursor, lines: tuple[StreamLine, ...]) -> bytes:
    html = "".join(fragment("parts.html", "stream_line", line) for line in lines)
    data = msgspec.json.encode({"html": html, "count": len(lines)})
    return b"id: %b\nevent: lines\ndata: %b\n\n" % (write_cursor(cursor).encode(), data)


def _overview(overview: Overview) -> bytes:
    """The parts of the first page that change, by the id of their element."""
    parts = {
        "figures": fragment("parts.html", "figures", overview.figures, overview.day),
        "attention": fragment("parts.html", "attention", overview),
        "books": fragment("parts.html", "books", overview.books),
    }
    data = msgspec.json.encode({"parts": parts, "minutes": overview.minutes, "notes": overview.notes})
    return b"event: overview\ndata: %b\n\n" % data
