"""Threads that look at something again and again until they are told to stop."""

import logging
from collections.abc import Callable
from threading import Event, Thread

_LOG = logging.getLogger(__name__)


class Watches:
    """An error in a look is logged by its type only, for a traceback could show a person; the next look comes."""

    def __init__(self) -> None:
        self._stopping = Event()
        self._wakers: list[Event] = []
        self._threads: list[Thread] = []

    def start(self, look: Callable[[], None], every_s: float, woken: Event | None = None) -> None:
        """Look at once, then after `every_s` seconds or when `woken` is set, from a thread of its own."""
        waker = woken or Event()
        self._wakers.append(waker)
        thread = Thread(target=self._run, args=(look, every_s, waker), daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, every_s: float, meanwhile: Callable[[], None]) -> None:
        """Wait for every thread to end; `meanwhile` is called until they have."""
        self._stopping.set()
        for waker in self._wakers:
            waker.set()
        for thread in self._threads:
            while thread.is_alive():
                meanwhile()
                thread.join(every_s)

    def _run(self, look: Callable[[], None], every_s: float, woken: Event) -> None:
        while not self._stopping.is_set():
            try:
                look()
            except Exception as error:
                _LOG.error("counter: %s", type(error).__name__)
            woken.wait(every_s)
            woken.clear()
