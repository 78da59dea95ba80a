"""A line between a reader and its host that dribbles, loses, delays, corrupts, and is cut."""

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self

from host_bridge.readers.serial_link import open_port

Spoil = Callable[[bytes], bytes]


def well(data: bytes) -> bytes:
    return data


class HostileWire:
    """`link` leads to a reader's port; what the reader says goes through `spoil`, what it hears through `spoil_out`.

    Not more than `piece` bytes at a time go either way.

    `cut` is a cable that is pulled: the host's end is gone and the link with it.
    """

    def __init__(self, reader: Path, link: Path) -> None:
        self._reader, self._link = reader, link
        self.spoil: Spoil = well
        self.spoil_out: Spoil = well
        self.piece = 4096
        self._cut = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def plug(self) -> None:
        self._cut.clear()
        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._link.symlink_to(os.ttyname(slave))
        self._thread = threading.Thread(target=self._carry, args=(master, slave), daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Harmless when it is."""
        self._cut.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _carry(self, master: int, slave: int) -> None:
        with contextlib.closing(open_port(str(self._reader))) as port:
            while not self._cut.is_set():
                for ready in select.select([master, port.fileno()], [], [], 0.01)[0]:
                    data = os.read(ready, 4096)
                    to, spoil = (port.fileno(), self.spoil_out) if ready == master else (master, self.spoil)
                    spoiled = spoil(data)
                    for at in range(0, len(spoiled), self.piece):
                        os.write(to, spoiled[at : at + self.piece])
        self._link.unlink()
        os.close(slave)
        os.close(master)
