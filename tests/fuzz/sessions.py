"""The session in front of a card whose answers are spoilt on the way: a result, or an error that says no secret."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from hypothesis import strategies as st

from hardware.virtual.card import CardImage
from host_bridge.card.errors import CardError
from host_bridge.card.session import CardSession
from host_bridge.readers.reader import CardMute, ReaderError
from host_bridge.readers.virtual import VirtualConnection
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard.files import card_files, versions
from tests.fuzz.cards import new_card
from tests.fuzz.mutations import Mutation, Target, mutated, mutations
from tests.hardware.virtual.key_terminal import PERSON, image_of

ON = date(2026, 11, 21)
PIN, OTHER_PIN = "135790", "864209"
SECRETS = (PIN, OTHER_PIN, PERSON.certno, PERSON.name)
MOST_APDUS = 3000
"""More than a file of 254 records that all need eight follow-ups."""
STATUS_WORDS = (
    *(0x9000, 0x6100, 0x6110, 0x61FF, 0x63C0, 0x63C2, 0x6700, 0x6982, 0x6983, 0x6A81, 0x6A82, 0x6A83, 0x6B00),
    *(0x6C00, 0x6C05, 0x6CFF, 0x6D00, 0x6E00, 0x6F00, 0x9303),
)


class Spoilt(NamedTuple):
    """What becomes of one answer: `gone` in place of it, another status word, other data."""

    gone: bool
    sw: int | None
    changes: tuple[Mutation, ...]

    def of(self, answer: ResponseApdu) -> ResponseApdu:
        if self.gone:
            raise CardMute("spoilt")
        data = mutated(answer.data, self.changes)[:256]
        return ResponseApdu(data, answer.sw if self.sw is None else self.sw)


HONEST = Spoilt(False, None, ())
NOTHING = Spoilt(False, 0x9000, (Mutation("end", 0, 0, b""),))
"""Success without data."""


class HostileConnection:
    """A card's connection; the first answers are honest, then each is spoilt as the script says, or for ever so."""

    def __init__(self, connection: VirtualConnection, honest: int, script: Iterable[Spoilt], *, forever: bool) -> None:
        self._connection = connection
        spoilt = itertools.cycle(script) if forever else script
        self._script: Iterator[Spoilt] = itertools.chain(itertools.repeat(HONEST, honest), spoilt)
        self.count = 0

    @property
    def atr(self) -> Atr:
        return self._connection.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        self.count += 1
        return next(self._script, HONEST).of(self._connection.transmit(command))

    def reset(self) -> Atr:
        return self._connection.reset()

    def disconnect(self) -> None:
        self._connection.disconnect()


Step = Callable[[CardSession], object]
IMAGES: dict[str, CardImage] = {version: image_of(version) for version in versions()}
PLACES = sorted(
    {(directory.name, file.ef) for version in versions() for directory, file in card_files(version).all_files()}
)


def typed(digits: str) -> bytearray:
    return bytearray(digits, "ascii")


STEPS: tuple[Step, ...] = (
    CardSession.read_issuer,
    CardSession.read_holder,
    CardSession.pin_tries,
    lambda session: session.verify_pin(typed(PIN)),
    lambda session: session.change_pin(typed(PIN), typed(OTHER_PIN)),
    lambda session: session.read_insurance(ON),
)


def reading(place: tuple[str, str]) -> Step:
    def read(session: CardSession) -> object:
        try:
            return session.read_file(*place)
        except KeyError:  # the version has no such file
            return None

    return read


def check(case: tuple[str, list[Step], int, list[Spoilt], bool]) -> None:
    version, steps, honest, script, forever = case
    with new_card(IMAGES[version]) as card:
        connection = HostileConnection(VirtualConnection(card, card.path), honest, script, forever=forever)
        session = CardSession(connection)
        for step in steps:
            connection.count, said = 0, ""
            try:
                step(session)
            except (CardError, ReaderError) as error:
                said = f"{error!r} {error}"
            assert not [secret for secret in SECRETS if secret in said]
            assert connection.count < MOST_APDUS


spoilt = st.one_of(
    st.sampled_from((HONEST, NOTHING)),
    st.builds(Spoilt, st.just(False), st.none(), mutations),
    st.builds(Spoilt, st.just(False), st.one_of(st.sampled_from(STATUS_WORDS), st.integers(0, 0xFFFF)), mutations),
    st.builds(Spoilt, st.booleans(), st.none(), st.just(())),
)
steps = st.lists(st.one_of(st.sampled_from(STEPS), st.sampled_from(PLACES).map(reading)), min_size=1, max_size=6)
TARGETS = (
    Target(
        "session",
        st.tuples(st.sampled_from(versions()), steps, st.integers(0, 24), st.lists(spoilt, max_size=20), st.booleans()),
        check,
    ),
)
