"""Emulated Picos: `python -m tests.rigs.emulated.plugged IMAGE.uf2 SOCKET` boots one, and copies it.

A client sends a `Plug` and hears when its port is there; when it hangs up, its copy loses its power. The copies are
forked from the one that booted, since that takes a minute.
"""

import json
import mmap
import os
import pty
import select
import signal
import struct
import sys
import time
import tty
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import NamedTuple

from firmware.boards.pico import pins
from hardware.virtual.card_side import CardSide
from hardware.virtual.line_faults import Faults
from hardware.virtual.reader import make_link
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.firmware.pio.card_socket import Socket
from tests.rigs.emulated.pico import EmulatedPico
from tests.rigs.rungs import Wanted, WantedCard

SECONDS = struct.Struct("<d")
ASLEEP_S = 0.0001
"""The host's time for as much of a processor that sleeps."""
LOOK_EVERY_S = 0.025
NOTICED_S = 0.1
"""After so long the firmware has seen a card that was in from the beginning."""
PARENT_EVERY_S = 1.0
CHUNK = 4096


class Plug(NamedTuple):
    """`link` will point to the port; `clock`, a file, tells the emulated seconds; `card` is in while it exists."""

    link: Path
    clock: Path
    card: Path
    wanted: Wanted


class PluggedPico:
    """A copy with its port, and a card in its first slot."""

    def __init__(self, pico: EmulatedPico, slot: Socket, plug: Plug) -> None:
        self._pico, self._slot, self._plug = pico, slot, plug
        self._host, self._device = pty.openpty()
        tty.setraw(self._device)
        os.set_blocking(self._host, False)
        plug.clock.write_bytes(SECONDS.pack(0.0))
        with plug.clock.open("r+b") as file:
            self._clock = mmap.mmap(file.fileno(), SECONDS.size)
        self._card_in = False
        self._looked = 0.0
        make_link(plug.link, os.ttyname(self._device))

    def run(self, client: Connection) -> None:
        """Until the client hangs up."""
        self._look()
        noticed = self._pico.seconds + NOTICED_S
        while self._pico.seconds < noticed:
            self._pico.run()
        client.send(self._plug.link)
        while True:
            asleep = self._pico.run()
            SECONDS.pack_into(self._clock, 0, self._pico.seconds)
            writing = [self._host] if self._pico.heard else []
            hung_up = client.fileno()
            ready, writable, _ = select.select([self._host, hung_up], writing, [], ASLEEP_S if asleep else 0)
            if hung_up in ready:
                return
            if self._host in ready:
                self._pico.send(os.read(self._host, CHUNK))
            if writable:
                del self._pico.heard[: os.write(self._host, self._pico.heard)]
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        there = self._plug.card.exists()
        if there and not self._card_in:
            chip = WantedCard(self._plug.card, self._plug.wanted)

            def perform(command: CommandApdu) -> ResponseApdu | None:
                return chip.command(command) if self._plug.card.exists() else None

            self._slot.put(CardSide(chip, Faults(self._plug.wanted.faults), perform))
        elif self._card_in and not there:
            self._slot.pull()
        self._card_in = there


def plug_in(address: Path, plug: Plug) -> Connection:
    """Returns when the port is there; hang up to take the power."""
    client = Client(str(address))
    client.send(plug)
    client.recv()
    return client


def _serve(listener: Listener, pico: EmulatedPico, slot: Socket) -> None:
    while True:
        client = listener.accept()
        if not os.fork():
            PluggedPico(pico, slot, client.recv()).run(client)
            os._exit(0)
        client.close()


def _end_with(parent: int) -> None:
    """Whoever started this one may be killed."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            sys.exit()

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, PARENT_EVERY_S, PARENT_EVERY_S)


def main(image: str, address: str) -> None:
    """Says where it listens, then boots; who comes before it has booted waits."""
    _end_with(os.getppid())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = Listener(address)
    print(json.dumps({"socket": address}), flush=True)
    pico = EmulatedPico(Path(image).read_bytes())
    slot = pico.socket(pins, 0)
    pico.boot()
    _serve(listener, pico, slot)


if __name__ == "__main__":
    main(*sys.argv[1:])
