from collections.abc import Iterator
from pathlib import Path

import pytest

from host_bridge.journal.journal import Journal
from tests.host_bridge.journal.samples import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.fixture
def journal(desk: Desk) -> Journal:
    return desk.create()
