"""MOVE: cards that come and go (reader.md A.2, A.6, B.1)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from host_bridge.conformance.case import Case, Unexpected
from host_bridge.conformance.reader.bench import CONTACT_LINE, HAND, SELECT_MF, TEST_CARD, Bench, TestedCard
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderError
from protocols.iso7816 import test_card
from protocols.iso7816.test_card import Arming

LONG = 200
SOON_S = 0.25


def seen(bench: Bench) -> str:
    """The reader says so, in both directions."""
    longest = 0.0
    with _card_stays(bench):
        for _ in range(bench.effort.moves):
            for move, present in ((bench.hand.remove, False), (bench.hand.insert, True)):
                move()
                longest = max(longest, _until(bench, partial(_says, bench, present)))
                bench.hand.stay()
    return f"≤ {longest * 1000:.0f} ms"


def at_random(bench: Bench) -> None:
    """Removed at any moment of any exchange: an error, no wrong answer; then no card; then a card that works."""
    with _card_stays(bench):
        for _ in range(bench.effort.moves):
            with bench.card() as card:
                bench.hand.remove_after(bench.random.uniform(0, SOON_S))
                _goes_on_until_removed(bench, card)
            _back(bench)


def within_answer(bench: Bench) -> None:
    """Removed after a character of an answer."""
    with _card_stays(bench):
        for _ in range(bench.effort.moves):
            with bench.card() as card:
                card.arm(Arming("command", "pull", at=bench.random.randrange(LONG + 3)))
                card.fails(test_card.give(LONG))
            _back(bench)


def swapped(bench: Bench) -> None:
    """Out and in again between two commands: the next one must not reach it as if nothing had happened."""
    with _card_stays(bench):
        with bench.card() as card:
            card.send(SELECT_MF)
            bench.hand.remove()
            bench.hand.stay()
            bench.hand.insert()
            bench.hand.stay()
            card.fails(SELECT_MF)
        _works_again(bench)


@contextmanager
def _card_stays(bench: Bench) -> Iterator[None]:
    """After a check that failed the card is put in for the next one."""
    try:
        yield
    except (Unexpected, ReaderError):
        bench.hand.remove()
        bench.hand.stay()
        bench.hand.insert()
        with suppress(Unexpected, ReaderError):
            _works_again(bench)
        raise


def _says(bench: Bench, present: bool) -> bool:
    return bench.reader.card_present() == present


def _goes_on_until_removed(bench: Bench, card: TestedCard) -> None:
    deadline = bench.clock() + bench.hand.patience_s
    while bench.clock() < deadline:
        try:
            if TEST_CARD in bench.abilities:
                card.gives(LONG)
            else:
                card.send(SELECT_MF)
        except (CardRemoved, CardMute):
            return
    raise Unexpected("removal", f"an error within {bench.hand.patience_s:.0f} s", "answers")


def _back(bench: Bench) -> None:
    """No card is there; the one that is put in works."""
    bench.hand.remove()
    bench.hand.stay()
    try:
        bench.reader.connect().disconnect()
    except NoCard:
        pass
    else:
        raise Unexpected("connect", "no card", "a card")
    bench.hand.insert()
    _works_again(bench)


def _works_again(bench: Bench) -> None:
    _until(bench, lambda: _works(bench))


def _works(bench: Bench) -> bool:
    try:
        bench.works()
    except (NoCard, CardRemoved):
        return False
    return True


def _until(bench: Bench, condition: Callable[[], bool]) -> float:
    return bench.until("a move of the card", bench.hand.patience_s, condition)


CASES = (
    Case("MOVE.seen", "看到卡的插拔", "Insertion and removal are seen", "A.6", seen, (HAND,)),
    Case("MOVE.at_random", "随时拔卡", "Removal at random times", "A.6, B.1", at_random, (HAND,)),
    Case(
        "MOVE.within_answer",
        "应答中途拔卡",
        "Removal within an answer",
        "B.1",
        within_answer,
        (HAND, TEST_CARD, CONTACT_LINE),
    ),
    Case("MOVE.swapped", "两条命令之间换卡", "A card swapped between two commands", "A.2", swapped, (HAND,)),
)
