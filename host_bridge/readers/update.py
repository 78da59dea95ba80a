"""New files for a reader that runs our firmware: sent, tried, confirmed (`firmware.update`, `firmware.boot`)."""

import hashlib
import time
from collections.abc import Callable

from host_bridge.readers.reader import ReaderError
from host_bridge.readers.service import NotOurs, ReaderService, ServiceRefused
from protocols.ccid.service import (
    ERROR_BAD_FILE,
    FILE_SLOTS,
    LENGTH_SIZE,
    MANIFEST,
    MANIFEST_FILE,
    MAX_WRITE,
    RESTART,
    UPDATE_BEGIN,
    UPDATE_CHECK,
    UPDATE_CONFIRM,
    UPDATE_FINISH,
    UPDATE_WRITE,
    Hello,
    ServiceError,
    version_of,
)
from protocols.release.bundle import Bundle

RETURNS_WITHIN_S = 60.0
ASK_EVERY_S = 0.5


class UpdateError(ReaderError):
    """The update cannot begin or did not succeed; `key` and `facts` are of the catalogue text."""

    def __init__(self, key: str, **facts: str) -> None:
        self.key, self._facts = key, facts
        super().__init__(key)

    @property
    def facts(self) -> dict[str, str]:
        return self._facts


class Updater:
    """Brings one reader to one release. Whatever ends it, calling `update` again goes on from there."""

    def __init__(
        self,
        service: ReaderService,
        bundle: Bundle,
        progress: Callable[[int, int], None] = lambda *_: None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`progress` hears how many bytes of how many the reader has."""
        self._service, self._bundle, self._progress = service, bundle, progress
        self._monotonic, self._sleep = monotonic, sleep
        self._contents = [bundle.signed, *(bundle.files[each.path] for each in bundle.manifest.files)]
        self._held = [0] * len(self._contents)

    def update(self) -> Hello:
        """What the reader says once it keeps the release; `ReaderError`, `UpdateError` among them."""
        hello = self._service.hello()
        self._check(hello)
        if hello.digest != self._bundle.manifest.digest:
            self.send()
            hello = self.restart(hello)
            if hello.digest != self._bundle.manifest.digest:
                raise UpdateError("reader_update_reverted", version=hello.version, reason=hello.reason)
        if not hello.on_trial:
            return hello
        self._service.ask(UPDATE_CONFIRM, hello.digest)
        return self._service.hello()

    def _check(self, hello: Hello) -> None:
        """Before a byte is sent."""
        manifest = self._bundle.manifest
        if hello.file_slot not in FILE_SLOTS:
            raise UpdateError("reader_not_updatable")
        if hello.board != manifest.board:
            raise UpdateError("reader_update_wrong_board", board=hello.board, wanted=manifest.board)
        try:
            below = version_of(manifest.version) < version_of(hello.floor)
        except ServiceError as error:
            raise NotOurs(str(error)) from None
        if below:
            raise UpdateError("reader_update_below_floor", version=manifest.version, floor=hello.floor)
        if hello.on_trial and hello.digest != manifest.digest:
            raise UpdateError("reader_update_on_trial", version=hello.version)

    def send(self) -> None:
        signed = self._bundle.signed
        begin = len(signed).to_bytes(2, "little") + hashlib.sha256(signed).digest()
        self._held[MANIFEST] = self._length(self._service.ask(UPDATE_BEGIN, begin))
        for which in range(len(self._contents)):
            self._send_file(which)
        for which in range(1, len(self._contents)):
            self._check_file(which)
        self._service.ask(UPDATE_FINISH)

    def _check_file(self, which: int) -> None:
        """One that the reader found damaged, and so removed, is sent once more."""
        request = which.to_bytes(2, "little")
        try:
            self._service.ask(UPDATE_CHECK, request)
        except ServiceRefused as error:
            if error.error != ERROR_BAD_FILE:
                raise
            self._send_file(which)
            self._service.ask(UPDATE_CHECK, request)

    def _send_file(self, which: int) -> None:
        """From where the reader stands."""
        content = self._contents[which]
        head = which.to_bytes(2, "little")
        held = self._length(self._service.ask(UPDATE_WRITE, head + len(content).to_bytes(4, "little")))
        while held < len(content):
            request = head + held.to_bytes(4, "little") + content[held : held + MAX_WRITE]
            before, held = held, self._length(self._service.ask(UPDATE_WRITE, request))
            if held <= before:
                raise UpdateError("reader_update_stuck", path=self._path(which))
            self._held[which] = held
            self._progress(sum(self._held), sum(map(len, self._contents)))

    def restart(self, hello: Hello) -> Hello:
        """What the reader says after it."""
        self._ask_to_restart(hello)
        deadline = self._monotonic() + RETURNS_WITHIN_S
        while True:
            try:
                found = self._service.hello()
                if found.starts != hello.starts:
                    return found
            except ReaderError:
                pass  # not there yet
            if self._monotonic() > deadline:
                raise UpdateError("reader_update_no_return")
            self._sleep(ASK_EVERY_S)

    def _ask_to_restart(self, hello: Hello) -> None:
        try:
            self._service.ask(RESTART, hello.starts.to_bytes(4, "little"))
        except ReaderError:
            return  # it is gone already, or its answer was lost

    def _path(self, which: int) -> str:
        return self._bundle.manifest.files[which - 1].path if which else MANIFEST_FILE

    @staticmethod
    def _length(answer: bytes) -> int:
        if len(answer) != LENGTH_SIZE:
            raise UpdateError("reader_update_stuck", path="?")
        return int.from_bytes(answer, "little")
