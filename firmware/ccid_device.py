"""The reader as the host sees it: CCID commands in, echo and answer out (`reader.md A`)."""

from firmware.contact_line import ContactLine, HostLine
from firmware.slot import Limits, Slot, SlotError
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.messages import (
    ANSWER_TO,
    COMMAND_DONE,
    COMMAND_FAILED,
    ERROR_BAD_SLOT,
    ERROR_NOT_SUPPORTED,
    ESCAPE,
    ESCAPE_FIRMWARE_NAME,
    ESCAPE_PROMPTS,
    ESCAPE_TELL_SLOT_CHANGES,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    SLOT_STATUS,
    XFR_BLOCK,
    Answer,
    Command,
)
from protocols.ccid.serial_frame import (
    BAD_MESSAGE,
    MESSAGE,
    NAK_FRAME,
    SLOT_EMPTY,
    SLOT_FILLED,
    TIME_BYTE,
    FrameParser,
    frame,
)

FIRMWARE_NAME = b"ssc-terminal reader 0.1"

QUIET_MS = 200  # a frame that pauses this long will not be finished

CLOCK_STOPPED_LOW = 1  # bClockStatus


class CcidDevice:
    """One slot behind a host line.

    A command that arrives while another is being worked on makes the other's answer late: it is not sent.
    An XfrBlock equal to the last command in every byte, bSeq included, is the host asking again after an
    answer was lost: it gets the same answer and the card is not asked twice.
    A host that asked for slot changes hears of one between the echo and the answer of its next command.
    """

    def __init__(self, host: HostLine, line: ContactLine, limits: Limits) -> None:
        self._host = host
        self._slot = Slot(line, limits, self._busy)
        self._parser = FrameParser(from_reader=False)
        self._heard = ticks_ms()
        self._next: "Command | None" = None
        self._last: "tuple[Command, Answer] | None" = None
        self._told: "bool | None" = None  # whether a card is in, as the host heard it; None: it does not ask

    def serve(self) -> None:
        """Take what the host has sent and answer it; call at least every `QUIET_MS`."""
        self._hear()
        self._slot.poll()
        if self._parser.partial and elapsed_ms(self._heard) > QUIET_MS:
            self._take(self._parser.give_up())
        while self._next is not None:
            command, self._next = self._next, None
            self._host.write(frame(command.echo()))
            answer = self._answer(command)
            self._last = (command, answer)
            self._hear()
            if self._next is None:
                self._tell_slot_change()
                self._host.write(frame(answer.to_bytes()))

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
        if self._last is not None and command.kind == XFR_BLOCK and command == self._last[0]:
            return self._last[1]
        try:
            if command.slot != 0:
                raise SlotError(ERROR_BAD_SLOT)
            return self._reply(command, COMMAND_DONE, 0, self._do(command))
        except SlotError as error:
            return self._reply(command, COMMAND_FAILED, error.error, b"")

    def _do(self, command: Command) -> bytes:
        """Answer data; `SlotError`."""
        if command.kind == ICC_POWER_ON:
            return self._slot.power_on()
        if command.kind == ICC_POWER_OFF:
            self._slot.power_off()
        elif command.kind == XFR_BLOCK:
            return self._slot.exchange(command.data)
        elif command.kind == ESCAPE:
            return self._escape(command.data)
        elif command.kind != GET_SLOT_STATUS:
            raise SlotError(ERROR_NOT_SUPPORTED)
        return b""

    def _escape(self, data: bytes) -> bytes:
        """Prompts are taken and dropped: there is no display, and the driver gives up where they are refused."""
        if data == ESCAPE_FIRMWARE_NAME:
            return FIRMWARE_NAME
        if data == ESCAPE_TELL_SLOT_CHANGES:
            self._told = self._present
        elif data[:1] != bytes([ESCAPE_PROMPTS]):
            raise SlotError(ERROR_NOT_SUPPORTED)
        return b""

    def _reply(self, command: Command, done: int, error: int, data: bytes) -> Answer:
        kind = ANSWER_TO.get(command.kind, SLOT_STATUS)
        icc = self._slot.icc
        last = CLOCK_STOPPED_LOW if kind == SLOT_STATUS and icc != ICC_ACTIVE else 0
        return Answer(kind, command.slot, command.seq, done | icc, error, data, last)

    @property
    def _present(self) -> bool:
        return self._slot.icc != ICC_ABSENT

    def _tell_slot_change(self) -> None:
        if self._told is not None and self._told != self._present:
            self._told = self._present
            self._host.write(SLOT_FILLED if self._told else SLOT_EMPTY)

    def _busy(self) -> None:
        self._host.write(TIME_BYTE)
