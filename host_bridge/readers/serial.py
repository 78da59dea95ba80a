"""A CCID reader on a serial port: `serial:PATH[#SLOT]`."""

import contextlib
import time
from collections.abc import Callable

from host_bridge.readers.pin_requests import change_request, verify_request
from host_bridge.readers.power_on import PowerOn
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderError, ReaderUnavailable
from host_bridge.readers.serial_link import SILENCE_S, TOTAL_S, Port, SerialLink, open_port
from host_bridge.readers.traffic import log_exchange
from protocols.ccid.messages import (
    ERROR_ABORTED,
    ERROR_BAD_LENGTH,
    ERROR_BAD_SLOT,
    ERROR_BAD_TCK,
    ERROR_BAD_TS,
    ERROR_CLASS,
    ERROR_DEACTIVATED,
    ERROR_HARDWARE,
    ERROR_MUTE,
    ERROR_OVERRUN,
    ERROR_PARITY,
    ERROR_PIN_CANCELLED,
    ERROR_PIN_TIMEOUT,
    ERROR_PROCEDURE_BYTE,
    ERROR_PROTOCOL,
    ESCAPE,
    GET_PARAMETERS,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    SECURE,
    SET_PARAMETERS,
    XFR_BLOCK,
    Answer,
)
from protocols.ccid.parameters import T0, T0Parameters
from protocols.ccid.secure import ESCAPE_WAS_FORBIDDEN, NOT_FORBIDDEN, WAS_FORBIDDEN, PinRequest, forbid
from protocols.iso7816.apdu import ApduError, CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr, AtrError
from protocols.iso7816.pps import DEFAULT_FI_DI, is_speed
from protocols.iso7816.status import SW_SUCCESS
from protocols.sscard import pad
from protocols.sscard.pad import PadAnswer, PadLimits

_REASONS = {
    ERROR_MUTE: "the card does not answer",
    ERROR_BAD_TS: "the card's first character is wrong",
    ERROR_BAD_TCK: "the check character of the ATR is wrong",
    ERROR_HARDWARE: "the card draws too much current",
    ERROR_OVERRUN: "the ATR is too long",
    ERROR_CLASS: "the card needs a voltage that the reader does not have",
    ERROR_PARITY: "a character of the card stayed unreadable",
    ERROR_PROTOCOL: "the card does not offer T=0, or not at a speed it tells",
    ERROR_BAD_LENGTH: "T=0 cannot carry this command",
    ERROR_PROCEDURE_BYTE: "the card's procedure byte is wrong",
}


_ENDED = {
    ERROR_PIN_CANCELLED: pad.SW_CANCELLED,
    ERROR_PIN_TIMEOUT: pad.SW_TIMED_OUT,
    ERROR_ABORTED: pad.SW_CANCELLED,
}
_TOLD = {WAS_FORBIDDEN: True, NOT_FORBIDDEN: False}


class SerialConnection(PowerOn):
    """The card of one power-on. The first error ends it: every later call raises the same."""

    def __init__(self, link: SerialLink, slot: int, atr: Atr) -> None:
        super().__init__(link.busy)
        self._link, self._slot, self._atr = link, slot, atr
        self._generation = link.generation

    @property
    def atr(self) -> Atr:
        return self._atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        with self._until_error():
            answer = self._link.ask(XFR_BLOCK, command.to_tpdu(), slot=self._slot)
            if answer.failed:
                raise _error_of(answer, CardRemoved)
            try:
                response = ResponseApdu.from_bytes(answer.data)
            except ApduError:
                raise CardMute("no status word") from None
        log_exchange(command, response)
        return response

    def enter_pin(self, request: PinRequest, forbidden: tuple[bytes, ...], holder_s: float) -> PadAnswer:
        """The holder enters PINs at the reader's keys; as long as the holder takes, `holder_s` at most."""
        with self._until_error():
            if forbidden:
                self._link.ask(ESCAPE, forbid(forbidden), slot=self._slot)
            answer = self._link.ask(SECURE, request.to_bytes(), slot=self._slot, holder_s=holder_s)
            if answer.failed and answer.error in _ENDED:
                return PadAnswer(_ENDED[answer.error])
            if answer.failed:
                raise _error_of(answer, CardRemoved)
            try:
                sw = ResponseApdu.from_bytes(answer.data).sw
            except ApduError:
                raise CardMute("no status word") from None
            if not forbidden or sw not in {SW_SUCCESS, pad.SW_NOT_CONFORMING}:
                return PadAnswer(sw)
            return PadAnswer(sw, _TOLD.get(self._link.ask(ESCAPE, ESCAPE_WAS_FORBIDDEN, slot=self._slot).data))

    def reset(self) -> Atr:
        with self._until_error():
            self._atr = _power_on(self._link, self._slot, CardRemoved)
        return self._atr

    def disconnect(self) -> None:
        with self._link.busy, contextlib.suppress(ReaderError), self._until_error():
            self._link.ask(ICC_POWER_OFF, tries=1, slot=self._slot)
        self.end(CardMute("powered off"))

    def _away(self) -> str | None:
        here = self._link.is_open and self._link.generation == self._generation
        return None if here else self._link.path


class SerialPinPad:
    """The keys of a reader with our firmware (`host_bridge.card.pin_entry.PinPad`)."""

    def __init__(self, link: SerialLink, connection: Callable[[], SerialConnection | None]) -> None:
        self._link, self._connection = link, connection
        self.waiting = False

    def verify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        return self._enter(verify_request(header, limits), limits, entries=1)

    def modify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        return self._enter(change_request(header, limits), limits, entries=3)

    def cancel(self) -> None:
        """The reader still says what became of the PIN where the card has it by now."""
        if self.waiting:
            self._link.end_entry()

    def _enter(self, request: PinRequest, limits: PadLimits, entries: int) -> PadAnswer:
        connection = self._connection()
        if connection is None:
            raise CardMute("no card is connected")
        self._link.begin_entry()
        self.waiting = True
        try:
            return connection.enter_pin(request, limits.forbidden, entries * limits.timeout_s)
        finally:
            self.waiting = False


class SerialReader:
    """One slot. Opens the port at the first call, and again at the next one after it was lost."""

    def __init__(
        self,
        path: str,
        slot: int = 0,
        *,
        silence_s: float = SILENCE_S,
        total_s: float = TOTAL_S,
        open_port: Callable[[str], Port] = open_port,
        monotonic: Callable[[], float] = time.monotonic,
        link: SerialLink | None = None,
    ) -> None:
        """`silence_s` without a byte is no answer; `total_s` is the longest a call waits for one.

        `link`: the port is shared with the readers of its other slots, in place of one for this slot alone.
        """
        self.address = f"serial:{path}#{slot}" if slot else f"serial:{path}"
        self._slot = slot
        self._link = link or SerialLink(path, silence_s, total_s, open_port, monotonic)
        self._connection: SerialConnection | None = None
        self._pad = SerialPinPad(self._link, lambda: self._connection)

    @property
    def pin_pad(self) -> SerialPinPad | None:
        """None where the reader has none, or has not been asked yet."""
        return self._pad if self._link.has_pad else None

    def card_present(self) -> bool:
        """While a PIN is entered it still is: taking it ends the entry."""
        if self._pad.waiting:
            return True
        with self._link.busy:
            answer = self._link.ask(GET_SLOT_STATUS, slot=self._slot)
            if answer.failed and answer.error == ERROR_BAD_SLOT:
                raise ReaderUnavailable(f"{self.address}: no such slot")
            return answer.icc != ICC_ABSENT

    def connect(self) -> SerialConnection:
        """Cold reset. A connection made before ends."""
        with self._link.busy:
            if self._connection is not None:
                self._connection.end(CardRemoved("connected anew"))
            self._link.ask(ICC_POWER_OFF, slot=self._slot)
            atr = _power_on(self._link, self._slot, NoCard)
            self._connection = SerialConnection(self._link, self._slot, atr)
            return self._connection

    def close(self) -> None:
        """The card is powered off where the reader still answers."""
        with self._link.busy:
            if self._connection is not None:
                self._connection.disconnect()
            self._link.release(self._slot)


def _power_on(link: SerialLink, slot: int, absent: type[ReaderError]) -> Atr:
    """Warm reset where the card is active."""
    answer = link.ask(ICC_POWER_ON, slot=slot)
    if answer.failed:
        raise _error_of(answer, absent)
    try:
        atr = Atr.from_bytes(answer.data)
    except AtrError as error:
        raise CardMute(str(error)) from None
    first = atr.protocols[0] if atr.ta2 is None else atr.ta2 & 0x0F
    if first != T0 and not (link.is_ours and atr.ta2 is None and T0 in atr.protocols):
        raise CardMute(_REASONS[ERROR_PROTOCOL])
    if link.is_ours and atr.ta2 is None:
        _agree_on_speed(link, slot, atr, absent)
    return atr


def _agree_on_speed(link: SerialLink, slot: int, atr: Atr, absent: type[ReaderError]) -> None:
    """T=0 and what the card offers in TA1. Our firmware does the PPS, and falls back by itself to a lower speed."""
    speed = atr.ta1 if atr.ta1 and is_speed(atr.ta1) else DEFAULT_FI_DI
    if (atr.protocols[0], speed) == (T0, DEFAULT_FI_DI):
        return
    wanted = T0Parameters(speed, atr.tc1 or 0, atr.waiting_integer)
    answer = link.ask(SET_PARAMETERS, wanted.to_bytes(), slot=slot)
    if answer.icc != ICC_ACTIVE:
        raise _error_of(answer, absent)
    if answer.failed and link.ask(GET_PARAMETERS, slot=slot).last != T0:
        raise CardMute(_REASONS[ERROR_PROTOCOL])


def _error_of(answer: Answer, absent: type[ReaderError]) -> ReaderError:
    if answer.error == ERROR_BAD_SLOT:
        return ReaderUnavailable("no such slot")
    if answer.icc == ICC_ABSENT:
        return absent("no card in the slot")
    if answer.error == ERROR_DEACTIVATED:
        return CardRemoved("another card is in the slot, or the same one again")
    return CardMute(_REASONS.get(answer.error, f"slot error {answer.error:02X}"))
