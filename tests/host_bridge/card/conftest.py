"""Cards of the gallery in files, connections to them, and a card with a security module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import GALLERY, load_person, make_card
from host_bridge.readers.virtual import VirtualConnection, VirtualReader
from tests.host_bridge.card.key_site import Site

Connect = Callable[[VirtualCard], VirtualConnection]
Make = Callable[..., VirtualCard]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A card of a gallery person; `change` gives other records in place of those of one file."""

    def made(person: str = "employee", **change: object) -> VirtualCard:
        card = make_card(load_person(GALLERY / f"{person}.toml"), tmp_path / f"{person}.card")
        if change:
            card = VirtualCard.create(card.path, msgspec.structs.replace(card.image, **change))
        return card

    return made


@pytest.fixture
def connect() -> Connect:
    """Power a card on."""
    return lambda card: VirtualReader(str(card.path)).connect()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()
