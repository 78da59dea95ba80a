"""`/enrol`: an enrolment record for a one-time code and a public key, on its own listener (design 3.3)."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocols.events.frames import EnrolmentRequest
from protocols.texts.catalogue import texts
from server.errors import UNREADABLE, EnrolmentRefused
from server.store.store import Store, millis
from server.terminals.registry import Enrolment, enrol

MAX_BODY = 4096
MAX_FAILURES = 10
WINDOW_MS = 60_000
MAX_ADDRESSES = 1024
_STATUS = {"enrol_malformed": 400, "enrol_too_many": 429}


class Failures:
    """Failed attempts per address within a minute; bounded, the longest silent address is forgotten first."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[int]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, address: str, now_ms: int) -> None:
        """`EnrolmentRefused` where too many attempts of this address failed."""
        with self._lock:
            times = self._times.get(address, deque())
            while times and times[0] <= now_ms - WINDOW_MS:
                times.popleft()
            if len(times) >= MAX_FAILURES:
                raise EnrolmentRefused("enrol_too_many")

    def add(self, address: str, now_ms: int) -> None:
        """An attempt failed."""
        with self._lock:
            self._times.setdefault(address, deque()).append(now_ms)
            self._times.move_to_end(address)
            while len(self._times) > MAX_ADDRESSES:
                self._times.popitem(last=False)


class EnrolmentDesk:
    """Takes requests; `enrolled` is called after each new record, before its answer leaves."""

    def __init__(
        self, store: Store, facts: Enrolment, *, now: Callable[[], datetime], enrolled: Callable[[], None]
    ) -> None:
        self._store = store
        self._facts = facts
        self._now = now
        self._enrolled = enrolled
        self._failures = Failures()

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(routes=[Route("/enrol", self._post, methods=["POST"])])

    async def _post(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return _refusal(EnrolmentRefused("enrol_malformed"))
        address = request.client.host if request.client else ""
        try:
            record = await run_in_threadpool(self._enrol, address, body)
        except EnrolmentRefused as refused:
            return _refusal(refused)
        return Response(record, media_type="application/json")

    def _enrol(self, address: str, body: bytes) -> bytes:
        now_ms = millis(self._now())
        self._failures.check(address, now_ms)
        try:
            request = msgspec.json.decode(body, type=EnrolmentRequest)
            with self._store.write() as connection:
                record = enrol(connection, request, self._facts, now_ms)
        except UNREADABLE as error:
            self._failures.add(address, now_ms)
            raise EnrolmentRefused("enrol_malformed") from error
        except EnrolmentRefused:
            self._failures.add(address, now_ms)
            raise
        self._enrolled()
        return record


def _refusal(refused: EnrolmentRefused) -> Response:
    text = texts()[refused.key]
    body = {"error": {"number": text.number, "zh": text.zh, "en": text.en}}
    return Response(msgspec.json.encode(body), status_code=_STATUS.get(refused.key, 403), media_type="application/json")
