"""What readers are tried with: interpreters of the firmware, quick keys, and a pcscd of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.virtual.keypad import VirtualKeypad
from tests.firmware.rig import INTERPRETERS, demand
from tests.pcscd import Pcscd
from tests.pcscd import demand as demand_pcscd


@pytest.fixture(params=INTERPRETERS)
def interpreter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return demand(name)


@pytest.fixture
def keypad() -> VirtualKeypad:
    """Quick fingers."""
    return VirtualKeypad(hold_s=0.006, gap_s=0.006)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    demand_pcscd()
    (tmp_path / "pcscd").mkdir()
    with Pcscd(tmp_path / "pcscd") as daemon:
        yield daemon
