"""What every test shares."""

from hypothesis import settings

from tests.pcscd import use_own_socket
from tests.rigs.report import (  # noqa: F401 - pytest's hooks of the ladder
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_terminal_summary,
)

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

use_own_socket()
