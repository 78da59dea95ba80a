"""The rung `emu`: the firmware's image on an emulated RP2040, a card at pin level, and stock pcscd in front of it."""

import atexit
import contextlib
import functools
import mmap
import os
import shutil
import sys
import tempfile
from pathlib import Path

from hardware.virtual.processes import Process, SiteError, wait_until
from host_bridge.readers.reader import Reader
from host_bridge.readers.serial import SerialReader
from tests.pcscd import Pcscd
from tests.pcscd import demand as demand_pcscd
from tests.rigs.emulated.image import make_image
from tests.rigs.emulated.plugged import SECONDS, Plug, plug_in
from tests.rigs.rungs import CARD, CHALLENGES, FAULTS, FIRMWARE, OWN_ATR, POWER, REMOVE, Options, Rig, Wanted

BASE = "SSC_UF2"
"""Names a MicroPython UF2 for the Pico."""
PROFILE = "GemPCTwin"
TRIES = 3


@functools.cache
def _booted(base: Path) -> Path:
    """Where the Pico listens that all others are copied from; it ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="ssc-pico-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    image = folder / "reader.uf2"
    make_image(base, image)
    command = [sys.executable, "-m", "tests.rigs.emulated.plugged", str(image), str(folder / "socket")]
    process = Process("emulated Pico", command, folder / "log")
    atexit.register(process.stop)
    return folder / "socket"


class Emu(Rig):
    """Time is the emulated chip's, for the driver too."""

    rung, can = "emu", frozenset({CARD, REMOVE, POWER, FAULTS, OWN_ATR, CHALLENGES, FIRMWARE})

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        self.link, self._clock_file = folder / "pico", folder / "clock"
        self.address = f"serial:{self.link}"
        self._passed_s = 0.0  # before the last power cut
        self.restore_power()

    @staticmethod
    def trouble(options: Options) -> str | None:  # noqa: ARG004
        return None if os.environ.get(BASE) else f"no {BASE}"

    def open(self) -> Reader:
        reader = SerialReader(str(self.link), monotonic=self._monotonic)
        self._stack.callback(reader.close)
        wait_until("the card", reader.card_present)
        return reader

    def cut_power(self) -> None:
        self._passed_s = self._monotonic()
        self._power.close()
        self.link.unlink()

    def restore_power(self) -> None:
        plug = Plug(self.link, self._clock_file, self.card, self._wanted)
        self._power = plug_in(_booted(Path(os.environ[BASE])), plug)
        self._stack.callback(self._power.close)
        with self._clock_file.open("rb") as file:
            self._clock = mmap.mmap(file.fileno(), SECONDS.size, prot=mmap.PROT_READ)

    def _monotonic(self) -> float:
        seconds: float = SECONDS.unpack_from(self._clock)[0]
        return self._passed_s + seconds


class EmuPcsc(Emu):
    """Stock pcscd and libccid in front of it, whose time is the host's."""

    can = Emu.can - {POWER}

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        demand_pcscd()
        daemon = stack.enter_context(Pcscd(folder))
        self.address = f"pcsc:{self._opened(daemon)}"

    def open(self) -> Reader:
        return Rig.open(self)

    def _opened(self, daemon: Pcscd) -> str:
        """libccid waits a second of the host's time for the first answer, which may be short on a busy machine."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(SiteError):
                return daemon.start_serial(self.link, PROFILE)
            daemon.stop()
        return daemon.start_serial(self.link, PROFILE)
