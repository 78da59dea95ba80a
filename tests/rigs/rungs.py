"""The rungs of the ladder (design 4): on each, a reader with one slot and a card, and what the rig can do to them."""

import contextlib
import functools
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, NamedTuple

from hardware.virtual.card import VirtualCard
from hardware.virtual.card_side import Chip
from hardware.virtual.line_faults import Fault
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import MICROPYTHON, ROOT, ReaderProcess
from hardware.virtual.slot import VirtualSlot
from hardware.virtual.vpcd import VpcdSlot
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import Reader
from protocols.ccid.service import FIRMWARE_FOLDERS
from tests.firmware import rig as interpreters
from tests.pcscd import READERS, Pcscd
from tests.pcscd import demand as demand_pcscd

RUNGS = ("sim", "upy", "pio", "pcsc", "emu", "usb")
EVERY_COMMIT = ("sim", "upy", "pio", "pcsc")
"""What runs when nobody names a rung."""

CARD = "show what is on the card"
REMOVE = "insert and remove the card"
POWER = "cut the reader's power"
FAULTS = "let the card misbehave"
OWN_ATR = "give the card another answer to reset"
CHALLENGES = "choose the card's challenges"
FIRMWARE = "run the firmware"


class Wanted(NamedTuple):
    """How the card behaves; `randomness` gives its challenges by length."""

    atr: bytes | None = None
    faults: tuple[Fault, ...] = ()
    randomness: Callable[[int], bytes] | None = None


class Options(NamedTuple):
    """Of the command line: serial number of the reader, port of the relay harness."""

    device: str | None = None
    relay: str | None = None


class WantedCard:
    """A virtual card as it is wanted."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._card = VirtualCard.open(path, wanted.randomness) if wanted.randomness else VirtualCard.open(path)
        self._atr = wanted.atr
        self.takes_data, self.command = self._card.takes_data, self._card.command

    def reset(self) -> bytes:
        own = self._card.reset()
        return own if self._atr is None else self._atr


@functools.cache
def firmware_hash(root: Path = ROOT) -> str:
    """SHA-256 over names and contents of the files that run on the reader, 12 digits."""
    files = sorted(path for folder in FIRMWARE_FOLDERS for path in (root / folder).rglob("*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


class Rig:
    """`address` leads to a reader whose card is the only file in `slot`. Everything started ends with `stack`."""

    rung: ClassVar[str]
    can: ClassVar[frozenset[str]]

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        """`card` is moved into the slot."""
        self._stack, self._wanted, self.options = stack, wanted, options
        self.slot = folder / "slot"
        self.slot.mkdir()
        self.card = self.slot / card.name
        self._outside = folder / card.name
        card.rename(self.card)
        self.address = ""

    @staticmethod
    def trouble(options: Options) -> str | None:  # noqa: ARG004 - for those that look
        """Why the rung cannot be tried here at all."""
        return None

    @property
    def firmware(self) -> str:
        """Which one ran, "" for none."""
        return firmware_hash() if FIRMWARE in self.can else ""

    def open(self) -> Reader:
        """Sees the card when this returns."""
        reader = open_reader(self.address)
        self._stack.callback(reader.close)
        wait_until("the card", reader.card_present)
        return reader

    def remove(self) -> None:
        """Returns at once, before any reader can have noticed."""
        self.card.rename(self._outside)

    def insert(self) -> None:
        """As `remove`."""
        self._outside.rename(self.card)

    def cut_power(self) -> None:
        """Of the reader; its port is gone."""
        raise NotImplementedError

    def restore_power(self) -> None:
        """The port is there again."""
        raise NotImplementedError

    def _open_chip(self, path: Path) -> Chip:
        return WantedCard(path, self._wanted)


class Sim(Rig):
    """The card's application in this process."""

    rung, can = "sim", frozenset({CARD, REMOVE})

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        self.address = f"virtual:{self.card}"


class Upy(Rig):
    """The firmware's files under MicroPython's unix port, behind a pty."""

    rung, can = "upy", frozenset({CARD, REMOVE, POWER, FAULTS, OWN_ATR, CHALLENGES, FIRMWARE})

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        interpreters.demand(MICROPYTHON)
        self.link = folder / "reader"
        self.address = f"serial:{self.link}"
        self.restore_power()

    def cut_power(self) -> None:
        self._process.stop()

    def restore_power(self) -> None:
        slot = VirtualSlot(self.slot, self._open_chip, faults=self._wanted.faults)
        self._process = ReaderProcess(slot, link=self.link, interpreter=MICROPYTHON)
        self._process.start()
        self._stack.callback(self._process.stop)


class Pcsc(Upy):
    """Stock pcscd and libccid in front of `upy`. pcscd does not look for a serial reader that was away."""

    rung, can = "pcsc", Upy.can - {POWER}
    profile = "GemPCTwin"

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        demand_pcscd()
        daemon = stack.enter_context(Pcscd(folder))
        self.address = f"pcsc:{daemon.start_serial(self.link, self.profile)}"


class PcscPad(Pcsc):
    """The same with the driver's profile for a reader with a PIN pad."""

    profile = "GemPCPinPad"


class Vpcd(Rig):
    """Stock pcscd with the card in a reader of vpcd."""

    rung, can = "pcsc", frozenset({CARD, REMOVE, CHALLENGES})

    def __init__(self, stack: contextlib.ExitStack, folder: Path, card: Path, wanted: Wanted, options: Options) -> None:
        super().__init__(stack, folder, card, wanted, options)
        demand_pcscd()
        daemon = stack.enter_context(Pcscd(folder))
        daemon.start()
        self.address, self._port = f"pcsc:{READERS[0]}", daemon.ports[0]
        self._put_in()

    def remove(self) -> None:
        self._slot.close()
        super().remove()

    def insert(self) -> None:
        super().insert()
        self._put_in()

    def _put_in(self) -> None:
        self._slot = VpcdSlot(self._open_chip(self.card), "127.0.0.1", self._port)
        thread = threading.Thread(target=self._slot.run)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._slot.close)
