from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host_bridge.counter.till import Till


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    """A clinic in Beijing: no PIN asked, no account."""
    till = Till(tmp_path)
    yield till
    till.close()


@pytest.fixture
def pharmacy(tmp_path: Path) -> Iterator[Till]:
    """A pharmacy of the simulated city: PIN asked, the account may pay all."""
    till = Till(tmp_path, "990101", "P99010100007")
    yield till
    till.close()
