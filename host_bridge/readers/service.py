"""What our firmware tells a technician, over the serial line or through PC/SC (`protocols.ccid.service`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from host_bridge.readers.addresses import PCSC, SERIAL, AddressError
from host_bridge.readers.pcsc_service import PcscService
from host_bridge.readers.reader import ReaderError
from host_bridge.readers.serial_link import SerialLink
from protocols.ccid.messages import ESCAPE
from protocols.ccid.service import (
    COUNTERS,
    EVENTS,
    FILE,
    HELLO,
    PROTOCOL_VERSION,
    TRACE_READ,
    TRACE_START,
    TRACE_STOP,
    Counters,
    Event,
    FileFact,
    Hello,
    ServiceError,
    events_from_bytes,
    request,
)
from protocols.ccid.trace import TraceEntry, entries_from_bytes


class NotOurs(ReaderError):
    """The reader runs other firmware, its driver allows no escapes, or it speaks another version of the service."""

    key = "reader_not_ours"


class ServiceRefused(ReaderError):
    """The firmware does not do it; `error` is the bError."""

    key = "reader_refuses"

    def __init__(self, error: int) -> None:
        self.error = error
        super().__init__(f"refused with {error:02X}")

    @property
    def facts(self) -> dict[str, str]:
        return {"error": f"{self.error:02X}"}


class Escapes(Protocol):
    """The way of an Escape to the reader. Every call may raise `ReaderError`."""

    def escape(self, data: bytes) -> bytes:
        """The data of its answer; `ServiceRefused`, `NotOurs`."""
        ...

    def close(self) -> None: ...


class SerialEscapes:
    """Over `serial:PATH`; the port is ours until `close`."""

    def __init__(self, link: SerialLink) -> None:
        self._link = link

    def escape(self, data: bytes) -> bytes:
        with self._link.busy:
            self._link.open()
            if not self._link.is_ours:
                raise NotOurs(self._link.path)
            answer = self._link.ask(ESCAPE, data)
        if answer.failed:
            raise ServiceRefused(answer.error)
        return answer.data

    def close(self) -> None:
        self._link.close()


class PcscEscapes:
    """Through pcscd, where its driver hands escapes on (`reader.md A.6`, driver option bit 0)."""

    def __init__(self, service: PcscService, name: str) -> None:
        self._service, self._name = service, name

    def escape(self, data: bytes) -> bytes:
        answer = self._service.escape(self._name, data)
        if answer is None:
            raise NotOurs(self._name)
        return answer

    def close(self) -> None:
        self._service.close()


class ReaderInfo(NamedTuple):
    """All that the firmware tells of itself; `counters` one per CCID slot."""

    hello: Hello
    files: tuple[FileFact, ...]
    counters: tuple[Counters, ...]


class ReaderService:
    """Asks our firmware. Every call may raise `ReaderError`, `NotOurs` among them."""

    def __init__(self, escapes: Escapes) -> None:
        self._escapes = escapes

    def close(self) -> None:
        self._escapes.close()

    def hello(self) -> Hello:
        with _understood():
            hello = Hello.from_bytes(self.ask(HELLO))
        if hello.protocol != PROTOCOL_VERSION:
            raise NotOurs(f"service protocol {hello.protocol}")
        return hello

    def info(self) -> ReaderInfo:
        hello = self.hello()
        return ReaderInfo(hello, tuple(self._files()), tuple(self._counters(hello.slots)))

    def events(self) -> list[Event]:
        """Those the reader still has, oldest first."""
        found: list[Event] = []
        with _understood():
            while True:
                number = found[-1].number + 1 if found else 0
                more = events_from_bytes(self.ask(EVENTS, number.to_bytes(4, "little")))
                if not more or more[0].number < number:
                    return found
                found += more

    def start_trace(self, seconds: int) -> None:
        """Of the contact lines, for at most so long; what was kept before is gone."""
        self.ask(TRACE_START, seconds.to_bytes(2, "little"))

    def stop_trace(self) -> None:
        self.ask(TRACE_STOP)

    def trace(self) -> tuple[int, list[TraceEntry]]:
        """How many entries are lost, and those the reader still has, oldest first."""
        first: int | None = None
        found: list[TraceEntry] = []
        with _understood():
            while True:
                wanted = 0 if first is None else first + len(found)
                number, more = entries_from_bytes(self.ask(TRACE_READ, wanted.to_bytes(4, "little")))
                if first is None or number != wanted:
                    first, found = number, []
                if not more:
                    return first, found
                found += more

    def ask(self, function: int, arguments: bytes = b"") -> bytes:
        """The answer to one request; `ServiceRefused`."""
        return self._escapes.escape(request(function, arguments))

    def _files(self) -> Iterator[FileFact]:
        with _understood():
            for index in range(0x10000):
                answer = self.ask(FILE, index.to_bytes(2, "little"))
                if not answer:
                    return
                yield FileFact.from_bytes(answer)

    def _counters(self, slots: int) -> Iterator[Counters]:
        with _understood():
            for slot in range(slots):
                yield Counters.from_bytes(self.ask(COUNTERS, bytes([slot])))


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except ServiceError as error:
        raise NotOurs(str(error)) from None


def open_service(address: str) -> ReaderService:
    """At `serial:PATH` or `pcsc:NAME`; nothing is asked yet. `AddressError`, `ReaderUnavailable` without pyscard."""
    scheme, _, rest = address.partition(":")
    if scheme == SERIAL and rest:
        return ReaderService(SerialEscapes(SerialLink(rest.partition("#")[0])))
    if scheme == PCSC and rest:
        return ReaderService(PcscEscapes(PcscService(), rest))
    raise AddressError(f"{address!r} has no firmware of ours: serial:PATH or pcsc:NAME")
