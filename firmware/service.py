"""What the reader tells a technician about itself (`protocols.ccid.service`)."""

from firmware.board import Board
from firmware.files import FileSystem, fact_of, firmware_files
from firmware.slot_error import SlotError
from firmware.ticks import elapsed_ms, ticks_ms
from firmware.version import VERSION
from protocols.ccid.messages import (
    ERROR_BAD_LENGTH,
    ERROR_BAD_SLOT,
    ERROR_NOT_SUPPORTED,
    ESCAPE,
    ESCAPE_SERVICE,
    ICC_ABSENT,
    MAX_DATA,
    XFR_BLOCK,
    Answer,
    Command,
)
from protocols.ccid.service import (
    CARD_IN,
    CARD_OUT,
    COMMAND_REFUSED,
    COUNTERS,
    EVENT_SIZE,
    EVENTS,
    FILE,
    HELLO,
    MAX_ERRORS,
    NO_FILE_SLOT,
    PROTOCOL_VERSION,
    STARTED,
    Counters,
    Event,
    Hello,
    digest_of,
)

KEPT_EVENTS = 64


class Uptime:
    """Milliseconds since it was made; asked at least once a day, as MicroPython's ticks wrap."""

    def __init__(self) -> None:
        self._seen = ticks_ms()
        self._passed = 0

    def now_ms(self) -> int:
        passed = elapsed_ms(self._seen)
        self._seen = ticks_ms()
        self._passed += passed
        return self._passed


class EventLog:
    """The newest `KEPT_EVENTS` events; no data of any command."""

    def __init__(self, uptime: Uptime) -> None:
        self._uptime = uptime
        self._events: "list[Event]" = []
        self._number = 0

    def add(self, kind: int, slot: int = 0, command: int = 0, error: int = 0) -> None:
        self._events.append(Event(self._number, self._uptime.now_ms(), kind, slot, command, error))
        self._number += 1
        if len(self._events) > KEPT_EVENTS:
            self._events.pop(0)

    def since(self, number: int, count: int) -> "list[Event]":
        return [event for event in self._events if event.number >= number][:count]


class Service:
    """Answers the escapes, and notes what the other commands came to."""

    def __init__(self, board: Board, files: FileSystem, base: str) -> None:
        """`base` is the folder that the firmware runs from, with a slash at its end or empty."""
        self._board, self._files, self._base = board, files, base
        self._uptime = Uptime()
        self._log = EventLog(self._uptime)
        self._paths: "list[str] | None" = None
        self._digest = b""
        count = len(board.contact_lines)
        self._present = [False] * count
        self._exchanges = [0] * count
        self._errors: "list[dict[int, int]]" = [{} for _ in range(count)]
        self._log.add(STARTED)

    def note(self, command: Command, answer: Answer) -> None:
        """Every command and its answer."""
        slot = command.slot
        self._uptime.now_ms()
        if slot >= len(self._present):
            return
        present = answer.icc != ICC_ABSENT
        if present != self._present[slot]:
            self._present[slot] = present
            self._log.add(CARD_IN if present else CARD_OUT, slot)
        if command.kind == XFR_BLOCK:
            self._exchanges[slot] += 1
        if answer.failed and command.kind != ESCAPE:
            errors = self._errors[slot]
            errors[answer.error] = errors.get(answer.error, 0) + 1
            self._log.add(COMMAND_REFUSED, slot, command.kind, answer.error)

    def escape(self, data: bytes) -> bytes:
        """The answer to an Escape that begins with `ESCAPE_SERVICE`; `SlotError`."""
        start = len(ESCAPE_SERVICE)
        function, arguments = data[start : start + 1], data[start + 1 :]
        if function == bytes([HELLO]):
            return self._hello().to_bytes()
        if function == bytes([FILE]):
            return self._file(_number(arguments, 2))
        if function == bytes([COUNTERS]):
            return self._counters(_number(arguments, 1)).to_bytes()
        if function == bytes([EVENTS]):
            found = self._log.since(_number(arguments, 4), MAX_DATA // EVENT_SIZE)
            return b"".join([event.to_bytes() for event in found])
        raise SlotError(ERROR_NOT_SUPPORTED)

    def _hello(self) -> Hello:
        return Hello(
            PROTOCOL_VERSION,
            len(self._present),
            False,
            0,
            1,
            self._uptime.now_ms(),
            self._file_digest(),
            VERSION,
            self._board.name,
            NO_FILE_SLOT,
            "power",
        )

    def _file_paths(self) -> "list[str]":
        if self._paths is None:
            self._paths = firmware_files(self._files, self._base)
        return self._paths

    def _file_digest(self) -> bytes:
        """Of the files as they are at the first question."""
        if not self._digest:
            self._digest = digest_of([fact_of(self._files, self._base, path) for path in self._file_paths()])
        return self._digest

    def _file(self, index: int) -> bytes:
        paths = self._file_paths()
        return fact_of(self._files, self._base, paths[index]).to_bytes() if index < len(paths) else b""

    def _counters(self, slot: int) -> Counters:
        if slot >= len(self._present):
            raise SlotError(ERROR_BAD_SLOT)
        counted = getattr(self._board.contact_lines[slot], "counters", None)
        characters = (
            (0, 0, 0, 0) if counted is None else (counted.received, counted.sent, counted.refused, counted.resent)
        )
        received, sent, refused, resent = characters
        errors = tuple(sorted(self._errors[slot].items())[:MAX_ERRORS])
        return Counters(self._exchanges[slot], received, sent, refused, resent, counted is not None, errors)


def _number(arguments: bytes, size: int) -> int:
    if len(arguments) != size:
        raise SlotError(ERROR_BAD_LENGTH)
    return int.from_bytes(arguments, "little")
