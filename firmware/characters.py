"""Characters of one card, waited for while the host is told that it takes time."""

from firmware.contact_line import CharacterDamaged, ContactLine
from firmware.limits import CLOCK_KHZ
from firmware.slot_error import SlotError
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.messages import ERROR_ABORTED, ERROR_HARDWARE, ERROR_PARITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BUSY_MS = 300  # how often the host is told that the card is still being waited for


class Characters:
    """The contact line as those who wait for the card need it."""

    def __init__(self, line: ContactLine, busy: "Callable[[], bool]") -> None:
        """`busy` is called every 0.3 s while the card is waited for; False ends that with `ERROR_ABORTED`."""
        self._line = line
        self._busy = busy
        self._told_busy = ticks_ms()

    def begin(self) -> None:
        """A command of the host begins: it need not be told yet."""
        self._told_busy = ticks_ms()

    def ask(self, data: "bytes | bytearray | memoryview") -> None:
        """Send these, after forgetting what nobody asked for; as `send`."""
        self._line.drop_received()
        self.send(data)

    def send(self, data: "bytes | bytearray | memoryview") -> None:
        """`SlotError` where the card refuses a character again and again."""
        try:
            self._line.send(data)
        except CharacterDamaged:
            raise SlotError(ERROR_PARITY)  # noqa: B904 - MicroPython does not chain

    def prepare(self, command: "bytes | bytearray | memoryview", procedure_byte: int) -> None:
        """As the line's."""
        self._line.prepare(command, procedure_byte)

    def pause(self, wait_ms: int) -> None:
        """Nothing for so long; `SlotError` for a host that waits no more."""
        while wait_ms > 0:
            part = min(wait_ms, self._tell_busy())
            self._line.wait_clocks(part * CLOCK_KHZ)
            wait_ms -= part

    def receive(self, count: int, limit_ms: int) -> bytes:
        """As the line's; `SlotError` for a damaged character, overcurrent, and a host that waits no more."""
        started = ticks_ms()
        while True:
            due = self._tell_busy()
            left = limit_ms - elapsed_ms(started)
            try:
                characters = self._line.receive(count, max(0, min(due, left)))
            except CharacterDamaged:
                raise SlotError(ERROR_PARITY)  # noqa: B904 - MicroPython does not chain
            if self._line.overcurrent:
                raise SlotError(ERROR_HARDWARE)
            if characters or self._line.gone or left <= due:
                return characters

    def _tell_busy(self) -> int:
        """Milliseconds until the host is to be told again."""
        due = BUSY_MS - elapsed_ms(self._told_busy)
        if due > 0:
            return due
        self._told_busy = ticks_ms()
        if not self._busy():
            raise SlotError(ERROR_ABORTED)
        return BUSY_MS
