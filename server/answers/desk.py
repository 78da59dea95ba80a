"""A thread that answers terminals' questions in order of arrival, beside the inbox, so that they overtake a backlog."""

import logging
import queue
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Protocol

import msgspec

from protocols.events.topics import topic
from server.inbox.frames import FrameRefused, sender
from server.inbox.relay import Question

WAITING = 1000

log = logging.getLogger(__name__)


class Reply(Protocol):
    def __call__(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None: ...


class Desk(ABC):
    """A question that finds no room, no store or a fault stays unanswered, and the terminal goes on."""

    def __init__(self, name: str, reply: Reply) -> None:
        self._reply = reply
        self._queue: queue.Queue[Question | None] = queue.Queue(WAITING)
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
        """A question has arrived; dropped where too many wait."""
        with suppress(queue.Full):
            self._queue.put_nowait(question)

    def _run(self) -> None:
        while (question := self._queue.get()) is not None:
            try:
                self._answer(question)
            except Exception as error:  # one question must not end the thread
                log.error("no answer (%s)", type(error).__name__)

    def _answer(self, question: Question) -> None:
        try:
            terminal = sender(question.topic)
        except FrameRefused:
            return
        found = self.answer(terminal, question.payload)
        if found is not None:
            self._reply(topic(terminal, "answer"), msgspec.json.encode(found), question.correlation)
