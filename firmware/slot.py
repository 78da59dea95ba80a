"""One card slot: power, speed, exchange (`reader.md B`, `ssc-card.md 2`)."""

from firmware.activation import Activation
from firmware.characters import Characters
from firmware.contact_line import ContactLine
from firmware.exchange import ask_pps, ask_t0, ask_t1
from firmware.limits import CLOCK_KHZ, Limits
from firmware.slot_error import SlotError
from protocols.ccid.messages import (
    ERROR_ABORTED,
    ERROR_BAD_LENGTH,
    ERROR_CLASS,
    ERROR_DEACTIVATED,
    ERROR_HARDWARE,
    ERROR_MUTE,
    ERROR_PARITY,
    ERROR_PROCEDURE_BYTE,
    ERROR_PROTOCOL,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_INACTIVE,
)
from protocols.ccid.parameters import T0, T1, T0Parameters, T1Parameters
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
from protocols.iso7816.t1 import MAX_BLOCK, PROLOGUE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DARK_MS = (200, 1000)  # how long a stuck card is without power before its second chance, and its third
IMPLICIT = 0x10  # bit 5 of TA2: the speed is not told

_STUCK = (ERROR_MUTE, ERROR_PARITY, ERROR_PROCEDURE_BYTE)
_STOPS = (ERROR_MUTE, ERROR_PARITY, ERROR_PROCEDURE_BYTE, ERROR_ABORTED, ERROR_HARDWARE)
_STOPS_T1 = (ERROR_MUTE, ERROR_ABORTED, ERROR_HARDWARE)  # a damaged block is asked for again by the host


class Slot:
    """A mute or senseless card is deactivated, so that no late character of it meets the next command.

    Then the slot powers it off and on by itself, at most twice, until it answers to reset: that frees a card that a
    discharge has locked up. It does no more: what was selected and verified is lost, the command is never sent again,
    for it may have had its effect, and every further one is refused until the host powers on. `restarts` counts how
    often a card was powered off and on, `revived` how often it then answered.
    Until that power-on the card stays active and mute for the host: to libccid an inactive one has been removed
    (`reader.md A.2`). So does one that drew too much current, but for its error, and it is not powered on.
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
        self._parameters: "T0Parameters | T1Parameters" = T0Parameters(DEFAULT_FI_DI, 0, 1)
        self._fresh = False  # nothing was sent since the reset
        self._pps_failed = False  # the host's, since the reset
        self._proven = False  # a command was answered since the reset
        self._lost = False  # the card is not in the state that the host knows
        self._unfit: "list[int]" = []
        self.restarts = 0
        self.revived = 0

    @property
    def icc(self) -> int:
        """`ICC_ACTIVE` from power-on to power-off, `ICC_INACTIVE` or `ICC_ABSENT`."""
        if not self._line.present:
            return ICC_ABSENT
        return ICC_INACTIVE if self._atr is None else ICC_ACTIVE

    def poll(self) -> None:
        """Notice a card that left, also when another took its place, and one that draws too much."""
        self._line.poll()
        if self._line.overcurrent:
            self._lost = True
            self._deactivate()
        if self._line.gone:
            self._unfit = []
            if self._atr is not None:
                self.power_off()

    # Power

    def power_on(self, classes: int = EVERY_CLASS) -> bytes:
        """The ATR after a cold reset, or a warm one where the card is active in one of these classes; `SlotError`.

        A cold ATR that makes no sense is followed by one warm reset. A mute card is powered off and on twice.
        """
        self.poll()
        if not self._line.present:
            raise SlotError(ERROR_MUTE)
        if not classes & self._line.classes:
            raise SlotError(ERROR_CLASS)
        self._characters.begin()
        self._line.overcurrent = False
        if self._atr is None:
            self._line.gone = False
        try:
            return self._power_on(classes)
        except SlotError as error:
            if error.error != ERROR_MUTE or self._line.gone:
                raise
        return self._begin(self._restart(classes))

    def _power_on(self, classes: int) -> bytes:
        activation = self._activation
        warm = self._atr is not None and activation.powered and activation.icc_class & classes
        self._atr = None
        return self._begin(activation.warm_reset() if warm else activation.activate(classes))

    def _begin(self, atr: Atr) -> bytes:
        self._atr, self._fresh, self._pps_failed, self._proven, self._lost = atr, True, False, False, False
        self._protocol, speed = _mode(atr)
        self._set_parameters(self._told_by_atr(speed))
        return atr.to_bytes()

    def _restart(self, classes: int) -> Atr:
        """The ATR of a stuck card after as many times without power as it needs; `SlotError`."""
        for dark_ms in DARK_MS:
            self._activation.deactivate()
            self._characters.pause(dark_ms)
            self.restarts += 1
            try:
                atr = self._activation.activate(classes)
            except SlotError as error:
                if error.error != ERROR_MUTE or self._line.gone:
                    raise
            else:
                self.revived += 1
                return atr
        raise SlotError(ERROR_MUTE)

    def power_off(self) -> None:
        """Contacts off in order; nothing where they are."""
        self._atr, self._lost = None, False
        self._deactivate()

    def _deactivate(self) -> None:
        self._fresh = False
        self._activation.deactivate()

    def check_active(self) -> None:
        """`SlotError` where no card is powered."""
        self.poll()
        if self._atr is None:
            raise SlotError(ERROR_DEACTIVATED if self._line.present else ERROR_MUTE)
        if self._lost:
            raise SlotError(ERROR_HARDWARE if self._line.overcurrent else ERROR_MUTE)

    # Speed

    @property
    def parameters(self) -> "T0Parameters | T1Parameters":
        """What holds on the line now."""
        return self._parameters

    def reset_parameters(self) -> None:
        """As the ATR says, at the speed that card and slot agreed on; `SlotError`."""
        self.check_active()
        self._set_parameters(self._told_by_atr(self._parameters.fi_di))

    def set_parameters(self, wanted: "T0Parameters | T1Parameters") -> bool:
        """Make them hold, by a PPS where protocol or speed are others; `SlotError`.

        False where those cannot be agreed on: `parameters` says which are; the card may have been reset.
        """
        self.check_active()
        hold = (wanted.PROTOCOL, wanted.fi_di) == (self._protocol, self._parameters.fi_di)
        if not hold and not self._agree_on(wanted.PROTOCOL, wanted.fi_di):
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

    def _told_by_atr(self, fi_di: int) -> "T0Parameters | T1Parameters":
        atr = self._atr
        if atr is None:
            return T0Parameters(fi_di, 0, 1)
        if self._protocol == T1:
            return T1Parameters(fi_di, atr.has_crc, atr.tc1 or 0, atr.bwi_cwi, 0, atr.ifsc)
        return T0Parameters(fi_di, atr.tc1 or 0, atr.waiting_integer)

    def _set_parameters(self, parameters: "T0Parameters | T1Parameters") -> None:
        self._parameters = parameters
        self._line.set_speed(parameters.fi_di, parameters.extra_guard)
        self._line.set_error_signal(parameters.PROTOCOL == T0)

    def _agree_on(self, protocol: int, fi_di: int) -> bool:
        """By PPS; where the answer makes no sense, on the next lower speed, and at last on the default one."""
        atr = self._atr
        if not self._fresh or atr is None or atr.ta2 is not None or protocol not in atr.protocols:
            return False
        for speed in (fi_di, slower(fi_di), DEFAULT_FI_DI):
            if speed in self._unfit or (protocol, speed) == (self._protocol, DEFAULT_FI_DI):
                continue
            request = pps_request(protocol, speed)
            try:
                agreed = self._take_pps(request, self._pps(request))
            except SlotError as error:
                if error.error not in _STUCK or self._line.gone:
                    self.power_off()
                    raise
                agreed = False
            if agreed:
                return (self._protocol, self._parameters.fi_di) == (protocol, fi_di)
            self._unfit.append(speed)
            self._power_on(self._activation.icc_class)
        return False

    def _pps(self, request: "bytes | bytearray | memoryview") -> bytes:
        """What the card answers."""
        return ask_pps(self._characters, request, self._limits.atr_gap + self._limits.slack)

    def _take_pps(self, request: "bytes | bytearray | memoryview", answer: bytes) -> bool:
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

    @property
    def protocol(self) -> "int | None":
        """What the card speaks, None where the slot cannot keep up with it."""
        return self._protocol

    def exchange(self, command: "bytes | bytearray | memoryview", extension: int = 0) -> bytes:
        """One T=0 command: data and status word as the card sent them. Or one T=1 block; `SlotError`.

        The card has its block waiting time `extension` times where that is not 0. A block that arrived damaged leaves
        the card powered: the host asks for it again.
        Whether a block is well made is between host and card: libccid repeats one that has lost half of its CRC.
        A PPS straight after the reset gives the card's answer, whatever it is. After one that failed the card is reset
        before the next, for pcscd asks again without a reset.
        """
        self.check_active()
        self._characters.begin()
        try:
            if (self._fresh or self._pps_failed) and is_pps(command):
                if self._pps_failed:
                    self._power_on(self._activation.icc_class)
                answer = self._pps(command)
                self._pps_failed = not self._take_pps(command, answer)
                return answer
            if self._protocol not in (T0, T1):
                raise SlotError(ERROR_PROTOCOL)
            parameters = self._parameters
            if isinstance(parameters, T1Parameters):
                answer = self._t1(command, parameters, extension)
            else:
                answer = self._t0(command, parameters)
        except SlotError as error:
            if self._line.gone:
                self.power_off()
                self.check_active()
            if error.error in (_STOPS_T1 if self._protocol == T1 and not self._fresh else _STOPS):
                self._stop(error.error)
            raise
        self._proven = True
        return answer

    def _stop(self, error: int) -> None:
        """A speed that never worked is remembered."""
        speed = self._parameters.fi_di
        if not self._proven and error in _STUCK and speed != DEFAULT_FI_DI:
            self._unfit.append(speed)
        self._lost = True
        self._deactivate()
        if error not in _STUCK:
            return
        try:
            self._restart(self._activation.icc_class)
        except SlotError:
            self._deactivate()
            self.poll()

    def _t0(self, command: "bytes | bytearray | memoryview", parameters: T0Parameters) -> bytes:
        try:
            exchange = T0Exchange(command)
        except T0Error:
            raise SlotError(ERROR_BAD_LENGTH)  # noqa: B904 - MicroPython does not chain
        self._fresh = False
        waiting = self._limits.waiting_time(f_and_d(parameters.fi_di)[0], parameters.waiting_integer)
        return ask_t0(self._characters, exchange, waiting, self._limits.exchange)

    def _t1(self, block: "bytes | bytearray | memoryview", parameters: T1Parameters, extension: int) -> bytes:
        if not PROLOGUE_SIZE < len(block) <= MAX_BLOCK:
            raise SlotError(ERROR_BAD_LENGTH)
        self._fresh = False
        bwi, cwi = parameters.bwi_cwi >> 4, parameters.bwi_cwi & 0x0F
        block_ms = self._limits.block_waiting_time(parameters.fi_di, bwi, extension or 1)
        character_ms = self._limits.character_waiting_time(parameters.fi_di, cwi)
        return ask_t1(self._characters, block, parameters.has_crc, block_ms, character_ms)


def _mode(atr: Atr) -> "tuple[int | None, int]":
    """Protocol and speed that hold after the ATR; no protocol where the slot cannot keep up with the card."""
    if atr.ta2 is None:
        return atr.protocols[0], DEFAULT_FI_DI
    speed = atr.ta1 or DEFAULT_FI_DI
    if atr.ta2 & IMPLICIT or not is_speed(speed):
        return None, DEFAULT_FI_DI
    return atr.ta2 & 0x0F, speed
