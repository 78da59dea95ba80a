"""The reader as the host sees it: CCID commands in, echo and answer out (`reader.md A`)."""

from firmware.characters import BUSY_MS
from firmware.contact_line import ContactLine, HostLine
from firmware.limits import CLOCK_KHZ, Limits
from firmware.pin_pad import MIN_DIGITS, VALIDATION, EntryEnded, PinPad
from firmware.service import Service
from firmware.slot import Slot
from firmware.slot_error import SlotError
from firmware.ticks import elapsed_ms, ticks_ms
from firmware.version import VERSION
from protocols.ccid.messages import (
    ABORT,
    CLOCK_STOPPED_LOW,
    COMMAND_DONE,
    COMMAND_FAILED,
    ERROR_ABORTED,
    ERROR_BAD_CLOCK_COMMAND,
    ERROR_BAD_POWER_SELECT,
    ERROR_BAD_SLOT,
    ERROR_MUTE,
    ERROR_NOT_SUPPORTED,
    ERROR_PROTOCOL,
    ESCAPE,
    ESCAPE_FIRMWARE_NAME,
    ESCAPE_PROMPTS,
    ESCAPE_SERVICE,
    ESCAPE_TELL_SLOT_CHANGES,
    GET_PARAMETERS,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_CLOCK,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    OUR_FIRMWARE,
    PARAMETERS,
    POWER_1V8,
    POWER_3V,
    POWER_5V,
    POWER_AUTOMATIC,
    RESET_PARAMETERS,
    SECURE,
    SET_DATA_RATE_AND_CLOCK,
    SET_PARAMETERS,
    SLOT_STATUS,
    XFR_BLOCK,
    Answer,
    Command,
)
from protocols.ccid.parameters import (
    AT_CLOCK,
    AT_DATA_RATE,
    AT_FI_DI,
    AT_PROTOCOL,
    T0,
    T1,
    ParameterError,
    T0Parameters,
    T1Parameters,
    rate_from_bytes,
    rate_to_bytes,
)
from protocols.ccid.secure import (
    ESCAPE_FEATURES,
    ESCAPE_FORBID,
    ESCAPE_WAS_FORBIDDEN,
    MAX_DIGITS,
    PinRequest,
    features,
)
from protocols.ccid.serial_frame import (
    BAD_MESSAGE,
    MESSAGE,
    NAK_FRAME,
    QUIET_MS,
    SLOT_EMPTY,
    SLOT_FILLED,
    TIME_BYTE,
    FrameParser,
    frame,
)
from protocols.iso7816.atr import CLASS_A, CLASS_B, CLASS_C, EVERY_CLASS
from protocols.iso7816.pps import bits_per_s

FIRMWARE_NAME = OUR_FIRMWARE + b" reader " + VERSION.encode()

REPEATED = (XFR_BLOCK, SECURE)  # never done twice for one host that lost the answer
AT_LEVEL_PARAMETER = 8

CLOCK_RESTART = 0  # bClockCommand

_PARAMETERS: "dict[int, type[T0Parameters] | type[T1Parameters]]" = {T0: T0Parameters, T1: T1Parameters}
_CLASSES = {POWER_AUTOMATIC: EVERY_CLASS, POWER_5V: CLASS_A, POWER_3V: CLASS_B, POWER_1V8: CLASS_C}


class CcidDevice:
    """Slots behind a host line.

    A command that arrives while another is being worked on makes the other's answer late: it is not sent.
    Abort does not even wait for it: the card is powered off in the middle.
    An XfrBlock or Secure equal to the last command in every byte, bSeq included, is the host asking again after an
    answer was lost: it gets the same answer and neither card nor holder is asked twice.
    A PIN entry is ended by any command, but once the card has the PIN by none, and Abort then gets both answers: a
    host must know whether a PIN was changed.
    A host that asked for slot changes hears of one between the echo and the answer of its next command.
    """

    def __init__(
        self,
        host: HostLine,
        lines: "tuple[ContactLine, ...]",
        limits: Limits,
        service: "Service | None" = None,
        pad: "PinPad | None" = None,
    ) -> None:
        self._host = host
        self._service = service
        self._pad = pad
        self._slots = tuple([Slot(line, limits, self._busy) for line in lines])
        if service is not None:
            service.attend(self._slots)
        self._parser = FrameParser(from_reader=False)
        self._heard = ticks_ms()
        self._next: "Command | None" = None
        self._doing = 0
        self._told_time = ticks_ms()
        self._last: "tuple[Command, Answer] | None" = None
        self._told: "bool | None" = None  # whether a card is in, as the host heard it; None: it does not ask

    def serve(self) -> int:
        """Take what the host has sent and answer it; call at least every `QUIET_MS`. How many commands that were."""
        served = 0
        if self._parser.partial and elapsed_ms(self._heard) >= QUIET_MS:
            self._take(self._parser.give_up())
        self._hear()
        for slot in self._slots:
            slot.poll()
        while self._next is not None:
            command, self._next = self._next, None
            self._host.write(frame(command.echo()))
            self._doing = command.kind
            answer = self._answer(command)
            self._last = (command, answer) if command.kind in REPEATED else None
            self._hear()
            if self._next is None or (command.kind == SECURE and self._next.kind == ABORT):
                self._tell_slot_change()
                self._host.write(frame(answer.to_bytes()))
            if self._service is not None:
                self._service.note(command, answer)
            served += 1
        return served

    def _hear(self) -> None:
        data = self._host.read()
        while data:
            self._heard = ticks_ms()
            self._take(self._parser.feed(data))
            data = self._host.read()

    def _take(self, found: "list[tuple[int, bytes]]") -> None:
        bad = False
        for kind, message in found:
            if kind == MESSAGE and not message[0] & 0x80:
                self._next = Command.from_bytes(message)
            elif kind == BAD_MESSAGE:
                bad = True
        if bad and self._next is None:
            self._host.write(NAK_FRAME)

    def _answer(self, command: Command) -> Answer:
        last = self._last
        if last is not None and command.seq == last[0].seq and command == last[0]:
            return last[1]
        try:
            if command.slot >= len(self._slots):
                raise SlotError(ERROR_BAD_SLOT)
            return self._reply(command, COMMAND_DONE, 0, self._do(command, self._slots[command.slot]))
        except SlotError as error:
            return self._reply(command, COMMAND_FAILED, error.error, b"")
        except ParameterError as error:
            return self._reply(command, COMMAND_FAILED, error.offset, b"")

    def _do(self, command: Command, slot: Slot) -> bytes:
        """Answer data; `SlotError`, `ParameterError`."""
        kind = command.kind
        if kind == ICC_POWER_ON:
            if command.special[0] not in _CLASSES:
                raise SlotError(ERROR_BAD_POWER_SELECT)
            return slot.power_on(_CLASSES[command.special[0]])
        if kind == ICC_POWER_OFF:
            slot.power_off()
        elif kind == XFR_BLOCK:
            return slot.exchange(command.data, command.special[0])
        elif kind == SECURE:
            return self._secure(command, slot)
        elif kind == ESCAPE:
            return self._escape(command.data)
        elif kind in (GET_PARAMETERS, RESET_PARAMETERS, SET_PARAMETERS):
            return _parameters(command, slot)
        elif kind == SET_DATA_RATE_AND_CLOCK:
            return _set_rate(command, slot)
        elif kind == ICC_CLOCK:
            slot.check_active()
            if command.special[0] != CLOCK_RESTART:
                raise SlotError(ERROR_BAD_CLOCK_COMMAND)
        elif kind not in (GET_SLOT_STATUS, ABORT):
            raise SlotError(ERROR_NOT_SUPPORTED)
        return b""

    def _escape(self, data: bytes) -> bytes:
        """Prompts are taken and dropped: there is no display, and the driver gives up where they are refused."""
        if data == ESCAPE_FIRMWARE_NAME:
            return FIRMWARE_NAME
        if data == ESCAPE_TELL_SLOT_CHANGES:
            self._told = self._present
        elif self._pad is not None and data == ESCAPE_FEATURES:
            return features(VALIDATION, MIN_DIGITS, MAX_DIGITS)
        elif self._pad is not None and data[: len(ESCAPE_FORBID)] == ESCAPE_FORBID:
            self._pad.forbidden.arm(data)
        elif self._pad is not None and data == ESCAPE_WAS_FORBIDDEN:
            return self._pad.forbidden.tell()
        elif self._service is not None and data.startswith(ESCAPE_SERVICE):
            return self._service.escape(data)
        elif data[:1] != bytes([ESCAPE_PROMPTS]):
            raise SlotError(ERROR_NOT_SUPPORTED)
        return b""

    def _secure(self, command: Command, slot: Slot) -> bytes:
        """What the card answers to the PIN that the holder enters; `SlotError`, `ParameterError`."""
        if self._pad is None:
            raise SlotError(ERROR_NOT_SUPPORTED)
        if command.special[1:] != bytes(2):
            raise ParameterError(AT_LEVEL_PARAMETER)
        request = PinRequest.from_bytes(command.data)
        slot.check_active()
        if slot.protocol != T0:
            raise SlotError(ERROR_PROTOCOL)
        self._told_time = ticks_ms()
        try:
            return self._pad.enter(request, slot.exchange, lambda: self._look(slot))
        except EntryEnded as error:
            raise SlotError(error.error)  # noqa: B904 - MicroPython does not chain

    def _look(self, slot: Slot) -> int:
        """Why a PIN entry must end, as bError; 0 where it may go on."""
        slot.poll()
        if slot.icc != ICC_ACTIVE:
            return ERROR_MUTE
        if elapsed_ms(self._told_time) < BUSY_MS:
            self._hear()
        else:
            self._told_time = ticks_ms()
            self._busy()
        return 0 if self._next is None else ERROR_ABORTED

    def _reply(self, command: Command, done: int, error: int, data: bytes) -> Answer:
        kind = command.answer_kind
        icc = self._slots[command.slot].icc if command.slot < len(self._slots) else ICC_ABSENT
        last = self._slots[command.slot].parameters.PROTOCOL if kind == PARAMETERS and icc != ICC_ABSENT else 0
        if kind == SLOT_STATUS and icc != ICC_ACTIVE:
            last = CLOCK_STOPPED_LOW
        return Answer(kind, command.slot, command.seq, done | icc, error, data, last)

    @property
    def _present(self) -> bool:
        return self._slots[0].icc != ICC_ABSENT

    def _tell_slot_change(self) -> None:
        if self._told is not None and self._told != self._present:
            self._told = self._present
            self._host.write(SLOT_FILLED if self._told else SLOT_EMPTY)

    def _busy(self) -> bool:
        """Whether to go on waiting for the card."""
        self._host.write(TIME_BYTE)
        self._hear()
        return self._next is None or self._next.kind != ABORT or self._doing == SECURE


def _parameters(command: Command, slot: Slot) -> bytes:
    """Get, reset or set; those that hold."""
    slot.check_active()
    if command.kind == RESET_PARAMETERS:
        slot.reset_parameters()
    elif command.kind == SET_PARAMETERS:
        kind = _PARAMETERS.get(command.special[0])
        if kind is None:
            raise ParameterError(AT_PROTOCOL)
        if not slot.set_parameters(kind.from_bytes(command.data)):
            raise ParameterError(AT_FI_DI if slot.parameters.PROTOCOL == kind.PROTOCOL else AT_PROTOCOL)
    return slot.parameters.to_bytes()


def _set_rate(command: Command, slot: Slot) -> bytes:
    """Clock and data rate that hold."""
    slot.check_active()
    clock_khz, bits = rate_from_bytes(command.data)
    if clock_khz != CLOCK_KHZ:
        raise ParameterError(AT_CLOCK)
    fi_di = slot.speed_of(bits)
    if fi_di is None or not slot.set_parameters(slot.parameters.at_speed(fi_di)):
        raise ParameterError(AT_DATA_RATE)
    return rate_to_bytes(CLOCK_KHZ, bits_per_s(fi_di, CLOCK_KHZ))
