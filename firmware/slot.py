"""One card slot: activation, answer to reset, T=0 at 372/1 and 4 MHz (`reader.md B`, `ssc-card.md 2`)."""

from firmware.contact_line import CLOCKED_IN_RESET, POWERED_IN_RESET, RUNNING, ContactLine
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.messages import (
    ERROR_BAD_LENGTH,
    ERROR_BAD_TCK,
    ERROR_BAD_TS,
    ERROR_DEACTIVATED,
    ERROR_MUTE,
    ERROR_OVERRUN,
    ERROR_PROCEDURE_BYTE,
    ERROR_PROTOCOL,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_INACTIVE,
)
from protocols.iso7816.atr import DIRECT, PART_LENGTH, PART_TCK, PART_TS, Atr, AtrError, atr_size
from protocols.iso7816.frozen import Frozen
from protocols.iso7816.line import CONTACTS_OFF
from protocols.iso7816.t0 import T0Error, T0Exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLOCKS_PER_MS = 4000
CLOCKS_PER_ETU = 372
RESET_CLOCKS = 400
INITIAL_FI_DI = 0x11
BUSY_MS = 300  # how often the host is told that the card is still being waited for

_ATR_ERRORS = {PART_TS: ERROR_BAD_TS, PART_TCK: ERROR_BAD_TCK, PART_LENGTH: ERROR_OVERRUN}


class Limits(Frozen):
    """Milliseconds: ATR by its first, each next and all characters; `waiting` per unit of WI.

    `exchange` is for one command with all its NULL bytes; `slack` is what the line adds to all the others.
    """

    FIELDS = ("atr_start", "atr_gap", "atr_total", "waiting", "exchange", "slack")
    atr_start: int
    atr_gap: int
    atr_total: int
    waiting: int
    exchange: int
    slack: int

    def __init__(self, *values: int) -> None:
        self._freeze(*values)


def standard_limits(slack: int) -> Limits:
    """Those of ISO/IEC 7816-3; an exchange may take 60 s, which no standard limits."""
    return Limits(
        _ceil_ms(40000),
        _ceil_ms(9600 * CLOCKS_PER_ETU),
        _ceil_ms(19200 * CLOCKS_PER_ETU),
        _ceil_ms(960 * CLOCKS_PER_ETU),
        60000,
        slack,
    )


def _ceil_ms(clocks: int) -> int:
    return -(-clocks // CLOCKS_PER_MS)


def _speaks_t0(atr: Atr) -> bool:
    """Whether the card takes T=0 at 372/1 without PPS: by TA2 in specific mode, else as first offered."""
    if atr.ta2 is None:
        return atr.protocols[0] == 0
    return atr.ta2 & 0x0F == 0 and atr.ta1 in (None, INITIAL_FI_DI)


class SlotError(Exception):
    """The slot cannot do it; `error` is the CCID bError."""

    def __init__(self, error: int) -> None:
        super().__init__("slot error %02X" % error)
        self.error = error


class Slot:
    """A mute or senseless card is deactivated, so that no late character of it meets the next command."""

    def __init__(self, line: ContactLine, limits: Limits, busy: "Callable[[], None]") -> None:
        """`busy` is called every 0.3 s while the card is being waited for."""
        self._line = line
        self._limits = limits
        self._busy = busy
        self._atr: "Atr | None" = None
        self._powered = False

    @property
    def icc(self) -> int:
        """`ICC_ACTIVE`, `ICC_INACTIVE` or `ICC_ABSENT`."""
        if not self._line.present:
            return ICC_ABSENT
        return ICC_INACTIVE if self._atr is None else ICC_ACTIVE

    def poll(self) -> None:
        """Notice a card that left, also when another took its place."""
        self._line.poll()
        if self._atr is not None and self._line.gone:
            self.power_off()

    def power_on(self) -> bytes:
        """The ATR after a cold reset, or a warm one where the card is active; `SlotError`.

        A cold ATR that makes no sense is followed by one warm reset.
        """
        self.poll()
        if not self._line.present:
            raise SlotError(ERROR_MUTE)
        warm = self._atr is not None
        self._atr = None
        if not warm:
            self._line.gone = False
            self._powered = True
            self._line.set_contacts(POWERED_IN_RESET)
        try:
            self._atr = self._answer_to_reset(1 if warm else 2)
        except AtrError as error:
            self.power_off()
            raise SlotError(_ATR_ERRORS[error.part])  # noqa: B904 - MicroPython does not chain
        except SlotError:
            self.power_off()
            raise
        return self._atr.to_bytes()

    def power_off(self) -> None:
        """RST, CLK and VCC off in this order; nothing where they are."""
        self._atr = None
        if not self._powered:
            return
        self._powered = False
        self._line.set_contacts(CLOCKED_IN_RESET)
        self._line.set_contacts(POWERED_IN_RESET)
        self._line.set_contacts(CONTACTS_OFF)

    def exchange(self, command: "bytes | bytearray") -> bytes:
        """One T=0 command: data and status word as the card sent them; `SlotError`."""
        self.poll()
        if self._atr is None:
            raise SlotError(ERROR_DEACTIVATED if self._line.present else ERROR_MUTE)
        if not _speaks_t0(self._atr):
            raise SlotError(ERROR_PROTOCOL)
        try:
            exchange = T0Exchange(command)
        except T0Error:
            raise SlotError(ERROR_BAD_LENGTH)  # noqa: B904 - MicroPython does not chain
        waiting = self._limits.waiting * self._atr.waiting_integer + self._limits.slack
        try:
            return self._run(exchange, waiting)
        except SlotError:
            self.power_off()
            raise

    def _run(self, exchange: T0Exchange, waiting: int) -> bytes:
        started = ticks_ms()
        self._line.drop_received()
        self._line.send(exchange.outgoing)
        while not exchange.done:
            characters = self._receive(exchange.wanted, waiting)
            if not characters or elapsed_ms(started) > self._limits.exchange:
                raise SlotError(ERROR_MUTE)
            try:
                exchange.take(characters)
            except T0Error:
                raise SlotError(ERROR_PROCEDURE_BYTE)  # noqa: B904 - MicroPython does not chain
            if exchange.outgoing:
                self._line.send(exchange.outgoing)
        return bytes(exchange.response)

    def _answer_to_reset(self, tries: int) -> Atr:
        """Resets the card up to `tries` times until its ATR makes sense; `AtrError`, or `SlotError` for none."""
        while True:
            tries -= 1
            self._line.set_contacts(CLOCKED_IN_RESET)
            self._line.wait_clocks(RESET_CLOCKS)
            self._line.set_contacts(RUNNING)
            try:
                return Atr.from_bytes(self._receive_atr())
            except AtrError:
                if tries == 0:
                    raise

    def _receive_atr(self) -> bytearray:
        limits = self._limits
        started = ticks_ms()
        data = bytearray()
        limit = limits.atr_start + limits.slack
        while len(data) < atr_size(data):
            characters = self._receive(atr_size(data) - len(data), limit)
            if not characters or elapsed_ms(started) > limits.atr_total + limits.slack:
                raise SlotError(ERROR_MUTE)
            data.extend(characters)
            if data[0] != DIRECT:
                raise AtrError(PART_TS)
            limit = limits.atr_gap + limits.slack
        return data

    def _receive(self, count: int, limit_ms: int) -> bytes:
        """As the line's, telling the host in between that it takes time."""
        left = limit_ms
        while left > BUSY_MS:
            characters = self._line.receive(count, BUSY_MS)
            if characters or self._line.gone:
                return characters
            self._busy()
            left -= BUSY_MS
        return self._line.receive(count, left)
