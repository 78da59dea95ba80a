"""A security module whose answers are spoilt on the way: a right proof, or an error, and a PIN unlocked by no other."""

import functools

import msgspec
from hypothesis import strategies as st

from hardware.virtual.card import Pin
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from host_bridge.card.errors import CardError
from host_bridge.card.sam_module import SamModule
from host_bridge.card.session import CardSession
from host_bridge.readers.reader import ReaderError
from host_bridge.readers.virtual import VirtualConnection
from protocols.sscard.files import versions
from tests.fuzz.cards import folder, new_card
from tests.fuzz.mutations import Target
from tests.fuzz.sessions import IMAGES, SECRETS, HostileConnection, Spoilt, spoilt
from tests.hardware.virtual.key_terminal import PERSON

LIMIT = 3
MOST_APDUS = 200


@functools.cache
def module() -> VirtualSam:
    """An agency's, so that every kind of step is tried."""
    return VirtualSam.create(folder() / "agency.sam", sam_image(PERSON.card.region, 3, "agency"))


class HostileReader:
    """The module's slot."""

    address = "virtual:agency.sam"

    def __init__(self, honest: int, script: list[Spoilt], *, forever: bool) -> None:
        connection = VirtualConnection(module(), module().path)
        self.connection = HostileConnection(connection, honest, script, forever=forever)

    def card_present(self) -> bool:
        return True

    def connect(self) -> HostileConnection:
        self.connection.reset()
        return self.connection

    def close(self) -> None:
        self.connection.disconnect()


def check(case: tuple[str, int, list[Spoilt], bool]) -> None:
    version, honest, script, forever = case
    locked = msgspec.structs.replace(IMAGES[version], pin=Pin("135790", LIMIT, 0))
    reader = HostileReader(honest, script, forever=forever)
    with new_card(locked) as card:
        session = CardSession(VirtualConnection(card, card.path), SamModule(reader))
        said, tries = "", LIMIT
        try:
            session.unblock_pin()
        except (CardError, ReaderError) as error:
            said, tries = f"{error!r} {error}", 0
        assert card.image.pin == Pin("135790", LIMIT, tries)
    assert not [secret for secret in SECRETS if secret in said]
    assert reader.connection.count < MOST_APDUS


TARGETS = (
    Target(
        "security module",
        st.tuples(st.sampled_from(versions()), st.integers(0, 16), st.lists(spoilt, max_size=12), st.booleans()),
        check,
    ),
)
