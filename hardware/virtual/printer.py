"""A simulated receipt printer on a TCP port: what was sent comes out as text files, one per cut receipt.

It behaves where real ones hurt: two-byte characters only in Kanji mode, real-time status ahead of waiting data, nothing
printed and no confirmation without paper, and what waits is lost when the connection goes.
"""

import codecs
import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAPER_OUT = "paper-out"
"""While a file of this name is in the output folder, the printer has no paper."""
POLL_S = 0.05

ESC, FS, GS, DLE = 0x1B, 0x1C, 0x1D, 0x10
PARAMETERS = {
    (ESC, ord("@")): 0,
    (ESC, ord("d")): 1,
    (ESC, ord("J")): 1,
    (ESC, ord("a")): 1,
    (ESC, ord("E")): 1,
    (ESC, ord("!")): 1,
    (ESC, ord("t")): 1,
    (ESC, ord("R")): 1,
    (ESC, ord("2")): 0,
    (ESC, ord("3")): 1,
    (FS, ord("&")): 0,
    (FS, ord(".")): 0,
    (FS, ord("!")): 1,
    (FS, ord("C")): 1,
    (GS, ord("!")): 1,
    (GS, ord("r")): 1,
    (GS, ord("L")): 2,
    (GS, ord("W")): 2,
}
"""Parameter bytes of the commands that are known to it; any other command takes one."""
KINDS = {
    (ESC, ord("@")): "reset",
    (FS, ord("&")): "kanji",
    (FS, ord(".")): "kanji",
    (GS, ord("r")): "sensor",
    (GS, ord("V")): "cut",
    (DLE, 0x04): "status",
}
STATUS_READY, STATUS_NO_PAPER = 0x12, 0x72
SENSOR_READY = 0x00
IMAGE = "[图]"
CHINESE = codecs.getincrementaldecoder("gb18030")
WESTERN = codecs.getincrementaldecoder("cp437")


class Piece(NamedTuple):
    """`kind` is text, image, kanji (on or off in `data`), reset, status (at once), sensor (in turn), cut or other."""

    kind: str
    data: bytes


class Stream:
    """Splits what arrives into pieces; any bytes in any portions are accepted."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that are complete now."""
        self._rest += data
        while self._rest:
            used, piece = self._first()
            if not used:
                return
            self._rest = self._rest[used:]
            yield piece

    def _first(self) -> tuple[int, Piece]:
        rest = self._rest
        if rest[0] not in (ESC, FS, GS, DLE):
            text = re.match(rb"[^\x10\x1b\x1c\x1d]+", rest)
            length = text.end() if text else 1
            return length, Piece("text", rest[:length])
        wait = (0, Piece("other", b""))
        if len(rest) < 2:
            return wait
        lead, command = rest[0], rest[1]
        if (lead, command) == (GS, ord("v")):
            if len(rest) < 8:
                return wait
            size = 8 + int.from_bytes(rest[4:6], "little") * int.from_bytes(rest[6:8], "little")
            return (size, Piece("image", rest[:size])) if len(rest) >= size else wait
        if (lead, command) == (GS, ord("V")):
            size = 4 if len(rest) > 2 and rest[2] in (0x41, 0x42) else 3
        else:
            size = 2 + PARAMETERS.get((lead, command), 1)
        if len(rest) < size:
            return wait
        return size, Piece(KINDS.get((lead, command), "other"), rest[:size])


class Paper:
    """One connection's receipt in the making: text as it would be read, bytes as they came."""

    def __init__(self) -> None:
        self.text, self.raw = "", b""
        self._decoder = WESTERN("replace")

    def put(self, piece: Piece) -> None:
        """Text is two-byte only in Kanji mode, which outlives a cut; an image counts as one line."""
        self.raw += piece.data
        if piece.kind == "text":
            self.text += self._decoder.decode(piece.data)
            return
        self.text += self._decoder.decode(b"", final=True)
        if piece.kind == "image":
            self.text += IMAGE + "\n"
        elif piece.kind == "kanji":
            self._decoder = (CHINESE if piece.data[1] == ord("&") else WESTERN)("replace")
        elif piece.kind == "reset":
            self._decoder = WESTERN("replace")

    def tear_off(self) -> tuple[str, bytes]:
        """The finished receipt; the next one begins."""
        text, raw = self.text + self._decoder.decode(b"", final=True), self.raw
        self.text, self.raw = "", b""
        return text, raw


class VirtualPrinter:
    """Serves until `stop`; `port` is known at once. Several connections at a time are fine."""

    def __init__(self, out: Path, port: int = 0, host: str = "127.0.0.1") -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out = out
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._number = max((int(each.stem[-4:]) for each in out.glob("receipt-[0-9][0-9][0-9][0-9].bin")), default=0)

    def serve(self) -> None:
        """Accept connections until stopped."""
        self._listener.settimeout(POLL_S)
        while not self._stopping.is_set():
            try:
                link, _ = self._listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._serve_one, args=(link,), daemon=True).start()
        self._listener.close()

    def stop(self) -> None:
        """End `serve` and all connections."""
        self._stopping.set()

    def has_paper(self) -> bool:
        """Whether there is paper, by the switch file."""
        return not (self.out / PAPER_OUT).exists()

    def _serve_one(self, link: socket.socket) -> None:
        paper, waiting = Paper(), list[Piece]()
        link.settimeout(POLL_S)
        with link:
            with contextlib.suppress(OSError):
                self._take(link, paper, waiting)
            self._print(None, paper, waiting)

    def _take(self, link: socket.socket, paper: Paper, waiting: list[Piece]) -> None:
        """Until the connection ends: status is answered at once, everything else waits its turn."""
        stream = Stream()
        while not self._stopping.is_set():
            try:
                data = link.recv(65536)
                if not data:
                    return
                for piece in stream.feed(data):
                    if piece.kind == "status":
                        link.sendall(bytes((STATUS_READY if self.has_paper() else STATUS_NO_PAPER,)))
                    else:
                        waiting.append(piece)
            except TimeoutError:
                pass
            self._print(link, paper, waiting)

    def _print(self, link: socket.socket | None, paper: Paper, waiting: list[Piece]) -> None:
        """Work off what waits while there is paper; without a connection nobody hears the sensor's answer."""
        while waiting and self.has_paper():
            piece = waiting.pop(0)
            if piece.kind == "cut":
                self._cut(paper)
            elif piece.kind != "sensor":
                paper.put(piece)
            elif link is not None:
                link.sendall(bytes((SENSOR_READY,)))

    def _cut(self, paper: Paper) -> None:
        text, raw = paper.tear_off()
        with self._writing:
            self._number += 1
            name = f"receipt-{self._number:04d}"
            _write_durably(self.out / f"{name}.bin", raw)
            _write_durably(self.out / f"{name}.txt", text.encode())


def _write_durably(path: Path, data: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
