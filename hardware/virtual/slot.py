"""A card slot made of a folder: the one `*.card` file in it is the card (`protocols.iso7816.line`)."""

import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from hardware.virtual.card import CardFileError, VirtualCard
from protocols.iso7816.apdu import MAX_LE, CommandApdu, ResponseApdu
from protocols.iso7816.line import (
    CHARACTER,
    CLK,
    CONTACTS,
    CONTACTS_OFF,
    PRESENT,
    RST,
    VCC,
    LineError,
    LineParser,
    characters,
    message,
)
from protocols.iso7816.t0 import HEADER_SIZE
from protocols.texts.catalogue import texts

logger = logging.getLogger(__name__)

SUFFIX = ".card"
LOOK_EVERY_S = 0.025
SENDS_WITHIN_S = 5.0
CHUNK = 4096
RUNNING = VCC | CLK | RST


def sentence(key: str, **facts: str) -> str:
    """A catalogue text on one line: number, Chinese, English."""
    text = texts()[key]
    return f"{text.number} {text.zh.fill(facts).what} · {text.en.fill(facts).what}"


class Chip(Protocol):
    """What the slot powers: `hardware.virtual.card.VirtualCard`."""

    def reset(self) -> bytes: ...

    def takes_data(self, ins: int) -> bool: ...

    def command(self, command: CommandApdu) -> ResponseApdu: ...


class CardFile(NamedTuple):
    """A card file as it lies in the folder; a file put in its place is another one."""

    path: Path
    inode: int
    changed_ns: int
    size: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """`OSError` where there is none."""
        found = path.stat()
        return cls(path, found.st_ino, found.st_mtime_ns, found.st_size)


class VirtualSlot:
    """Serves one contact-line client at a time on `address`, from its own thread.

    Two card files are no card; a file that makes no card neither. `say` hears the reason in a sentence.
    """

    def __init__(
        self,
        folder: Path,
        open_card: Callable[[Path], Chip] = VirtualCard.open,
        say: Callable[[str], None] = logger.warning,
    ) -> None:
        self._folder, self._open_card, self._say = folder, open_card, say
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        self._thread = threading.Thread(target=self._serve, name="virtual slot", daemon=True)
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._client: socket.socket | None = None
        self._parser = LineParser()
        self._said = ""
        self._looked = 0.0
        self._file: CardFile | None = None
        self._refused: CardFile | None = None
        self._chip: Chip | None = None
        self._contacts = CONTACTS_OFF
        self._command = bytearray()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the line and wait for the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()

    def wait_connected(self, timeout_s: float) -> bool:
        """Whether a reader has come to the line in time."""
        return self._connected.wait(timeout_s)

    # The thread

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._look()
            heard = self._client or self._listener
            if not select.select([heard], [], [], LOOK_EVERY_S)[0]:
                continue
            if self._client is None:
                self._accept()
            else:
                self._hear()
        self._hang_up()

    def _accept(self) -> None:
        self._client, _ = self._listener.accept()
        self._client.settimeout(SENDS_WITHIN_S)
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = LineParser()
        self._send(message(PRESENT, self._chip is not None))
        self._connected.set()

    def _hear(self) -> None:
        try:
            data = self._client.recv(CHUNK) if self._client else b""
            found = self._parser.feed(data)
        except (OSError, LineError):
            data, found = b"", []
        if not data:
            self._hang_up()
        for kind, value in found:
            if kind == CONTACTS:
                self._set_contacts(value)
            elif kind == CHARACTER:
                self._take_character(value)

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._connected.clear()
        self._contacts = CONTACTS_OFF
        self._command.clear()

    def _send(self, data: bytes) -> None:
        if self._client is None:
            return
        try:
            self._client.sendall(data)
        except OSError:
            self._hang_up()

    # The folder

    def _look(self) -> None:
        """Take the card in or out as the folder says, at most every 25 ms."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        found = self._find()
        if self._chip is not None and found != self._file:
            self._remove()
        if found is None:
            self._refused = None
        elif self._chip is None and found != self._refused:
            self._insert(found)

    def _find(self) -> CardFile | None:
        try:
            paths = [path for path in self._folder.glob(f"*{SUFFIX}") if not path.name.startswith(".")]
            if len(paths) == 1:
                return CardFile.at(paths[0])
        except OSError:
            return None  # moved out just now
        if paths:
            self._tell(sentence("slot_two_cards", folder=str(self._folder), count=str(len(paths))))
        else:
            self._said = ""
        return None

    def _insert(self, file: CardFile) -> None:
        try:
            self._chip = self._open_card(file.path)
        except CardFileError as error:
            self._refused = file
            self._tell(sentence("slot_card_unusable", reason=str(error)))
            return
        self._file, self._refused, self._said = file, None, ""
        self._send(message(PRESENT, 1))

    def _remove(self) -> None:
        self._chip = self._file = None
        self._command.clear()
        self._send(message(PRESENT, 0))

    def _tell(self, what: str) -> None:
        if what != self._said:
            self._said = what
            self._say(what)

    # The card's side of T=0

    def _set_contacts(self, contacts: int) -> None:
        rises = contacts == RUNNING and self._contacts != RUNNING
        self._contacts = contacts
        self._command.clear()
        self._send(message(CONTACTS, contacts))
        if rises and self._chip is not None:
            self._send(characters(self._chip.reset()))

    def _take_character(self, value: int) -> None:
        if self._chip is None or self._contacts != RUNNING:
            return
        self._command.append(value)
        if len(self._command) < HEADER_SIZE:
            return
        ins, p3 = self._command[1], self._command[4]
        incoming = p3 if self._chip.takes_data(ins) else 0
        if len(self._command) == HEADER_SIZE + incoming:
            self._answer()
        elif len(self._command) == HEADER_SIZE:
            self._send(characters(bytes([ins])))

    def _answer(self) -> None:
        """Perform the complete command. A card pulled before or while it works answers nothing."""
        cla, ins, p1, p2, p3 = self._command[:HEADER_SIZE]
        data = bytes(self._command[HEADER_SIZE:])
        self._command.clear()
        if self._chip is None or self._file is None:
            return
        # T=0 has no P3 of "nothing": 00 is 256 expected, or case 1
        le = None if self._chip.takes_data(ins) else p3 or MAX_LE
        try:
            if not self._file.path.exists():
                return
            response = self._chip.command(CommandApdu(cla, ins, p1, p2, data, le))
            self._file = CardFile.at(self._file.path)
        except OSError:
            return
        except CardFileError as error:
            self._tell(sentence("slot_card_unusable", reason=str(error)))
            return
        self._send(characters((bytes([ins]) + response.data if response.data else b"") + response.to_bytes()[-2:]))
