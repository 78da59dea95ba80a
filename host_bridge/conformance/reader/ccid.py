"""CCID: the reader's own commands, answer by answer (reader.md A.1-A.5, B.5; CCID 1.1, chapter 6)."""

from host_bridge.conformance.case import Case, Unable, Unexpected
from host_bridge.conformance.reader.bench import CCID, CONTACT_LINE, SELECT_MF, TEST_CARD, Bench
from host_bridge.conformance.reader.ccid_port import CcidPort, error_name
from protocols.ccid.messages import (
    ABORT,
    ERROR_BAD_SLOT,
    ERROR_MUTE,
    ERROR_NOT_SUPPORTED,
    ERROR_PARITY,
    ERROR_PROCEDURE_BYTE,
    ESCAPE,
    ESCAPE_FIRMWARE_NAME,
    GET_PARAMETERS,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_INACTIVE,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    OUR_FIRMWARE,
    RESET_PARAMETERS,
    SET_PARAMETERS,
    XFR_BLOCK,
    Answer,
)
from protocols.ccid.parameters import T0Parameters
from protocols.iso7816 import test_card
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.iso7816.pps import DEFAULT_FI_DI
from protocols.iso7816.status import SW_SUCCESS
from protocols.iso7816.test_card import Arming, Told

NO_SLOT = 0xFF
UNKNOWN_KINDS = (0x60, 0x7F)
"""Reserved: no version of CCID gives them a meaning."""
CUT = (b"\x00\xa4", b"\x00\xa4\x00\x00\x05\x3f\x00", b"\x00\xa4\x00\x00\x02\x3f\x00\x00\x00")
"""Shorter than a header; shorter and longer than its P3."""
QUIET_S = 0.3
"""After the card has done, in which a late answer would have come."""
BEGINS_S = 0.4
"""In which a reader has begun; most have sent an echo or a time byte then."""
ANSWERS_WITHIN_S = 1.0
ICC_NAMES = {ICC_ACTIVE: "active", ICC_INACTIVE: "inactive", ICC_ABSENT: "absent"}
BAD_FI_DI, SHORT_PARAMETERS = bytes.fromhex("7100000A00"), bytes.fromhex("1100")
OTHER_WAITING_INTEGER = 5


def status(bench: Bench) -> None:
    """Each with its own bSeq, and the card as it is."""
    with bench.ccid() as port:
        port.do(ICC_POWER_OFF)
        for icc in (ICC_INACTIVE, ICC_ACTIVE):
            if icc == ICC_ACTIVE:
                port.do(ICC_POWER_ON)
            for _ in range(bench.effort.statuses):
                _must_be(port.do(GET_SLOT_STATUS), icc)


def power_off(bench: Bench) -> None:
    """Also where it is off."""
    with bench.ccid() as port:
        port.do(ICC_POWER_ON)
        for _ in range(2):
            _must_be(port.do(ICC_POWER_OFF), ICC_INACTIVE)
            _must_be(port.do(GET_SLOT_STATUS), ICC_INACTIVE)


def bad_slot(bench: Bench) -> None:
    with bench.ccid() as port:
        port.do(ICC_POWER_ON)
        for kind, data in ((GET_SLOT_STATUS, b""), (ICC_POWER_ON, b""), (XFR_BLOCK, SELECT_MF.to_tpdu())):
            _error(port.refused(kind, data, slot=NO_SLOT), ERROR_BAD_SLOT)
        _works(port)


def unsupported(bench: Bench) -> None:
    with bench.ccid() as port:
        port.do(ICC_POWER_ON)
        for kind in UNKNOWN_KINDS:
            _error(port.refused(kind), ERROR_NOT_SUPPORTED)
            _works(port)


def transfer_when_off(bench: Bench) -> None:
    with bench.ccid() as port:
        port.do(ICC_POWER_OFF)
        port.refused(XFR_BLOCK, SELECT_MF.to_tpdu())
        port.do(ICC_POWER_ON)
        _works(port)


def cut_command(bench: Bench) -> None:
    """Refused; a reader that takes them as they are meets a test card that waits for the rest."""
    with bench.ccid() as port:
        for data in CUT:
            port.do(ICC_POWER_ON)
            port.refused(XFR_BLOCK, data)
            port.do(ICC_POWER_ON)
            _works(port)


def get_parameters(bench: Bench) -> None:
    with bench.ccid() as port:
        atr = Atr.from_bytes(port.do(ICC_POWER_ON).data)
        _parameters(_optional(port, GET_PARAMETERS), _told_by(atr))


def set_parameters(bench: Bench) -> None:
    """Those that need no PPS."""
    with bench.ccid() as port:
        atr = Atr.from_bytes(port.do(ICC_POWER_ON).data)
        wanted = T0Parameters(DEFAULT_FI_DI, atr.tc1 or 0, OTHER_WAITING_INTEGER)
        _optional(port, SET_PARAMETERS, wanted.to_bytes())
        _parameters(_optional(port, GET_PARAMETERS), wanted)
        _works(port)


def reset_parameters(bench: Bench) -> None:
    with bench.ccid() as port:
        atr = Atr.from_bytes(port.do(ICC_POWER_ON).data)
        changed = T0Parameters(DEFAULT_FI_DI, atr.tc1 or 0, OTHER_WAITING_INTEGER)
        _optional(port, SET_PARAMETERS, changed.to_bytes())
        _optional(port, RESET_PARAMETERS)
        _parameters(_optional(port, GET_PARAMETERS), _told_by(atr))


def bad_parameters(bench: Bench) -> None:
    """Refused, and the old ones stay."""
    with bench.ccid() as port:
        port.do(ICC_POWER_ON)
        before = _optional(port, GET_PARAMETERS).data
        for data in (BAD_FI_DI, SHORT_PARAMETERS):
            port.refused(SET_PARAMETERS, data)
        if port.do(GET_PARAMETERS).data != before:
            raise Unexpected("GetParameters", "as before", "others")


def causes(bench: Bench) -> None:
    """The slot error says what the card did."""
    with bench.ccid() as port:
        for deed, error in (("damage", ERROR_PARITY), ("mute", ERROR_MUTE), ("replace", ERROR_PROCEDURE_BYTE)):
            port.do(ICC_POWER_ON)
            _exchange(port, Arming("command", deed, characters=b"\x00").to_command())
            _error(port.refused(XFR_BLOCK, test_card.give(9).to_tpdu()), error)


def abort(bench: Bench) -> None:
    """Answered at once; nothing of the command that it ends comes later."""
    with bench.ccid() as port:
        ends = port.clock() + bench.effort.busy_s + QUIET_S
        answer = _interrupted(bench, port, ABORT)
        if answer.failed and answer.error == ERROR_NOT_SUPPORTED:
            raise Unable("读卡器没有 Abort", "the reader has no Abort")
        if answer.failed:
            raise Unexpected("Abort", "success", error_name(answer))
        _quiet(port, ends)
        port.do(ICC_POWER_ON)
        _works(port)


def late_answer(bench: Bench) -> None:
    """A host that asks something else has given up: the answer to what it asked before is dropped."""
    with bench.ccid() as port:
        ends = port.clock() + bench.effort.busy_s + QUIET_S
        answer = _interrupted(bench, port, GET_SLOT_STATUS)
        if answer.failed:
            raise Unexpected("GetSlotStatus", "success", error_name(answer))
        _quiet(port, ends)
        port.do(ICC_POWER_ON)
        _works(port)


def asked_again(bench: Bench) -> None:
    """The same command with the same bSeq, as after a lost answer, is done once and answered twice."""
    with bench.ccid() as port:
        if not port.do(ESCAPE, ESCAPE_FIRMWARE_NAME).data.startswith(OUR_FIRMWARE):
            raise Unable(
                "读卡器不承诺重发的命令只执行一次", "the reader does not promise that a command sent again is done once"
            )
        port.do(ICC_POWER_ON)
        before = _told(port).commands
        command = port.command(XFR_BLOCK, test_card.give(9).to_tpdu())
        for _ in range(2):
            port.send(command)
            _must_give(port.answer_to(command), 9)
        done = _told(port).commands - before - 1
        if done != 1:
            raise Unexpected("XfrBlock twice with one bSeq", "done once", f"done {done} times")


def _interrupted(bench: Bench, port: CcidPort, kind: int) -> Answer:
    """The answer to a command that is sent while the card takes its time for another."""
    port.do(ICC_POWER_ON)
    _exchange(port, bench.effort.busy.to_command())
    port.send(port.command(XFR_BLOCK, test_card.give(9).to_tpdu()))
    port.next(BEGINS_S)
    command = port.command(kind)
    port.send(command)
    return port.answer_to(command, ANSWERS_WITHIN_S)


def _quiet(port: CcidPort, ends: float) -> None:
    """Until this time, and `QUIET_S` at least."""
    answer = port.next_answer(max(ends - port.clock(), QUIET_S))
    if answer is not None:
        raise Unexpected("after the answer", "nothing", f"an answer, bSeq {answer.seq}")


def _optional(port: CcidPort, kind: int, data: bytes = b"") -> Answer:
    """`Unable` where the reader lacks the command, which libccid's serial profiles never send."""
    answer = port.ask(kind, data)
    if answer.failed and answer.error == ERROR_NOT_SUPPORTED:
        raise Unable("读卡器没有参数命令", "the reader lacks the commands for parameters")
    if answer.failed:
        raise Unexpected(f"{kind:02X}", "success", error_name(answer))
    return answer


def _told_by(atr: Atr) -> T0Parameters:
    speed = (atr.ta1 or DEFAULT_FI_DI) if atr.ta2 is not None else DEFAULT_FI_DI
    return T0Parameters(speed, atr.tc1 or 0, atr.waiting_integer)


def _parameters(answer: Answer, expected: T0Parameters) -> None:
    if answer.data != expected.to_bytes():
        raise Unexpected("GetParameters", expected.to_bytes().hex().upper(), answer.data.hex().upper())


def _exchange(port: CcidPort, command: CommandApdu) -> ResponseApdu:
    return ResponseApdu.from_bytes(port.do(XFR_BLOCK, command.to_tpdu()).data)


def _told(port: CcidPort) -> Told:
    return Told.from_bytes(_exchange(port, test_card.tell()).data)


def _works(port: CcidPort) -> None:
    if len(port.do(XFR_BLOCK, SELECT_MF.to_tpdu()).data) < 2:
        raise Unexpected("XfrBlock", "a status word", "none")


def _must_give(answer: Answer, count: int) -> None:
    expected = ResponseApdu(test_card.pattern(count), SW_SUCCESS).to_bytes()
    if answer.failed or answer.data != expected:
        raise Unexpected("XfrBlock", f"success + {len(expected)}", error_name(answer))


def _must_be(answer: Answer, icc: int) -> None:
    if answer.icc != icc:
        raise Unexpected("bmICCStatus", ICC_NAMES[icc], ICC_NAMES.get(answer.icc, str(answer.icc)))


def _error(answer: Answer, error: int) -> None:
    if answer.error != error:
        raise Unexpected(f"answer {answer.kind:02X}", f"bError {error:02X}", error_name(answer))


COMMANDS = (CCID,)
LINE = (CCID, TEST_CARD, CONTACT_LINE)

CASES = (
    Case("CCID.status", "200 次查询状态", "200 status requests", "A.2, D", status, COMMANDS),
    Case("CCID.power_off", "下电后卡不再激活", "Power off is off", "A.2", power_off, COMMANDS),
    Case("CCID.bad_slot", "没有的卡槽", "A slot that there is not", "B.5, D", bad_slot, COMMANDS),
    Case("CCID.unsupported", "未知命令", "Unknown commands", "B.5, D", unsupported, COMMANDS),
    Case("CCID.transfer_when_off", "未上电时传输", "Transfer when off", "D", transfer_when_off, COMMANDS),
    Case("CCID.cut_command", "残缺的 TPDU", "Truncated TPDU", "A.5, D", cut_command, COMMANDS),
    Case("CCID.get_parameters", "参数如复位应答所述", "Parameters as in the ATR", "A.2, D", get_parameters, COMMANDS),
    Case("CCID.set_parameters", "设置参数", "Parameters are set", "A.2, D", set_parameters, COMMANDS),
    Case("CCID.reset_parameters", "复原参数", "Parameters are reset", "D", reset_parameters, COMMANDS),
    Case("CCID.bad_parameters", "错误参数被拒", "Wrong parameters are refused", "A.2", bad_parameters, COMMANDS),
    Case("CCID.causes", "错误码说明原因", "Errors tell the cause", "A.5, B.5", causes, LINE),
    Case("CCID.abort", "中止", "Abort", "A.2", abort, LINE),
    Case("CCID.late_answer", "迟到的应答不发出", "A late answer is dropped", "A.1", late_answer, LINE),
    Case("CCID.asked_again", "重发的命令只执行一次", "A command sent again is done once", "A.1", asked_again, LINE),
)
