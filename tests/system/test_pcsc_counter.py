"""A counter whose reader is any reader of PC/SC: whole settlements, a pulled card, a pcscd that comes back."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hardware.virtual.demo import check
from hardware.virtual.morning import Player, load_morning
from hardware.virtual.site import Counter, Site
from tests.pcscd import READERS, CardInReader, Pcscd, demand

pytestmark = pytest.mark.timeout(300)

PLAYED = ("pharmacy, D8a", "three wrong PINs")
WITHOUT_PYSCARD = "import sys; sys.modules['smartcard'] = None; import ssc; ssc.main()"


class PcscCounter(Counter):
    """Its reader is pcscd's first one."""

    def start_devices(self) -> None:
        super().start_devices()
        self.processes.pop("reader").stop()
        config = self.config.read_text()
        serial, pcsc = f'"serial:{self.folder / "reader"}"', f'"pcsc:{READERS[0]}"'
        assert serial in config
        self.config.write_text(config.replace(serial, pcsc))


class PcscSite(Site):
    """One counter; its cards come and go as vpcd's clients."""

    def __init__(self, folder: Path, spec: dict[str, str], port: int) -> None:
        super().__init__(folder, [])
        self.counters = {spec["terminal"]: PcscCounter(spec, folder / spec["terminal"])}
        self._port_of_reader = port
        self._inserted: CardInReader | None = None

    def insert(self, terminal: str, card: str) -> None:
        self._inserted = CardInReader(self.cards / f"{card}.card", self._port_of_reader)

    def remove(self, terminal: str, card: str) -> None:
        if self._inserted is not None:
            self._inserted.pull()

    def stop(self) -> None:
        self.remove("", "")
        super().stop()


@pytest.fixture
def pcscd(tmp_path: Path) -> Iterator[Pcscd]:
    demand()
    with Pcscd(tmp_path) as daemon:
        daemon.start()
        yield daemon


@pytest.fixture
def site(tmp_path: Path, pcscd: Pcscd) -> Iterator[PcscSite]:
    started = PcscSite(tmp_path / "site", load_morning().counter[2], pcscd.ports[0])
    try:
        started.start()
        yield started
    finally:
        started.stop()


def reader_is(state: str) -> Any:
    return lambda found: found["reader"]["state"] == state


def test_a_counter_settles_through_pcsc(site: PcscSite, pcscd: Pcscd) -> None:
    (counter,) = site.counters.values()
    counter.wait_idle()
    site.insert(counter.terminal, "pharmacy")
    counter.wait("the PIN", lambda state: state["stage"] == "pin")
    site.remove(counter.terminal, "pharmacy")
    counter.wait_idle()
    pcscd.stop()
    counter.wait("no reader", reader_is("away"))
    pcscd.start()
    counter.wait("the reader", reader_is("ready"))
    visits = [visit for visit in load_morning().visit if visit.name in PLAYED]
    assert Player(site, lambda _: None).play(visits) == len(PLAYED)
    site.stop()
    found = check(site.folder, len(visits))
    assert found["problems"] == []
    started = [sys.executable, "-c", WITHOUT_PYSCARD, "terminal", "run", "--config", str(counter.config)]
    refused = subprocess.run(started, capture_output=True, text=True, check=False)
    assert (refused.returncode, "R-007" in refused.stderr) == (2, True)
