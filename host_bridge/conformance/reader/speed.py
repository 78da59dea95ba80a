"""SPEED: what card and reader agree on, and where they do not (reader.md A.4, B.3)."""

from host_bridge.conformance.case import Case, Unable, Unexpected, answer_name
from host_bridge.conformance.reader.bench import CONTACT_LINE, SELECT_MF, TEST_CARD, Bench, TestedCard, apdu_name
from host_bridge.readers.reader import CardMute
from protocols.iso7816.pps import DEFAULT_FI_DI
from protocols.iso7816.test_card import Arming

ALTERED = b"\x95", b"\x7a"
"""PPS1 and PCK of an answer that agrees on something else: FF xor 10 xor 95 = 7A."""

REFUSALS = 4
"""A driver may connect twice, with a PPS each time."""


def thousand(bench: Bench) -> str:
    """Each answered as the first."""
    with bench.card() as card:
        first = card.send(SELECT_MF)
        began = bench.clock()
        for _ in range(bench.effort.selects):
            answer = card.send(SELECT_MF)
            if answer != first:
                raise Unexpected(apdu_name(SELECT_MF), answer_name(first), answer_name(answer))
        each = (bench.clock() - began) / bench.effort.selects
        speed = f", TA1 {card.told().fi_di:02X}" if CONTACT_LINE in bench.abilities else ""
        return f"{bench.effort.selects} × {each * 1000:.2f} ms{speed}"


def refused(bench: Bench) -> str:
    """They stay at 372/1."""
    with bench.card() as card:
        before = card.told().pps
        card.arm(Arming("pps", "refuse", times=REFUSALS))
    with bench.card() as card:
        return _speed(card, before, (DEFAULT_FI_DI,))


def altered(bench: Bench) -> str:
    """At once at another speed, or after an error at the next reset."""
    with bench.card() as card:
        before = card.told().pps
        card.arm(*(Arming("pps", "replace", at=at, characters=byte) for at, byte in zip((2, 3), ALTERED, strict=True)))
    try:
        with bench.card() as card:
            return _speed(card, before)
    except CardMute:
        bench.recovers()
    with bench.card() as card:
        return _speed(card, before)


def _speed(card: TestedCard, before: int, allowed: tuple[int, ...] = ()) -> str:
    """`Unable` where the reader asked for none since `before` PPSs."""
    card.gives(32)
    told = card.told()
    if told.pps == before:
        raise Unable("读卡器不做 PPS", "the reader asks for no PPS")
    if allowed and told.fi_di not in allowed:
        raise Unexpected("PPS", "372/1", f"TA1 {told.fi_di:02X}")
    return f"TA1 {told.fi_di:02X}"


LINE = (TEST_CARD, CONTACT_LINE)

CASES = (
    Case("SPEED.thousand", "最高速率下一千次选择", "A thousand SELECTs at the highest rate", "B.3, D", thousand),
    Case("SPEED.refused", "卡拒绝 PPS：以 372/1 继续", "The card refuses the PPS: on at 372/1", "B.3", refused, LINE),
    Case(
        "SPEED.altered",
        "卡改动 PPS：换到可用速率",
        "PPS altered by the card: on at a rate that works",
        "B.3",
        altered,
        LINE,
    ),
)
