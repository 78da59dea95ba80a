"""The stream of states: every viewer gets the newest picture, however slow it reads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.concurrency import run_in_threadpool

from host_bridge.counter.view import CounterView

BEAT_S = 10.0
"""Seconds of silence after which an event `beat` is sent."""


class Viewer:
    """One open stream. What waits for it is one mark "changed": the picture is taken when it is sent."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def change(self) -> None:
        """The counter changed; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # the loop closed while the stream was being left
            return

    async def wait(self) -> bool:
        """Whether the counter changed before the next beat is due."""
        try:
            async with asyncio.timeout(BEAT_S):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True


class Stream:
    """Numbers the changes of one counter and tells its viewers."""

    def __init__(self, view: Callable[[], CounterView]) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._number = 0
        self._viewers: set[Viewer] = set()

    @property
    def number(self) -> int:
        """How often the counter has changed; a picture taken afterwards includes at least these changes."""
        return self._number

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return len(self._viewers)

    def change(self, *_: object) -> None:
        """The counter changed; from any thread, never blocks."""
        with self._lock:
            self._number += 1
            viewers = tuple(self._viewers)
        for viewer in viewers:
            viewer.change()

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events: the picture now, then one at each change; `id` counts the changes it includes."""
        viewer = Viewer()
        with self._lock:
            self._viewers.add(viewer)
        try:
            yield await self._state()
            while True:
                yield await self._state() if await viewer.wait() else b"event: beat\ndata: {}\n\n"
        finally:
            with self._lock:
                self._viewers.discard(viewer)

    async def _state(self) -> bytes:
        number = self._number
        view = await run_in_threadpool(self._view)
        return b"id: %d\nevent: state\ndata: %b\n\n" % (number, msgspec.json.encode(view))
