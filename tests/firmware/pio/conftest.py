"""A Pico with a slot for each card."""

import pytest

from tests.firmware.pio.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
