"""The faults that a virtual reader may have, in the order of the checks that they make fail."""

from collections.abc import Callable

from hardware.virtual.faulty_reader import FaultyReader, ReaderFault, frame_size
from hardware.virtual.reader import ReaderStartError
from protocols.ccid.messages import (
    ABORT,
    COMMAND_DONE,
    COMMAND_FAILED,
    DATA_BLOCK,
    ERROR_DEACTIVATED,
    ERROR_MUTE,
    ERROR_PARITY,
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
from protocols.iso7816.test_card import ATR, GIVE, STATUS, TAKE, pattern

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


FAULTS: tuple[ReaderFault, ...] = (
    ReaderFault(
        "atr_bit",
        "复位应答末字节错一位",
        "a bit of the ATR's last byte is wrong",
        "RESET.atr",
        answer=answers(kind(ICC_POWER_ON), last_byte_lost_bit),
    ),
    ReaderFault(
        "power_off_forgotten",
        "下电后马上上电时不断电",
        "does not power off where power on follows",
        "RESET.cold",
        command=power_off_forgotten,
    ),
    ReaderFault("warm_is_cold", "热复位时断电", "a warm reset is a cold one", "RESET.warm", command=warm_is_cold),
    ReaderFault(
        "impatient_atr",
        "不等复位应答中的停顿",
        "does not wait for gaps in the ATR",
        "RESET.gaps",
        answer=answers(during("pause", of=ICC_POWER_ON), failed),
    ),
    ReaderFault(
        "rubbish_after_mute",
        "卡不应答之后丢一字节数据",
        "loses a byte of data after a mute reset",
        "RESET.mute",
        answer=rubbish_after_mute,
    ),
    ReaderFault(
        "atr_parity_ignored",
        "交出损坏的复位应答",
        "hands a damaged ATR on",
        "RESET.damaged",
        answer=answers(during("damage", of=ICC_POWER_ON), lambda answer: last_byte_lost_bit(done(answer, ATR))),
    ),
    ReaderFault(
        "case_1_with_data",
        "情形 1 返回 256 字节",
        "case 1 has 256 bytes back",
        "T0.case_1",
        answer=answers(
            from_card(lambda tpdu, data: tpdu[1] == STATUS and data == DONE),
            lambda answer: changed(answer, bytes(256) + answer.data),
        ),
    ),
    ReaderFault(
        "back_127",
        "返回 127 字节时少一字节",
        "one of 127 bytes back is lost",
        "T0.case_2",
        answer=answers(
            from_card(lambda tpdu, data: tpdu[1] == GIVE and len(data) == 129),
            lambda answer: changed(answer, answer.data[1:]),
        ),
    ),
    ReaderFault(
        "out_31",
        "发送 31 字节时末字节错",
        "the last of 31 bytes out is wrong",
        "T0.case_3",
        command=to_card(
            lambda _, tpdu: tpdu[1] == TAKE and tpdu[2:5] == b"\x90\x00\x1f",
            lambda tpdu: tpdu[:-1] + bytes((tpdu[-1] ^ 0xFF,)),
        ),
    ),
    ReaderFault(
        "response_32",
        "取回 32 字节时末字节错",
        "the last of 32 bytes of GET RESPONSE is wrong",
        "T0.case_4",
        answer=answers(
            from_card(lambda tpdu, data: tpdu[1] == GET_RESPONSE and len(data) == 34),
            lambda answer: changed(answer, answer.data[:31] + bytes((answer.data[31] ^ 0xFF,)) + answer.data[32:]),
        ),
    ),
    ReaderFault(
        "p3_zero_is_none",
        "P3=0 时不收数据",
        "P3=0: no data",
        "T0.p3_zero",
        answer=answers(
            from_card(lambda tpdu, data: tpdu[1] == GIVE and len(data) == 258),
            lambda answer: changed(answer, answer.data[-2:]),
        ),
    ),
    ReaderFault(
        "cut_at_254",
        "命令在 254 字节处截断",
        "cuts commands at 254 bytes",
        "T0.maximum",
        command=to_card(
            lambda _, tpdu: tpdu[1] == TAKE and len(tpdu) == 260, lambda tpdu: tpdu[:4] + b"\xfe" + tpdu[5:-1]
        ),
    ),
    ReaderFault(
        "more_data_swallowed",
        "吞掉 61xx",
        "swallows 61xx",
        "T0.more_data",
        answer=answers(no_data(0x61), lambda answer: changed(answer, DONE)),
    ),
    ReaderFault(
        "wrong_length_as_error",
        "6Cxx 变成 6700",
        "6Cxx becomes 6700",
        "T0.wrong_length",
        answer=answers(no_data(0x6C), lambda answer: changed(answer, b"\x67\x00")),
    ),
    ReaderFault(
        "sw_9f",
        "不认识 9Fxx",
        "does not know 9Fxx",
        "T0.any_status",
        answer=answers(no_data(0x9F), lambda answer: changed(answer, b"\x6f\x00")),
    ),
    ReaderFault(
        "warning_without_data",
        "警告状态字时丢弃数据",
        "drops the data before a warning",
        "T0.status_with_data",
        answer=answers(
            from_card(lambda _, data: len(data) > 2 and data[-2] == 0x62),
            lambda answer: changed(answer, answer.data[-2:]),
        ),
    ),
    ReaderFault(
        "null_as_data",
        "NULL 当作数据",
        "takes NULL for data",
        "T0.null",
        answer=answers(few_nulls, lambda answer: changed(answer, b"\x60" + answer.data)),
    ),
    ReaderFault(
        "null_storm_mute",
        "NULL 太多时放弃",
        "gives up where many NULLs come",
        "T0.null_storm",
        answer=answers(null_storm, failed),
    ),
    ReaderFault(
        "single_out_once",
        "逐字节发送时只发首字节",
        "single-byte ACK: only the first byte goes out",
        "T0.single_out",
        command=to_card(
            lambda reader, tpdu: tpdu[1] == TAKE and holding(reader, "single"),
            lambda tpdu: tpdu[:6] + bytes(len(tpdu) - 6),
        ),
    ),
    ReaderFault(
        "single_back_once",
        "逐字节返回时只收首字节",
        "single-byte ACK: only the first byte comes back",
        "T0.single_back",
        answer=answers(
            lambda reader, command, answer: during("single")(reader, command, answer) and command.data[1] == GIVE,
            lambda answer: changed(answer, answer.data[:1] + answer.data[-2:]),
        ),
    ),
    ReaderFault(
        "null_between_lost",
        "逐字节之间遇 NULL 即放弃",
        "gives up at a NULL between single bytes",
        "T0.null_between",
        answer=answers(during("insert", "single"), failed),
    ),
    ReaderFault(
        "mute_is_end",
        "卡在数据中间沉默：当作结束",
        "silence within the data is taken for the end",
        "T0.mute",
        answer=error_passed_over("mute", 1, 255),
    ),
    ReaderFault(
        "any_procedure_byte",
        "错误的过程字节当作完成",
        "any procedure byte is taken for the end",
        "T0.procedure_byte",
        answer=error_passed_over("replace", 0, 255),
    ),
    ReaderFault(
        "procedure_parity_ignored",
        "过程字节的校验错不报",
        "passes over parity of procedure bytes",
        "CHAR.procedure_byte",
        answer=error_passed_over("damage", 0, 0),
    ),
    ReaderFault(
        "data_parity_ignored",
        "数据的校验错不报",
        "passes over parity of data",
        "CHAR.data",
        answer=error_passed_over("damage", 1, 40),
    ),
    ReaderFault(
        "status_parity_ignored",
        "状态字的校验错不报",
        "passes over parity of status words",
        "CHAR.status",
        answer=error_passed_over("damage", 41, 255),
    ),
    ReaderFault(
        "tires",
        "连续第十二次相同命令出错",
        "the twelfth equal command in a row fails",
        "SPEED.thousand",
        answer=answers(
            lambda reader, command, _: command.kind == XFR_BLOCK and reader.equal == MANY_EQUAL,
            lambda answer: changed(answer, b"\x6f\x00"),
        ),
    ),
    ReaderFault(
        "pps_refusal_ignored",
        "不理会卡拒绝 PPS",
        "passes over a refused PPS",
        "SPEED.refused",
        answer=pps_not_heard("refuse", failed),
    ),
    ReaderFault(
        "pps_alteration_ignored",
        "不理会卡改动 PPS",
        "passes over an altered PPS",
        "SPEED.altered",
        answer=pps_not_heard("replace", lambda answer: changed(answer, bytes(len(answer.data) - 2) + answer.data[-2:])),
    ),
    ReaderFault(
        "bseq_late",
        "连续查询时序号落后",
        "bSeq falls behind when asked often",
        "CCID.status",
        answer=bseq_before,
    ),
    ReaderFault(
        "off_is_active",
        "再次下电时说卡已激活",
        "says active when powered off again",
        "CCID.power_off",
        answer=answers(
            lambda reader, command, _: command.kind == ICC_POWER_OFF and not reader.powered,
            lambda answer: changed(answer, status=COMMAND_DONE | ICC_ACTIVE),
        ),
    ),
    ReaderFault(
        "any_slot_is_0",
        "任何卡槽都当作 0 号",
        "any slot is slot 0",
        "CCID.bad_slot",
        command=any_slot_is_0,
        answer=slot_as_asked,
    ),
    ReaderFault(
        "unknown_done",
        "未知命令也说完成",
        "unknown commands are done",
        "CCID.unsupported",
        answer=answers(lambda _, command, __: command.kind not in KNOWN, done),
    ),
    ReaderFault("done_when_off", "未上电也说完成", "success when off", "CCID.transfer_when_off", command=done_when_off),
    ReaderFault(
        "cut_command_done",
        "残缺命令也回状态字",
        "a truncated TPDU has a status word",
        "CCID.cut_command",
        command=cut_command_done,
    ),
    ReaderFault(
        "default_waiting_integer",
        "不看 TC2",
        "passes over TC2",
        "CCID.get_parameters",
        answer=default_waiting_integer,
    ),
    ReaderFault(
        "parameters_not_set", "不设置参数", "does not set parameters", "CCID.set_parameters", command=slow_ones_not_set
    ),
    ReaderFault(
        "parameters_not_reset", "不复原参数", "does not reset parameters", "CCID.reset_parameters", command=not_reset
    ),
    ReaderFault(
        "any_parameters", "什么参数都接受", "accepts any parameters", "CCID.bad_parameters", command=any_parameters
    ),
    ReaderFault(
        "parity_is_mute",
        "校验错说成不应答",
        "says mute for parity",
        "CCID.causes",
        answer=answers(lambda _, __, answer: answer.failed and answer.error == ERROR_PARITY, failed),
    ),
    ReaderFault("abort_of_nothing", "中止后命令照做", "goes on after Abort", "CCID.abort", command=abort_of_nothing),
    ReaderFault(
        "late_answer_kept",
        "先发出迟到的应答",
        "sends a late answer first",
        "CCID.late_answer",
        command=one_after_the_other,
    ),
    ReaderFault(
        "repeated_as_new",
        "重发的命令再做一次",
        "does a command again that is sent again",
        "CCID.asked_again",
        command=repeated_as_new,
        answer=bseq_as_asked,
    ),
    ReaderFault("lrc_ignored", "不查 LRC", "passes over the LRC", "FRAME.bad_lrc", strange=lrc_mended),
    ReaderFault(
        "lost_by_half_a_frame",
        "残缺帧之后不再回答状态",
        "is lost after half a frame",
        "FRAME.cut",
        strange=lost_by(lambda strange: frame_size(strange) > len(strange)),
        command=out_of_step,
    ),
    ReaderFault(
        "lost_by_noise",
        "杂音之后不再回答状态",
        "is lost after noise",
        "FRAME.noise",
        strange=lost_by(lambda strange: frame_size(strange) == 0),
        command=out_of_step,
    ),
    ReaderFault(
        "echo_forgotten",
        "连续查询时忘记回显",
        "forgets an echo when asked often",
        "FRAME.echo",
        echo=lambda reader: reader.statuses != MANY_STATUSES,
    ),
    ReaderFault(
        "removal_unseen",
        "看不到卡被取出",
        "does not see that the card has left",
        "MOVE.seen",
        answer=answers(
            lambda _, command, answer: (
                command.kind == GET_SLOT_STATUS and not command.slot and answer.icc == ICC_ABSENT
            ),
            lambda answer: changed(answer, status=COMMAND_DONE | ICC_INACTIVE),
        ),
    ),
    ReaderFault(
        "done_without_card",
        "卡已取出也说完成",
        "success where the card has left",
        "MOVE.at_random",
        answer=answers(absent_as_done, lambda answer: done(answer, DONE)),
    ),
    ReaderFault(
        "pulled_is_end",
        "应答中途拔卡：当作结束",
        "removal within an answer is taken for its end",
        "MOVE.within_answer",
        answer=answers(
            lambda reader, command, answer: during("pull")(reader, command, answer) and answer.failed,
            lambda answer: done(answer, pattern(1) + DONE),
        ),
    ),
    ReaderFault("swap_hidden", "换卡后继续如常", "hides that a card was swapped", "MOVE.swapped", answer=swap_hidden),
)


def fault_named(name: str) -> ReaderFault:
    """`ReaderStartError` where there is none."""
    for fault in FAULTS:
        if fault.name == name:
            return fault
    raise ReaderStartError(f"no reader has the fault {name}")
