"""RESET: cold and warm resets, and the answer to them (reader.md B.1, B.3)."""

from contextlib import suppress

from host_bridge.conformance.case import Case, Unexpected
from host_bridge.conformance.reader.bench import CONTACT_LINE, TEST_CARD, Bench
from host_bridge.readers.reader import CardMute
from protocols.iso7816.atr import Atr
from protocols.iso7816.test_card import Arming

GAPS_MS, GAPS_AT = 60, (1, 7, 19)
MUTE_RESETS = 2


def whole_atr(bench: Bench) -> None:
    with bench.card() as card:
        told, found = card.told().atr, card.atr.to_bytes()
        if found != told:
            raise Unexpected("ATR", told.hex().upper(), found.hex().upper())


def cold(bench: Bench) -> str:
    """A test card counts that each was one."""
    with bench.card() as card:
        first, told = card.atr, card.told() if TEST_CARD in bench.abilities else None
    began = bench.clock()
    for _ in range(bench.effort.resets):
        with bench.card() as card:
            _same(first, card.atr)
            if CONTACT_LINE in bench.abilities and told is not None:
                before, told = told, card.told()
                if told.power_ons == before.power_ons or told.resets != 1:
                    raise Unexpected("cold reset", "power off and on", f"{told.resets} resets since power-on")
    return _each(bench, began)


def warm(bench: Bench) -> str:
    """A test card counts that its power stayed."""
    with bench.card() as card:
        first, told = card.atr, card.told() if CONTACT_LINE in bench.abilities else None
        began = bench.clock()
        for _ in range(bench.effort.resets):
            _same(first, card.reset())
            if told is not None:
                before, told = told, card.told()
                if (told.power_ons, told.resets) != (before.power_ons, before.resets + 1):
                    raise Unexpected("warm reset", "one reset, power stays", f"{told.resets - before.resets} resets")
        return _each(bench, began)


def gaps(bench: Bench) -> None:
    with bench.card() as card:
        card.arm(*(Arming("atr", "pause", at=at, ms=GAPS_MS) for at in GAPS_AT))
        first = card.atr
    with bench.card() as card:
        _same(first, card.atr)
        card.gives(1)


def mute(bench: Bench) -> None:
    """An error, or a reset more; and then the card works."""
    with bench.card() as card:
        card.arm(Arming("atr", "mute", times=MUTE_RESETS))
    bench.recovers()


def damaged(bench: Bench) -> None:
    """As a mute one."""
    with bench.card() as card:
        card.arm(Arming("atr", "damage", at=6))
        first = card.atr
    with suppress(CardMute):
        connection = bench.reader.connect()
        connection.disconnect()
        _same(first, connection.atr)
    bench.recovers()


def _same(first: Atr, found: Atr) -> None:
    if found != first:
        raise Unexpected("ATR", f"{len(first.to_bytes())} bytes as before", f"{len(found.to_bytes())}, others")


def _each(bench: Bench, began: float) -> str:
    return f"{bench.effort.resets} × {(bench.clock() - began) / bench.effort.resets * 1000:.1f} ms"


LINE = (TEST_CARD, CONTACT_LINE)

CASES = (
    Case("RESET.atr", "复位应答完整", "The whole ATR", "B.3", whole_atr, (TEST_CARD,)),
    Case("RESET.cold", "100 次冷复位，应答相同", "100 cold resets, the same ATR", "B.1, D", cold),
    Case("RESET.warm", "100 次热复位，应答相同", "100 warm resets, the same ATR", "A.2, B.1, D", warm),
    Case("RESET.gaps", "应答字符间有停顿", "Gaps in the ATR", "B.3", gaps, LINE),
    Case("RESET.mute", "两次不应答后可用", "Mute at two resets, then it works", "B.1", mute, LINE),
    Case("RESET.damaged", "应答中一个字符损坏", "A damaged character in the ATR", "A.5, B.2", damaged, LINE),
)
