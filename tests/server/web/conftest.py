"""A centre without a past, a centre after a morning, and its pages."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from server.config import Listener
from server.hosting import Host
from tests.server.web.centre import DATABASE, NOON, Centre, Morning, move, play_morning


@pytest.fixture(scope="session")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store of a centre lies that knows its people; closed, to be copied."""
    folder = tmp_path_factory.mktemp("beginning")
    made = Centre(folder, NOON)
    made.meet()
    made.store.close()
    return folder


@pytest.fixture(scope="session")
def past(beginning: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Morning, Path]:
    """A played morning and where its store lies; closed, to be copied."""
    folder = tmp_path_factory.mktemp("past")
    shutil.copy(beginning / DATABASE, folder / DATABASE)
    played = play_morning(Centre(folder, NOON - timedelta(minutes=50)))
    played.centre.store.close()
    return played, folder


@pytest.fixture
def centre(beginning: Path, tmp_path: Path) -> Iterator[Centre]:
    """An empty centre at noon."""
    shutil.copy(beginning / DATABASE, tmp_path / DATABASE)
    made = Centre(tmp_path, NOON)
    yield made
    made.store.close()


@pytest.fixture
def morning(past: tuple[Morning, Path], tmp_path: Path) -> Iterator[Morning]:
    """Settlements, a refund, refusals, a provisional bill drained late, an adjustment, quarantine and an alarm."""
    played, folder = past
    made = move(played, folder, tmp_path)
    yield made
    made.centre.store.close()


class Served:
    """Pages on a real port, as the server runs them."""

    def __init__(self, morning: Morning) -> None:
        self.morning = morning
        self._app = morning.centre.app()
        self._host = Host(self._app, Listener(), "web", on_stop=self._app.state.live.close)
        self._host.start()
        self._open = True
        self.url = self._host.url

    def close_streams(self) -> None:
        """End every stream, as a lost connection would."""
        self._app.state.live.close()

    def close(self) -> None:
        """Stop serving; once."""
        if self._open:
            self._open = False
            self._host.stop()


@pytest.fixture
def served(morning: Morning) -> Iterator[Served]:
    """The morning's pages on a free loopback port."""
    made = Served(morning)
    yield made
    made.close()
