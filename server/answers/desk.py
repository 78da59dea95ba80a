"""A thread that answers terminals' questions in order of arrival, beside the inbox, so that they overtake a backlog."""

import logging
import queue
import threading
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from typing import Protocol

import msgspec

from protocols.events.topics import topic
from server.inbox.frames import FrameRefused, sender
from server.inbox.relay import Question

WAITING = 1000
PLACES = 20
"""Questions of one terminal that wait."""
MOST_BYTES = 8 * 1024
"""Of a question; the longest step has less than one."""

log = logging.getLogger(__name__)


class Reply(Protocol):
    def __call__(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None: ...


class Desk(ABC):
    """A question that is too long, finds no room, no store or a fault stays unanswered, and the terminal goes on."""

    def __init__(self, name: str, reply: Reply) -> None:
        self._reply = reply
        self._queue: queue.Queue[tuple[str, Question] | None] = queue.Queue(WAITING)
        self._places: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def answer(self, terminal: str, payload: bytes) -> msgspec.Struct | None:
        """What to say to the terminal that asks; None: nothing, it is not one of ours."""

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End after the questions that wait."""
        self._queue.put(None)
        self._thread.join()

    def ask(self, question: Question) -> None:
        """A question has arrived; dropped where too many wait, of all or of its terminal, or where it is too long."""
        if len(question.payload) > MOST_BYTES:
            return
        with suppress(FrameRefused, queue.Full), self._lock:
            terminal = sender(question.topic)
            if self._places[terminal] < PLACES:
                self._queue.put_nowait((terminal, question))
                self._places[terminal] += 1

    def _run(self) -> None:
        while (waiting := self._queue.get()) is not None:
            terminal, question = waiting
            with self._lock:
                self._places -= Counter((terminal,))
            try:
                self._answer(terminal, question)
            except Exception as error:  # one question must not end the thread
                log.error("no answer (%s)", type(error).__name__)

    def _answer(self, terminal: str, question: Question) -> None:
        found = self.answer(terminal, question.payload)
        if found is not None:
            self._reply(topic(terminal, "answer"), msgspec.json.encode(found), question.correlation)
