"""Open files that the service manager keeps while the service is started anew (`sd_notify(3)`, `sd_listen_fds(3)`)."""

import array
import os
import socket
from collections.abc import MutableMapping

FIRST = 3


class KeptFiles:
    """Without a service manager that keeps files: none, and nothing is kept."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """To be made once: what says that files are for this process is removed."""
        self._manager = environ.get("NOTIFY_SOCKET", "")
        pid, count, names = (environ.pop(key, "") for key in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
        self._files: dict[str, int] = {}
        if pid == str(os.getpid()) and count.isdecimal():
            self._files = dict(zip(names.split(":"), range(FIRST, FIRST + int(count)), strict=False))

    def take(self, *names: str) -> tuple[int, ...]:
        """The files of these names; none where one is missing."""
        if not all(name in self._files for name in names):
            return ()
        return tuple(self._files.pop(name) for name in names)

    def keep(self, name: str, file: int) -> None:
        """Under this name, without colon, until the service is stopped for good. `OSError`."""
        self._tell(f"FDSTORE=1\nFDNAME={name}", file)

    def ready(self) -> None:
        """The service is. `OSError`."""
        self._tell("READY=1")

    def _tell(self, state: str, *files: int) -> None:
        if not self._manager:
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(self._manager.replace("@", "\0", 1) if self._manager[0] == "@" else self._manager)
            notify.sendmsg([state.encode()], rights)
