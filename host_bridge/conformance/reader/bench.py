"""What the checks of a reader work with: the reader, the card in it, and how often a check repeats."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import NamedTuple

from host_bridge.conformance.case import Unable, Unexpected, answer_name
from host_bridge.conformance.reader.ccid_port import CcidPort, Clock
from host_bridge.conformance.reader.hands import Hand
from host_bridge.readers.reader import CardConnection, CardMute, CardRemoved, Reader, ReaderError
from protocols.iso7816 import test_card
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.iso7816.status import SW_SUCCESS
from protocols.iso7816.test_card import Arming, LanguageError, Told

CCID, TEST_CARD, CONTACT_LINE, HAND = "CCID", "test card", "contact line", "hand"
ABILITIES = {
    CCID: ("读卡器的命令只在 serial: 地址可用", "commands of the reader itself: serial: addresses only"),
    TEST_CARD: ("卡槽里不是测试卡", "no test card in the slot"),
    CONTACT_LINE: ("测试卡不在触点线上，不能出错", "the test card hangs on no contact line and cannot do wrong"),
    HAND: ("不能插拔卡：--slot-folder 或 --by-hand", "nobody moves the card: --slot-folder or --by-hand"),
}
"""What a check may need, and what is said where it is missing."""

SELECT_MF = CommandApdu(0x00, 0xA4, 0x00, 0x00, b"\x3f\x00")
"""Does no harm to any card, whatever it answers."""
OK = ResponseApdu(b"", SW_SUCCESS)
LOOK_EVERY_S = 0.01
NULL, NULL_EVERY_MS = b"\x60", 50
NAMES = {
    test_card.STATUS: "STATUS",
    test_card.GIVE: "GIVE",
    test_card.TAKE: "TAKE",
    test_card.GIVE_BACK: "GIVE BACK",
    test_card.ARM: "ARM",
    test_card.CALM: "CALM",
    test_card.TELL: "TELL",
    SELECT_MF.ins: "SELECT",
}


class Effort(NamedTuple):
    """How often checks repeat what they do, and how long a reader may take to recover.

    `storm` is how many NULL bytes a busy card sends, one every `NULL_EVERY_MS`.
    """

    resets: int = 100
    selects: int = 1000
    statuses: int = 100
    moves: int = 10
    storm: int = 40
    recovers_s: float = 10.0

    @property
    def busy(self) -> Arming:
        """The card takes so long for the next command; every NULL restarts the waiting time."""
        return Arming("command", "insert", count=self.storm, ms=NULL_EVERY_MS, characters=NULL)

    @property
    def busy_s(self) -> float:
        return self.storm * NULL_EVERY_MS / 1000


class TestedCard:
    """A card from power-on to power-off. What the checks say to it must be answered as they expect."""

    __test__ = False

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection

    @property
    def atr(self) -> Atr:
        return self._connection.atr

    def send(self, command: CommandApdu) -> ResponseApdu:
        return self._connection.transmit(command)

    def expect(self, command: CommandApdu, answer: ResponseApdu) -> None:
        """Exactly this answer."""
        found = self.send(command)
        if found != answer:
            same = (found.sw, len(found.data)) == (answer.sw, len(answer.data))
            raise Unexpected(apdu_name(command), answer_name(answer), answer_name(found) + ", other bytes" * same)

    def gives(self, count: int) -> None:
        """So many bytes of the test card, each of them right."""
        self.expect(test_card.give(count), ResponseApdu(test_card.pattern(count), SW_SUCCESS))

    def takes(self, data: bytes) -> None:
        """All of these reach the test card."""
        self.expect(test_card.take(data), OK)
        self.expect(test_card.give_back(len(data)), ResponseApdu(data, SW_SUCCESS))

    def fails(self, command: CommandApdu) -> None:
        """An error, and no answer."""
        try:
            answer = self.send(command)
        except (CardMute, CardRemoved):
            return
        raise Unexpected(apdu_name(command), "an error", answer_name(answer))

    def reset(self) -> Atr:
        return self._connection.reset()

    def arm(self, *rules: Arming) -> None:
        """What goes wrong next; rules for commands hold in the first one after all of these."""
        for left, rule in zip(reversed(range(len(rules))), rules, strict=True):
            spared = left if rule.phase == "command" else 0
            armed = Arming(rule.phase, rule.deed, rule.at, rule.count, rule.ms, spared, rule.times, rule.characters)
            self.expect(armed.to_command(), OK)

    def told(self) -> Told:
        """What the test card has counted."""
        answer = self.send(test_card.tell())
        try:
            return Told.from_bytes(answer.data)
        except LanguageError:
            raise Unexpected(apdu_name(test_card.tell()), answer_name(OK), answer_name(answer)) from None


class Bench:
    """A reader under test. `random` is another one for each check, from the seed of the run."""

    def __init__(
        self,
        reader: Reader,
        ccid_port: Callable[[], AbstractContextManager[CcidPort]] | None = None,
        hand: Hand | None = None,
        effort: Effort | None = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.reader, self._ccid_port, self._hand = reader, ccid_port, hand
        self.effort, self.clock, self._sleep = effort or Effort(), clock, sleep
        self.random = random.Random(0)  # noqa: S311 - when, not what
        self.abilities: frozenset[str] = frozenset()

    @property
    def hand(self) -> Hand:
        if self._hand is None:
            raise lacking(HAND)
        return self._hand

    def survey(self) -> Atr:
        """Find out what can be checked; the ATR of the card that is in. `ReaderError` where there is none."""
        found = {ability for ability, given in ((CCID, self._ccid_port), (HAND, self._hand)) if given is not None}
        connection = self.reader.connect()
        try:
            if connection.atr.historical_bytes.startswith(test_card.MARK):
                found.add(TEST_CARD)
                with suppress(Unexpected, ReaderError):  # then the first checks say what is wrong
                    if TestedCard(connection).told().on_line:
                        found.add(CONTACT_LINE)
            self.abilities = frozenset(found)
            return connection.atr
        finally:
            connection.disconnect()

    @contextmanager
    def card(self) -> Iterator[TestedCard]:
        """The card after a cold reset; what an earlier check has armed and not met is forgotten."""
        connection = self.reader.connect()
        try:
            card = TestedCard(connection)
            if CONTACT_LINE in self.abilities:
                card.expect(test_card.calm(), OK)
            yield card
        finally:
            connection.disconnect()

    @contextmanager
    def ccid(self) -> Iterator[CcidPort]:
        """The reader's port, for checks that speak CCID; the card is off. What a failed one leaves is dropped."""
        if self._ccid_port is None:
            raise lacking(CCID)
        self.reader.close()
        with self._ccid_port() as port:
            try:
                yield port
            except Unexpected:
                port.drain()
                raise

    def works(self) -> None:
        """The card is there and answers right, after a cold reset."""
        with self.card() as card:
            if TEST_CARD in self.abilities:
                card.gives(32)
            else:
                card.send(SELECT_MF)

    def recovers(self) -> float:
        """Seconds until `works`, trying again and again."""

        def recovered() -> bool:
            with suppress(ReaderError):
                self.works()
                return True
            return False

        return self.until("recovery", self.effort.recovers_s, recovered)

    def until(self, step: str, within_s: float, condition: Callable[[], bool]) -> float:
        """Seconds until the condition holds, which is looked at again and again."""
        began = self.clock()
        while not condition():
            if self.clock() - began > within_s:
                raise Unexpected(step, f"within {within_s:.0f} s", "not")
            self._sleep(LOOK_EVERY_S)
        return self.clock() - began


def lacking(ability: str) -> Unable:
    return Unable(*ABILITIES[ability], ability)


def apdu_name(command: CommandApdu) -> str:
    """A command to the test card, without its data: `GIVE 8012900018`."""
    return f"{NAMES.get(command.ins, '')} {command.to_tpdu()[:5].hex().upper()}".lstrip()
