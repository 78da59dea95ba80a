"""What the reader tells a technician about itself (`protocols.ccid.service`)."""

from firmware.board import Board
from firmware.files import FileSystem, fact_of, firmware_files
from firmware.slot_error import SlotError
from firmware.ticks import elapsed_ms, ticks_ms
from firmware.trace import Trace
from firmware.update import Update
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
from protocols.ccid.parameters import T1
from protocols.ccid.service import (
    CARD_IN,
    CARD_OUT,
    COMMAND_REFUSED,
    COUNTERS,
    ERROR_INCOMPLETE,
    ERROR_NO_ROOM,
    EVENT_SIZE,
    EVENTS,
    FILE,
    HELLO,
    LENGTH_SIZE,
    MAX_ERRORS,
    PROTOCOL_VERSION,
    RESTART,
    STARTED,
    TRACE_READ,
    TRACE_START,
    TRACE_STOP,
    UPDATE_BEGIN,
    UPDATE_CHECK,
    UPDATE_CONFIRM,
    UPDATE_FINISH,
    UPDATE_WRITE,
    Counters,
    Event,
    Hello,
    digest_of,
)
from protocols.ccid.trace import MAX_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.slot import Slot

KEPT_EVENTS = 64
TRIAL_MS = 300000  # how long one start of a trial waits to be confirmed
HASH_SIZE = 32


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

    def __init__(
        self, board: Board, files: FileSystem, base: str, root: "str | None" = None, uptime: "Uptime | None" = None
    ) -> None:
        """`base` is the folder that the firmware runs from, `root` that of the file slots, None where there are none.

        Both have a slash at their end or are empty.
        """
        self._board, self._files, self._base = board, files, base
        self._update = Update(files, root, board.name)
        self._trace = Trace(board.contact_lines)
        self._restarts = False
        self._uptime = uptime or Uptime()
        self._log = EventLog(self._uptime)
        self._paths: "list[str] | None" = None
        self._digest = b""
        count = len(board.contact_lines)
        self._present = [False] * count
        self._exchanges = [0] * count
        self._errors: "list[dict[int, int]]" = [{} for _ in range(count)]
        self._slots: "tuple[Slot, ...]" = ()
        self._log.add(STARTED)

    def attend(self, slots: "tuple[Slot, ...]") -> None:
        """Those whose restarts are told; before any escape."""
        self._slots = slots

    @property
    def restarts(self) -> bool:
        """The firmware is to end, to be started anew: by request, or as nobody has confirmed its trial in time."""
        if self._update.on_trial and not self._restarts and self._uptime.now_ms() > TRIAL_MS:
            self._restart(self._update.state.starts)
        return self._restarts

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
        try:
            return self._do(data)
        except (OSError, MemoryError):
            raise SlotError(ERROR_NO_ROOM)  # noqa: B904 - MicroPython does not chain

    def _do(self, data: bytes) -> bytes:
        if len(data) <= len(ESCAPE_SERVICE):
            raise SlotError(ERROR_BAD_LENGTH)
        function, arguments = data[len(ESCAPE_SERVICE)], data[len(ESCAPE_SERVICE) + 1 :]
        if UPDATE_BEGIN <= function <= UPDATE_CONFIRM:
            return self._updated(function, arguments)
        if function == HELLO:
            return self._hello().to_bytes()
        if function == FILE:
            return self._file(_number(arguments, 2))
        if function == COUNTERS:
            return self._counters(_number(arguments, 1)).to_bytes()
        if function == EVENTS:
            found = self._log.since(_number(arguments, 4), MAX_DATA // EVENT_SIZE)
            return b"".join([event.to_bytes() for event in found])
        if function == TRACE_START:
            self._start_trace(_number(arguments, 2))
            return b""
        if function == TRACE_STOP:
            self._trace.stop()
            return b""
        if function == TRACE_READ:
            return self._trace.read(_number(arguments, 4))
        if function == RESTART:
            self._restart(_number(arguments, 4))
            return b""
        raise SlotError(ERROR_NOT_SUPPORTED)

    def _start_trace(self, seconds: int) -> None:
        if not 1 <= seconds <= MAX_SECONDS:
            raise SlotError(ERROR_BAD_LENGTH)
        self._trace.start(seconds, [slot.protocol == T1 for slot in self._slots])

    def _updated(self, function: int, arguments: bytes) -> bytes:
        update = self._update
        if function == UPDATE_BEGIN:
            size, sha256 = _number(arguments[:2], 2), _hash(arguments[2:])
            return update.begin(size, sha256).to_bytes(LENGTH_SIZE, "little")
        if function == UPDATE_WRITE:
            which, offset = _number(arguments[:2], 2), _number(arguments[2:6], 4)
            return update.write(which, offset, arguments[6:]).to_bytes(LENGTH_SIZE, "little")
        if function == UPDATE_CHECK:
            update.check(_number(arguments, 2))
        elif function == UPDATE_FINISH:
            update.finish()
        elif function == UPDATE_CONFIRM:
            if _hash(arguments) != self._file_digest():
                raise SlotError(ERROR_INCOMPLETE)
            update.confirm()
        return b""

    def _restart(self, starts: int) -> None:
        """Nothing where the answer to this request was lost and the restart is over."""
        if starts == self._update.state.starts:
            self._update.note_restart()
            self._restarts = True

    def _hello(self) -> Hello:
        return Hello(
            PROTOCOL_VERSION,
            len(self._present),
            self._update.on_trial,
            self._update.state.starts_left if self._update.on_trial else 0,
            self._update.state.starts,
            self._uptime.now_ms(),
            self._file_digest(),
            VERSION,
            self._board.name,
            self._update.slot,
            self._update.state.reason,
            self._update.floor,
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
        counted = self._board.contact_lines[slot].counters
        characters = (
            (0, 0, 0, 0) if counted is None else (counted.received, counted.sent, counted.refused, counted.resent)
        )
        received, sent, refused, resent = characters
        errors = tuple(sorted(self._errors[slot].items())[:MAX_ERRORS])
        restarts, revived = self._slots[slot].restarts, self._slots[slot].revived
        return Counters(
            self._exchanges[slot], received, sent, refused, resent, restarts, revived, counted is not None, errors
        )


def _hash(arguments: bytes) -> bytes:
    if len(arguments) != HASH_SIZE:
        raise SlotError(ERROR_BAD_LENGTH)
    return bytes(arguments)


def _number(arguments: bytes, size: int) -> int:
    if len(arguments) != size:
        raise SlotError(ERROR_BAD_LENGTH)
    return int.from_bytes(arguments, "little")
