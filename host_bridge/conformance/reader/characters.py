"""CHAR: characters that stay damaged (reader.md A.5, B.2)."""

from host_bridge.conformance.case import Case
from host_bridge.conformance.reader.bench import CONTACT_LINE, TEST_CARD, Bench
from protocols.iso7816 import test_card
from protocols.iso7816.test_card import Arming

COUNT = 40


def _damaged(bench: Bench, at: int) -> str:
    """An error instead of an answer; the card works after the next reset."""
    with bench.card() as card:
        card.arm(Arming("command", "damage", at=at))
        card.fails(test_card.give(COUNT))
    return f"{bench.recovers() * 1000:.0f} ms"


def in_procedure_byte(bench: Bench) -> str:
    return _damaged(bench, 0)


def in_data(bench: Bench) -> str:
    return _damaged(bench, 1 + bench.random.randrange(COUNT))


def in_status(bench: Bench) -> str:
    return _damaged(bench, 1 + COUNT + bench.random.randrange(2))


LINE = (TEST_CARD, CONTACT_LINE)

CASES = (
    Case("CHAR.procedure_byte", "过程字节损坏", "A damaged procedure byte", "B.2, B.4", in_procedure_byte, LINE),
    Case("CHAR.data", "数据损坏：报错，不交出数据", "Damaged data: an error, no data", "A.5, B.2", in_data, LINE),
    Case("CHAR.status", "状态字损坏", "A damaged status word", "A.5, B.2", in_status, LINE),
)
