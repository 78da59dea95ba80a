"""PIN entry on the reader: digits go from the keys into one APDU and nowhere else (`reader.md A.7`)."""

from firmware.forbidden_pins import ForbiddenPins
from firmware.indicator import ACCEPTED, DARK, DONE, FAILED, REFUSED, WAITING, Indicator
from firmware.keypad import Keypad, KeyScanner
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.keypad import BACKSPACE, CANCEL, CLEAR, OK
from protocols.ccid.messages import ERROR_PIN_CANCELLED, ERROR_PIN_TIMEOUT
from protocols.ccid.pin_format import DATA, MAX_DATA
from protocols.ccid.secure import (
    AT_MAX_DIGITS,
    AT_TIMEOUT,
    BY_KEY,
    MAX_DIGITS,
    SW_ENTRIES_DIFFER,
    SW_NOT_CONFORMING,
    PinRequest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

VALIDATION = AT_MAX_DIGITS | BY_KEY | AT_TIMEOUT  # what it understands
MIN_DIGITS = 4  # ISO 9564-1: no PIN has less
TIMEOUT_S = 30  # where the host gives none
SCAN_MS = 5

_APDU_SIZE = DATA + MAX_DATA
_OLD, _NEW, _REPEAT = [_APDU_SIZE + i * MAX_DIGITS for i in range(3)]
_SUCCESS = b"\x90\x00"


class EntryEnded(Exception):
    """Nothing was sent to the card; `error` is the CCID bError."""

    def __init__(self, error: int) -> None:
        super().__init__("PIN entry ended: %02X" % error)
        self.error = error


class PinPad:
    """One entry at a time. PINs are in one buffer, which is wiped whatever happens."""

    def __init__(self, keypad: Keypad, indicator: Indicator, wait: "Callable[[int], None]") -> None:
        """`wait` waits so many ms, or less."""
        self._scanner = KeyScanner(keypad)
        self._indicator = indicator
        self._wait = wait
        self._buffer = bytearray(_REPEAT + MAX_DIGITS)
        self._look: "Callable[[], int]" = lambda: 0
        self.forbidden = ForbiddenPins()

    def enter(self, request: PinRequest, exchange: "Callable[[memoryview], bytes]", look: "Callable[[], int]") -> bytes:
        """What the card answers to the APDU with the PIN, or the pad's own status word; `EntryEnded`.

        `look` is called every few ms: the bError with which the entry ends, 0 while it goes on. Each PIN has the
        whole time-out.
        """
        self._look = look
        self.forbidden.begin()
        self._indicator.rest(WAITING)
        answer = b""
        try:
            answer = self._enter(request, exchange)
        finally:
            self._wipe(0, len(self._buffer))
            self.forbidden.disarm()
            self._indicator.rest(DARK)
            self._indicator.play(DONE if answer == _SUCCESS else FAILED)
        return answer

    def _enter(self, request: PinRequest, exchange: "Callable[[memoryview], bytes]") -> bytes:
        change, least = request.change, request.min_digits
        other = min(least, MIN_DIGITS)  # what the host demands, it demands of the new PIN
        entries = [(_NEW, least)]
        if change is not None and change.asks_current:
            entries.insert(0, (_OLD, other))
        if change is not None and change.confirmed:
            entries.append((_REPEAT, other))
        pins = {}
        for place, fewest in entries:
            count = self._collect(place, fewest, request)
            if count < fewest:
                return SW_NOT_CONFORMING
            pins[place] = memoryview(self._buffer)[place : place + count]
        if _REPEAT in pins and not self._same(len(pins[_NEW]), len(pins[_REPEAT])):
            return SW_ENTRIES_DIFFER
        found = self.forbidden.match(pins[_NEW])
        if change is not None and found:
            self.forbidden.note_refused()
            return SW_NOT_CONFORMING
        size = request.fill(self._buffer, [pins[place] for place in (_OLD, _NEW) if place in pins])
        self._wipe(_APDU_SIZE, len(self._buffer))
        answer = exchange(memoryview(self._buffer)[:size])
        if change is None and answer == _SUCCESS:
            self.forbidden.note(found)
        return answer

    def _collect(self, place: int, least: int, request: PinRequest) -> int:
        """How many digits were entered; fewer than `least` where the holder says that this is all."""
        limit_ms = 1000 * (request.timeout_s or TIMEOUT_S)
        started, count, most = ticks_ms(), 0, request.most_digits
        self._scanner.start()
        while True:
            error = self._look()
            if error:
                raise EntryEnded(error)
            if elapsed_ms(started) > limit_ms:
                if request.validation & AT_TIMEOUT and count >= least:
                    return count
                raise EntryEnded(ERROR_PIN_TIMEOUT)
            self._indicator.poll()
            key = self._scanner.poll()
            if key is None:
                self._wait(SCAN_MS)
                continue
            accepted = True
            if key == CANCEL:
                raise EntryEnded(ERROR_PIN_CANCELLED)
            if key == OK and request.validation & BY_KEY:
                self._indicator.play(ACCEPTED)
                return count
            if key == CLEAR:
                self._wipe(place, place + count)
                count = 0
            elif key == BACKSPACE and count:
                count -= 1
                self._wipe(place + count, place + count + 1)
            elif 0 <= key <= 9 and count < most:
                self._buffer[place + count] = key
                count += 1
            else:
                accepted = False
            self._indicator.play(ACCEPTED if accepted else REFUSED)
            if count == most and request.validation & AT_MAX_DIGITS:
                return count

    def _same(self, new: int, repeat: int) -> bool:
        """Whether the new PIN and its repetition, of so many digits, are the same; as long for each."""
        wrong = new ^ repeat
        for i in range(MAX_DIGITS):
            wrong |= self._buffer[_NEW + i] ^ self._buffer[_REPEAT + i]
        return not wrong

    def _wipe(self, start: int, end: int) -> None:
        for i in range(start, end):
            self._buffer[i] = 0
