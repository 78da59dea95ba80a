"""One card slot: power, speed, exchange (`reader.md B`, `ssc-card.md 2`)."""

from firmware.activation import Activation
from firmware.characters import Characters
from firmware.contact_line import ContactLine
from firmware.exchange import ask_pps, ask_t0
from firmware.limits import CLOCK_KHZ, Limits
from firmware.slot_error import SlotError
from protocols.ccid.messages import (
    ERROR_ABORTED,
    ERROR_BAD_LENGTH,
    ERROR_CLASS,
    ERROR_DEACTIVATED,
    ERROR_MUTE,
    ERROR_PARITY,
    ERROR_PROCEDURE_BYTE,
    ERROR_PROTOCOL,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_INACTIVE,
)
from protocols.ccid.parameters import T0, T0Parameters
from protocols.iso7816.atr import EVERY_CLASS, Atr
from protocols.iso7816.pps import (
    DEFAULT_FI_DI,
    PpsError,
    agreed_speed,
    bits_per_s,
    f_and_d,
    is_pps,
    is_speed,
    pps_request,
    slower,
)
from protocols.iso7816.t0 import T0Error, T0Exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DARK_CLOCKS = 200 * CLOCK_KHZ  # how long a mute card is without power before it gets its second chance
IMPLICIT = 0x10  # bit 5 of TA2: the speed is not told

_SPEED_ERRORS = (ERROR_MUTE, ERROR_PARITY, ERROR_PROCEDURE_BYTE)
_STOPS = (ERROR_MUTE, ERROR_PARITY, ERROR_PROCEDURE_BYTE, ERROR_ABORTED)


class Slot:
    """A mute or senseless card is deactivated, so that no late character of it meets the next command.

    In the middle of a session that shows as an active card that stays mute until the next power-on: to libccid
    an inactive one has been removed (`reader.md A.2`).
    A speed at which a card answered no command is not agreed upon again while that card is in.
    """

    def __init__(self, line: ContactLine, limits: Limits, busy: "Callable[[], bool]") -> None:
        """`busy` is called every 0.3 s while the card is waited for; False ends that with `ERROR_ABORTED`."""
        self._line = line
        self._limits = limits
        self._characters = Characters(line, busy)
        self._activation = Activation(line, self._characters, limits)
        self._atr: "Atr | None" = None
        self._protocol: "int | None" = None
        self._parameters = T0Parameters(DEFAULT_FI_DI, 0, 1)
        self._fresh = False  # nothing was sent since the reset
        self._proven = False  # a command was answered since the reset
        self._unfit: "list[int]" = []

    @property
    def icc(self) -> int:
        """`ICC_ACTIVE` from power-on to power-off, `ICC_INACTIVE` or `ICC_ABSENT`."""
        if not self._line.present:
            return ICC_ABSENT
        return ICC_INACTIVE if self._atr is None else ICC_ACTIVE

    def poll(self) -> None:
        """Notice a card that left, also when another took its place."""
        self._line.poll()
        if self._line.gone:
            self._unfit = []
            if self._atr is not None:
                self.power_off()

    # Power

    def power_on(self, classes: int = EVERY_CLASS) -> bytes:
        """The ATR after a cold reset, or a warm one where the card is active in one of these classes; `SlotError`.

        A cold ATR that makes no sense is followed by one warm reset. A mute card is powered off and on once.
        """
        self.poll()
        if not self._line.present:
            raise SlotError(ERROR_MUTE)
        if not classes & self._line.classes:
            raise SlotError(ERROR_CLASS)
        self._characters.begin()
        if self._atr is None:
            self._line.gone = False
        try:
            return self._power_on(classes)
        except SlotError as error:
            if error.error != ERROR_MUTE or self._line.gone:
                raise
        self._line.wait_clocks(DARK_CLOCKS)
        return self._power_on(classes)

    def _power_on(self, classes: int) -> bytes:
        activation = self._activation
        warm = self._atr is not None and activation.powered and activation.icc_class & classes
        self._atr = None
        atr = activation.warm_reset() if warm else activation.activate(classes)
        self._atr, self._fresh, self._proven = atr, True, False
        self._protocol, speed = _mode(atr)
        self._set_parameters(self._told_by_atr(speed))
        return atr.to_bytes()

    def power_off(self) -> None:
        """Contacts off in order; nothing where they are."""
        self._atr = None
        self._deactivate()

    def _deactivate(self) -> None:
        self._fresh = False
        self._activation.deactivate()

    def check_active(self) -> None:
        """`SlotError` where no card is powered."""
        self.poll()
        if self._atr is None:
            raise SlotError(ERROR_DEACTIVATED if self._line.present else ERROR_MUTE)
        if not self._activation.powered:
            raise SlotError(ERROR_MUTE)

    # Speed

    @property
    def parameters(self) -> T0Parameters:
        """What holds on the line now."""
        return self._parameters

    def reset_parameters(self) -> None:
        """As the ATR says, at the speed that card and slot agreed on; `SlotError`."""
        self.check_active()
        self._set_parameters(self._told_by_atr(self._parameters.fi_di))

    def set_parameters(self, wanted: T0Parameters) -> bool:
        """Make them hold, by a PPS where the speed is another one; `SlotError`.

        False where that speed cannot be agreed on: `parameters` says which one is; the card may have been reset.
        """
        self.check_active()
        if wanted.fi_di != self._parameters.fi_di and not self._agree_on(wanted.fi_di):
            return False
        self._fresh = False
        self._set_parameters(wanted)
        return True

    def speed_of(self, bits: int) -> "int | None":
        """Fi and Di, with the card's own Fi or the default, that give this many bit/s; None where none do."""
        own = (self._atr and self._atr.ta1) or DEFAULT_FI_DI
        for fi_di in [own & 0xF0 | di for di in range(16)] + [DEFAULT_FI_DI]:
            if is_speed(fi_di) and bits_per_s(fi_di, CLOCK_KHZ) == bits:
                return fi_di
        return None

    def _told_by_atr(self, fi_di: int) -> T0Parameters:
        atr = self._atr
        return T0Parameters(fi_di, 0, 1) if atr is None else T0Parameters(fi_di, atr.tc1 or 0, atr.waiting_integer)

    def _set_parameters(self, parameters: T0Parameters) -> None:
        self._parameters = parameters
        self._line.set_speed(parameters.fi_di, parameters.extra_guard)

    def _agree_on(self, fi_di: int) -> bool:
        """By PPS; where the answer makes no sense, on the next lower speed, and at last on the default one."""
        if not self._fresh or self._atr is None or self._atr.ta2 is not None or self._protocol is None:
            return False
        for speed in (fi_di, slower(fi_di)):
            if speed == DEFAULT_FI_DI or speed in self._unfit:
                continue
            request = pps_request(self._protocol, speed)
            try:
                agreed = self._take_pps(request, self._pps(request))
            except SlotError as error:
                if error.error not in _SPEED_ERRORS or self._line.gone:
                    self.power_off()
                    raise
                agreed = False
            if agreed:
                return self._parameters.fi_di == fi_di
            self._unfit.append(speed)
            self._power_on(self._activation.icc_class)
        return False

    def _pps(self, request: "bytes | bytearray") -> bytes:
        """What the card answers."""
        return ask_pps(self._characters, request, self._limits.atr_gap + self._limits.slack)

    def _take_pps(self, request: "bytes | bytearray", answer: bytes) -> bool:
        """Whether card and slot agree; then they speak so from now on."""
        self._fresh = False
        try:
            speed = agreed_speed(request, answer)
        except PpsError:
            return False
        self._protocol = request[1] & 0x0F
        self._set_parameters(self._told_by_atr(speed))
        return True

    # Exchange

    def exchange(self, command: "bytes | bytearray") -> bytes:
        """One T=0 command: data and status word as the card sent them; `SlotError`.

        A PPS straight after the reset gives the card's answer, whatever it is.
        """
        self.check_active()
        self._characters.begin()
        try:
            if self._fresh and is_pps(command):
                answer = self._pps(command)
                self._take_pps(command, answer)
                return answer
            if self._protocol != T0:
                raise SlotError(ERROR_PROTOCOL)
            try:
                exchange = T0Exchange(command)
            except T0Error:
                raise SlotError(ERROR_BAD_LENGTH)  # noqa: B904 - MicroPython does not chain
            self._fresh = False
            answer = self._run(exchange)
        except SlotError as error:
            if error.error in _STOPS:
                self._stop(error.error)
            raise
        self._proven = True
        return answer

    def _stop(self, error: int) -> None:
        """A speed that never worked is remembered."""
        speed = self._parameters.fi_di
        if not self._proven and error in _SPEED_ERRORS and speed != DEFAULT_FI_DI and not self._line.gone:
            self._unfit.append(speed)
        if self._line.gone:
            self.power_off()
        else:
            self._deactivate()

    def _run(self, exchange: T0Exchange) -> bytes:
        parameters = self._parameters
        waiting = self._limits.waiting_time(f_and_d(parameters.fi_di)[0], parameters.waiting_integer)
        return ask_t0(self._characters, exchange, waiting, self._limits.exchange)


def _mode(atr: Atr) -> "tuple[int | None, int]":
    """Protocol and speed that hold after the ATR; no protocol where the slot cannot keep up with the card."""
    if atr.ta2 is None:
        return atr.protocols[0], DEFAULT_FI_DI
    speed = atr.ta1 or DEFAULT_FI_DI
    if atr.ta2 & IMPLICIT or not is_speed(speed):
        return None, DEFAULT_FI_DI
    return atr.ta2 & 0x0F, speed
