"""What every test shares."""

from hypothesis import settings

from tests.pcscd import use_own_socket

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

use_own_socket()
