"""One rig per test and rung asked for; a test that wants what the rig cannot do is skipped, and says so."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from tests.rigs.bench import Usb, UsbWithRelay
from tests.rigs.emulated.rungs import Emu, EmuPcsc
from tests.rigs.pico import Pio
from tests.rigs.report import FIRMWARE, rungs_of
from tests.rigs.rungs import Options, Pcsc, PcscPad, Rig, Sim, Upy, Vpcd, Wanted

StartRig = Callable[..., Rig]
AS_IT_IS = Wanted()
RIGS: tuple[type[Rig], ...] = (Sim, Upy, Pio, Pcsc, PcscPad, Vpcd, Emu, EmuPcsc, Usb, UsbWithRelay)


def options_of(config: pytest.Config) -> Options:
    return Options(config.getoption("device"), config.getoption("relay"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "rig_type" in metafunc.fixturenames:
        not_meant = Usb if options_of(metafunc.config).relay else UsbWithRelay
        rungs = rungs_of(metafunc.config)
        found = [each for each in RIGS if each.rung in rungs and each is not not_meant]
        metafunc.parametrize("rig_type", found, ids=[each.__name__.lower() for each in found])


@pytest.fixture
def start_rig(
    rig_type: type[Rig], request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[StartRig]:
    """Starts the rig with a card's file, or the default person's card."""
    options = options_of(request.config)
    marker = request.node.get_closest_marker("needs")
    missing = [ability for ability in (marker.args if marker else ()) if ability not in rig_type.can]
    trouble = rig_type.trouble(options) or (f"cannot {missing[0]}" if missing else None)
    if trouble is not None:
        pytest.skip(trouble)
    with contextlib.ExitStack() as stack:

        def start(wanted: Wanted = AS_IT_IS, card: Path | None = None) -> Rig:
            if card is None:
                card = tmp_path / "employee.card"
                make_card(load_person(DEFAULT_PERSON), card)
            folder = tmp_path / "rig"
            folder.mkdir()
            rig = rig_type(stack, folder, card, wanted, options)
            record_property(FIRMWARE, rig.firmware)
            return rig

        yield start


@pytest.fixture
def rig(start_rig: StartRig) -> Rig:
    """With the default person's card in its slot."""
    return start_rig()
