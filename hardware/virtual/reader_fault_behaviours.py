"""How readers misbehave: commands and answers that turn into others, and when."""

from collections.abc import Callable

from hardware.virtual.faulty_reader import FaultyReader, frame_size
from protocols.ccid.messages import (
    ABORT,
    COMMAND_DONE,
    COMMAND_FAILED,
    DATA_BLOCK,
    ERROR_DEACTIVATED,
    ERROR_MUTE,
    GET_PARAMETERS,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_INACTIVE,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    PARAMETERS,
    RESET_PARAMETERS,
    SET_PARAMETERS,
    SLOT_STATUS,
    XFR_BLOCK,
    Answer,
    Command,
)
from protocols.ccid.parameters import ParameterError, T0Parameters
from protocols.ccid.serial_frame import lrc
from protocols.iso7816.pps import DEFAULT_FI_DI
from protocols.iso7816.t0 import T0Error, t0_command

CommandFault = Callable[[FaultyReader, Command], Command | Answer | None]
AnswerFault = Callable[[FaultyReader, Command, Answer], Answer]
When = Callable[[FaultyReader, Command, Answer], bool]

DONE = b"\x90\x00"
GET_RESPONSE = 0xC0
STORM = 5
"""NULL bytes from which on it is one."""
MANY_STATUSES, MANY_EQUAL = 7, 12
KNOWN = range(0x61, 0x74)


def changed(answer: Answer, data: bytes | None = None, *, status: int | None = None, error: int = 0) -> Answer:
    """The same answer with other data, or another status."""
    return Answer(
        answer.kind,
        answer.slot,
        answer.seq,
        answer.status if status is None else status,
        answer.error if status is None else error,
        answer.data if data is None else data,
        answer.last,
    )


def done(answer: Answer, data: bytes = b"") -> Answer:
    """Success instead of an error."""
    return changed(answer, data, status=COMMAND_DONE | ICC_ACTIVE)


def failed(answer: Answer, error: int = ERROR_MUTE) -> Answer:
    """An error instead of data."""
    return changed(answer, b"", status=COMMAND_FAILED | ICC_ACTIVE, error=error)


def answers(when: When, change: Callable[[Answer], Answer]) -> AnswerFault:
    """Some answers are others."""
    return lambda reader, command, answer: change(answer) if when(reader, command, answer) else answer


def to_card(when: Callable[[FaultyReader, bytes], bool], change: Callable[[bytes], bytes]) -> CommandFault:
    """Some TPDUs are sent to the card as others."""

    def fault(reader: FaultyReader, command: Command) -> Command:
        if command.kind != XFR_BLOCK or not when(reader, command.data):
            return command
        return Command(command.kind, command.slot, command.seq, change(command.data), command.special)

    return fault


def kind(wanted: int) -> When:
    return lambda _, command, __: command.kind == wanted


def from_card(wanted: Callable[[bytes, bytes], bool]) -> When:
    """Successful exchanges, by their TPDU and answer."""
    return lambda _, command, answer: (
        command.kind == XFR_BLOCK and not answer.failed and wanted(command.data, answer.data)
    )


def no_data(sw1: int) -> When:
    """Answers that are a status word and nothing else."""
    return from_card(lambda _, data: len(data) == 2 and data[0] == sw1)


def holding(reader: FaultyReader, *deeds: str) -> bool:
    """Whether just these go wrong now."""
    return sorted({rule.deed for rule in reader.holding}) == sorted(deeds)


def during(*deeds: str, of: int = XFR_BLOCK) -> When:
    return lambda reader, command, _: command.kind == of and holding(reader, *deeds)


def null_storm(reader: FaultyReader, command: Command, _: Answer) -> bool:
    return during("insert")(reader, command, _) and max(rule.count for rule in reader.holding) >= STORM


def few_nulls(reader: FaultyReader, command: Command, answer: Answer) -> bool:
    return during("insert")(reader, command, answer) and not null_storm(reader, command, answer)


def error_passed_over(deed: str, first: int, last: int) -> AnswerFault:
    """At an agreed speed an error at a character counts as an answer."""

    def when(reader: FaultyReader, command: Command, answer: Answer) -> bool:
        at = [rule.at for rule in reader.holding if rule.deed == deed]
        return command.kind == XFR_BLOCK and answer.failed and reader.fast and bool(at) and first <= at[0] <= last

    return answers(when, lambda answer: done(answer, DONE))


# Resets


def power_off_forgotten(reader: FaultyReader, command: Command) -> Command | Answer | None:
    """Powers off when the next command comes, unless that is to power on."""
    late, reader.out_of_step = reader.out_of_step, False
    if command.kind == ICC_POWER_OFF and command.slot == 0:
        reader.out_of_step = True
        return Answer(SLOT_STATUS, 0, command.seq, COMMAND_DONE | ICC_INACTIVE, last=1)
    if late and command.kind != ICC_POWER_ON:
        reader.ask(ICC_POWER_OFF)
    return command


def warm_is_cold(reader: FaultyReader, command: Command) -> Command:
    if command.kind == ICC_POWER_ON and reader.powered and not command.slot:
        reader.ask(ICC_POWER_OFF)
    return command


def rubbish_after_mute(reader: FaultyReader, command: Command, answer: Answer) -> Answer:
    if during("mute", of=ICC_POWER_ON)(reader, command, answer):
        reader.out_of_step = True
    elif reader.out_of_step and len(answer.data) > 2 and command.kind == XFR_BLOCK:
        reader.out_of_step = False
        return changed(answer, answer.data[1:])
    return answer


def last_byte_lost_bit(answer: Answer) -> Answer:
    return changed(answer, answer.data[:-1] + bytes(byte ^ 0x01 for byte in answer.data[-1:]))


# Speed


def pps_not_heard(deed: str, change: Callable[[Answer], Answer]) -> AnswerFault:
    """Goes on as if the card had agreed, and so hears something else than it says until the next reset."""

    def fault(reader: FaultyReader, command: Command, answer: Answer) -> Answer:
        if during(deed, of=SET_PARAMETERS)(reader, command, answer):
            reader.out_of_step = True
        elif command.kind == ICC_POWER_ON:
            reader.out_of_step = False
        return change(answer) if reader.out_of_step and command.kind == XFR_BLOCK else answer

    return fault


# Commands


def any_slot_is_0(reader: FaultyReader, command: Command) -> Command:  # noqa: ARG001
    return Command(command.kind, 0, command.seq, command.data, command.special)


def slot_as_asked(_: FaultyReader, command: Command, answer: Answer) -> Answer:
    return Answer(answer.kind, command.slot, answer.seq, answer.status, answer.error, answer.data, answer.last)


def bseq_before(reader: FaultyReader, command: Command, answer: Answer) -> Answer:  # noqa: ARG001
    if reader.statuses != MANY_STATUSES:
        return answer
    return Answer(answer.kind, answer.slot, answer.seq - 1 & 0xFF, answer.status, answer.error, answer.data)


def done_when_off(reader: FaultyReader, command: Command) -> Command | Answer:
    if command.kind != XFR_BLOCK or reader.powered or command.slot:
        return command
    return Answer(DATA_BLOCK, command.slot, command.seq, COMMAND_DONE | ICC_INACTIVE, data=DONE)


def cut_command_done(reader: FaultyReader, command: Command) -> Command | Answer:
    if command.kind == XFR_BLOCK and reader.powered and not command.slot:
        try:
            t0_command(command.data)
        except T0Error:
            return Answer(DATA_BLOCK, command.slot, command.seq, COMMAND_DONE | ICC_ACTIVE, data=b"\x67\x00")
    return command


def _parameters(command: Command, data: bytes) -> Answer:
    return Answer(PARAMETERS, command.slot, command.seq, COMMAND_DONE | ICC_ACTIVE, data=data)


def default_waiting_integer(reader: FaultyReader, command: Command, answer: Answer) -> Answer:
    if command.kind != GET_PARAMETERS or reader.parameters_set:
        return answer
    return changed(answer, answer.data[:3] + b"\x0a" + answer.data[4:])


def slow_ones_not_set(reader: FaultyReader, command: Command) -> Command | Answer:  # noqa: ARG001
    if command.kind == SET_PARAMETERS and command.data[:1] == bytes((DEFAULT_FI_DI,)) and len(command.data) == 5:
        return _parameters(command, command.data)
    return command


def not_reset(reader: FaultyReader, command: Command) -> Command | Answer:  # noqa: ARG001
    return _parameters(command, b"") if command.kind == RESET_PARAMETERS else command


def any_parameters(reader: FaultyReader, command: Command) -> Command | Answer:  # noqa: ARG001
    if command.kind == SET_PARAMETERS:
        try:
            T0Parameters.from_bytes(command.data)
        except ParameterError:
            return _parameters(command, command.data)
    return command


def abort_of_nothing(reader: FaultyReader, command: Command) -> Command | Answer:  # noqa: ARG001
    if command.kind != ABORT:
        return command
    return Answer(SLOT_STATUS, command.slot, command.seq, COMMAND_DONE | ICC_ACTIVE)


def one_after_the_other(reader: FaultyReader, command: Command) -> Command:
    if command.kind != ABORT:
        reader.finish()
    return command


def repeated_as_new(reader: FaultyReader, command: Command) -> Command:
    seq = command.seq + 0x80 * (reader.equal > 1 and command.kind == XFR_BLOCK) & 0xFF
    return Command(command.kind, command.slot, seq, command.data, command.special)


def bseq_as_asked(_: FaultyReader, command: Command, answer: Answer) -> Answer:
    return Answer(answer.kind, answer.slot, command.seq, answer.status, answer.error, answer.data, answer.last)


# Frames


def lrc_mended(_: FaultyReader, strange: bytes) -> bytes:
    return strange[:-1] + bytes((lrc(strange[:-1]),)) if frame_size(strange) == len(strange) else strange


def lost_by(these: Callable[[bytes], bool]) -> Callable[[FaultyReader, bytes], bytes]:
    """After such bytes only another command than GetSlotStatus brings the reader back into step."""

    def fault(reader: FaultyReader, strange: bytes) -> bytes:
        if not these(strange):
            return strange
        reader.out_of_step = True
        return b""

    return fault


def out_of_step(reader: FaultyReader, command: Command) -> Command | None:
    reader.out_of_step = reader.out_of_step and command.kind == GET_SLOT_STATUS
    return None if reader.out_of_step else command


# Moves


def swap_hidden(reader: FaultyReader, command: Command, answer: Answer) -> Answer:
    if command.kind != XFR_BLOCK or answer.error != ERROR_DEACTIVATED or not reader.powered or command.slot:
        return answer
    reader.ask(ICC_POWER_ON)
    again = reader.ask(XFR_BLOCK, command.data)
    return answer if again is None else done(answer, again.data)


def absent_as_done(reader: FaultyReader, command: Command, answer: Answer) -> bool:
    return command.kind == XFR_BLOCK and not command.slot and answer.icc == ICC_ABSENT and not holding(reader, "pull")
