"""T0: the four cases, procedure bytes, status words and lengths of T=0 (reader.md B.4, A.5)."""

from host_bridge.conformance.case import Case, Unable, Unexpected, answer_name
from host_bridge.conformance.reader.bench import CONTACT_LINE, NULL, OK, TEST_CARD, Bench, TestedCard, apdu_name
from protocols.iso7816 import status, test_card
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.test_card import Arming

LENGTHS = (1, 2, 31, 32, 127, 128, 254)
MAX_OUT, MAX_BACK = 255, 256
SHORT = 24
STATUS_SW1 = (*range(0x62, 0x6C), *range(0x6D, 0x70), *range(0x90, 0xA0))
"""Every SW1 but 60, which is NULL, and 61 and 6C, which have checks of their own."""


def case_1(bench: Bench) -> None:
    with bench.card() as card:
        card.expect(test_card.status_only(status.SW_SUCCESS), OK)


def case_2(bench: Bench) -> None:
    with bench.card() as card:
        for count in LENGTHS:
            card.gives(count)


def case_3(bench: Bench) -> None:
    with bench.card() as card:
        for count in LENGTHS:
            card.takes(bench.random.randbytes(count))


def case_4(bench: Bench) -> None:
    """The data come with the answer, or after GET RESPONSE where the reader leaves that to the host."""
    with bench.card() as card:
        for count in LENGTHS:
            data = bench.random.randbytes(count)
            command = test_card.take(data, status.SW1_MORE_DATA << 8 | count)
            answer = card.send(command)
            if not answer.data:
                answer = card.send(CommandApdu(0x00, 0xC0, 0x00, 0x00, le=count))
            if answer != ResponseApdu(data, status.SW_SUCCESS):
                raise Unexpected(apdu_name(command), f"9000 + {count}", answer_name(answer))


def p3_zero(bench: Bench) -> None:
    with bench.card() as card:
        card.gives(MAX_BACK)


def maximum(bench: Bench) -> None:
    with bench.card() as card:
        card.takes(bench.random.randbytes(MAX_OUT))


def more_data(bench: Bench) -> None:
    with bench.card() as card:
        _untouched(card, test_card.take(bench.random.randbytes(5), 0x6105), 0x6105)


def wrong_length(bench: Bench) -> None:
    with bench.card() as card:
        card.expect(test_card.take(bench.random.randbytes(5)), OK)
        _untouched(card, test_card.give_back(9), 0x6C05)


def _untouched(card: TestedCard, command: CommandApdu, sw: int) -> None:
    """`Unable` where the reader fetches the data by itself."""
    answer = card.send(command)
    if answer.data:
        raise Unable("读卡器自己取数据", "the reader fetches the data by itself")
    if answer.sw != sw:
        raise Unexpected(apdu_name(command), f"{sw:04X}", answer_name(answer))


def any_status(bench: Bench) -> None:
    with bench.card() as card:
        for sw1 in STATUS_SW1:
            sw = sw1 << 8 | bench.random.randrange(0x100)
            card.expect(test_card.status_only(sw), ResponseApdu(b"", sw))


def status_with_data(bench: Bench) -> None:
    with bench.card() as card:
        for sw in (0x6281, 0x6282, 0x63C2, 0x9110):
            card.expect(test_card.give(SHORT, sw), ResponseApdu(test_card.pattern(SHORT), sw))


def null_byte(bench: Bench) -> None:
    """Before the first procedure byte, and before the status word."""
    with bench.card() as card:
        card.arm(*(Arming("command", "insert", at=at, characters=NULL) for at in (0, SHORT + 1)))
        card.gives(SHORT)
        card.arm(*(Arming("command", "insert", at=at, count=3, characters=NULL) for at in (0, 1)))
        card.takes(bench.random.randbytes(SHORT))


def null_storm(bench: Bench) -> None:
    """For longer than the waiting time, which each of them restarts."""
    with bench.card() as card:
        card.arm(bench.effort.busy)
        card.gives(SHORT)


def single_out(bench: Bench) -> None:
    with bench.card() as card:
        card.arm(Arming("command", "single"))
        card.takes(bench.random.randbytes(SHORT))


def single_back(bench: Bench) -> None:
    with bench.card() as card:
        card.arm(Arming("command", "single"))
        card.gives(SHORT)


def null_between(bench: Bench) -> None:
    """Single bytes with NULL bytes between them: a procedure byte comes before each."""
    with bench.card() as card:
        card.arm(
            Arming("command", "single"),
            *(Arming("command", "insert", at=at, count=2, characters=NULL) for at in (2, 6, 10)),
        )
        card.gives(SHORT)


def mute(bench: Bench) -> None:
    """Before the procedure byte, and in the middle of the data."""
    for at in (0, SHORT // 2):
        with bench.card() as card:
            card.arm(Arming("command", "mute", at=at))
            card.fails(test_card.give(SHORT))
        bench.works()


def procedure_byte(bench: Bench) -> None:
    with bench.card() as card:
        card.arm(Arming("command", "replace", characters=b"\x00"))
        card.fails(test_card.give(SHORT))
    bench.works()


CARD, LINE = (TEST_CARD,), (TEST_CARD, CONTACT_LINE)

CASES = (
    Case("T0.case_1", "情形 1：无数据", "Case 1: no data", "A.5, B.4", case_1, CARD),
    Case("T0.case_2", "情形 2：1 至 254 字节返回", "Case 2: 1 to 254 bytes back", "B.4", case_2, CARD),
    Case("T0.case_3", "情形 3：1 至 254 字节发送", "Case 3: 1 to 254 bytes out", "B.4", case_3, CARD),
    Case("T0.case_4", "情形 4：发送并取回", "Case 4: bytes out and back", "A.5", case_4, CARD),
    Case("T0.p3_zero", "P3=0 返回 256 字节", "P3=0: 256 bytes back", "B.4", p3_zero, CARD),
    Case("T0.maximum", "最长命令：255 字节", "Longest command: 255 bytes out", "A.1, A.5", maximum, CARD),
    Case("T0.more_data", "61xx 原样交出", "61xx is handed on as it came", "A.5", more_data, CARD),
    Case("T0.wrong_length", "6Cxx 原样交出", "6Cxx is handed on as it came", "A.5", wrong_length, CARD),
    Case("T0.any_status", "任何 SW1", "Any SW1", "B.4", any_status, CARD),
    Case("T0.status_with_data", "警告状态字带数据", "Warnings with data", "B.4", status_with_data, CARD),
    Case("T0.null", "NULL 字节", "NULL bytes", "B.4", null_byte, LINE),
    Case(
        "T0.null_storm", "NULL 长于等待时间", "NULL bytes for longer than the waiting time", "B.4, D", null_storm, LINE
    ),
    Case("T0.single_out", "逐字节确认，发送", "Single-byte ACK, out", "B.4", single_out, LINE),
    Case("T0.single_back", "逐字节确认，返回", "Single-byte ACK, back", "B.4", single_back, LINE),
    Case("T0.null_between", "逐字节之间的 NULL", "NULL between single bytes", "B.4", null_between, LINE),
    Case("T0.mute", "卡不应答：报错", "A mute card: an error", "A.5, B.4", mute, LINE),
    Case("T0.procedure_byte", "过程字节错误：报错", "A wrong procedure byte: an error", "B.4", procedure_byte, LINE),
)
