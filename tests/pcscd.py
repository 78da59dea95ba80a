"""A pcscd of our own with the readers of vsmartcard's vpcd, or ours on a serial line: real PC/SC, not the machine's.

pcscd's folder is compiled in, so it runs in a mount namespace where `/run/pcscd` is ours. libpcsclite reads
`PCSCLITE_CSOCK_NAME` once per process: each has a socket of its own and at most one pcscd at a time.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from hardware.virtual.processes import SSC, free_port, wait_until
from tests.needs import need

SOCKET = "PCSCLITE_CSOCK_NAME"
PROGRAMS = ("/usr/sbin/pcscd", "unshare", "mount")
DRIVERS = Path("/usr/lib/pcsc/drivers/serial")
DRIVER = DRIVERS / "libifdvpcd.so"
SERIAL_DRIVER = DRIVERS / "libccidtwin.so"
DEVICE = "Counter reader"
READERS = f"{DEVICE} 00 00", f"{DEVICE} 00 01"
"""pcscd adds a running number and the slot."""
WITHIN_S = 30.0
PRIVATE = (
    "mount -t tmpfs tmpfs /run && mkdir /run/pcscd && mount --bind {folder} /run/pcscd"
    "{more} && exec /usr/sbin/pcscd --foreground --config {config} {polkit}"
)
DRIVER_OPTIONS = Path("/etc/libccid_Info.plist")
ESCAPES = "<key>ifdDriverOptions</key>\n\t<string>0x000{}</string>"
"""Bit 0 lets clients send escapes (`reader.md A.6`)."""
NO_POLKIT = "--disable-polkit"
"""Known since pcscd 2; there is no polkit in the namespace."""


def use_own_socket() -> None:
    """Before anything asks PC/SC: this process and its children never talk to the machine's pcscd."""
    os.environ[SOCKET] = f"{tempfile.gettempdir()}/ssc-pcscd-{os.getpid()}/pcscd.comm"


def missing_parts() -> list[str]:
    """What this machine lacks for a pcscd of our own."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [str(driver) for driver in (DRIVER, SERIAL_DRIVER) if not driver.exists()]
    try:
        import smartcard  # noqa: F401
    except ImportError:
        missing.append("pyscard")
    if not missing:
        namespace = [*namespace_command(), "true"]
        if subprocess.run(namespace, capture_output=True, check=False).returncode:
            missing.append("the right to a mount namespace")
    return missing


def demand() -> None:
    """As `need` does, for every part."""
    missing = missing_parts()
    need(f"missing for PC/SC: {', '.join(missing)}" if missing else None)


def namespace_command() -> tuple[str, ...]:
    return ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")


class Pcscd:
    """Two readers, one and two slots of the same device: vpcd has no more. A card can be put in at their `ports`."""

    def __init__(self, folder: Path) -> None:
        self._config = folder / "reader.conf.d"
        self._config.mkdir()
        self._log = folder / "pcscd.log"
        self._socket = Path(os.environ[SOCKET])
        self._process: subprocess.Popen[bytes] | None = None
        first = free_pair()
        self.ports = first, first + 1

    def __enter__(self) -> Self:
        self._socket.parent.mkdir(mode=0o755, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._socket.parent)

    def start(self, device: str = DEVICE) -> None:
        """Returns when pcscd listens and its readers wait for their cards."""
        first = f"0x{self.ports[0]:X}"
        (self._config / "vpcd").write_text(
            f'FRIENDLYNAME "{device}"\nDEVICENAME /dev/null:{first}\nLIBPATH {DRIVER}\nCHANNELID {first}\n'
        )
        self._start()
        wait_until("its readers", lambda: all(map(listens, self.ports)))

    def start_serial(self, port: Path, profile: str, *, escapes: bool = False) -> str:
        """With a reader of ours and no other: its name, once pcscd has opened it (`reader.md A.6`).

        `escapes`: the driver hands those of its clients on.
        """
        conf = f'FRIENDLYNAME "{DEVICE}"\nDEVICENAME {port}:{profile}\nLIBPATH {SERIAL_DRIVER}\n'
        (name,) = self.start_with(conf, escapes=escapes)
        return name

    def start_with(self, conf: str, *, escapes: bool = False) -> list[str]:
        """With the readers of this configuration and no other: their names, once pcscd has opened all."""
        from host_bridge.readers.addresses import list_pcsc_readers

        count = conf.count("FRIENDLYNAME")
        (self._config / "serial").write_text(conf)
        more = ""
        if escapes:
            options = self._config.with_name("Info.plist")
            before = DRIVER_OPTIONS.read_text()
            assert ESCAPES.format(0) in before
            options.write_text(before.replace(ESCAPES.format(0), ESCAPES.format(1)))
            more = f" && mount --bind {options} {DRIVER_OPTIONS}"
        self._start(more)
        found = wait_until("its readers", lambda: readers if len(readers := list_pcsc_readers()) == count else None)
        return [reader.address.removeprefix("pcsc:") for reader in found]

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")

    def _start(self, more: str = "") -> None:
        known = subprocess.run([PROGRAMS[0], "--help"], capture_output=True, text=True, check=False).stdout
        polkit = NO_POLKIT if NO_POLKIT in known else ""
        script = PRIVATE.format(folder=self._socket.parent, config=self._config, polkit=polkit, more=more)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*namespace_command(), "sh", "-c", script], stdout=log, stderr=log, start_new_session=True
            )
        wait_until("pcscd", self._accepts)

    def _accepts(self) -> bool:
        """Its socket is there before it listens."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Harmless when stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.wait(WITHIN_S)
        for path in self._socket.parent.iterdir():
            path.unlink()


class CardInReader:
    """`ssc virtual card run FILE --vpcd`: in the reader from `start` to `pull`."""

    def __init__(self, path: Path, port: int) -> None:
        command = [SSC, "virtual", "card", "run", str(path), "--vpcd", f"127.0.0.1:{port}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert b'"ready": true' in self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()

    def pull(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Harmless when it is out."""
        self._process.send_signal(how)
        self._process.wait(WITHIN_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


def listens(port: int) -> bool:
    """Whether vpcd waits there, without being a card for it."""
    wanted = f":{port:04X} 00000000:0000 0A"
    return any(wanted in line for line in Path("/proc/net/tcp").read_text().splitlines())


def free_pair() -> int:
    """A free port with a free one after it, which is vpcd's second slot."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def card_present(name: str = READERS[0]) -> bool:
    """Whether PC/SC sees a card in this reader."""
    from host_bridge.readers.pcsc_service import PcscService

    service = PcscService()
    try:
        return service.state(name).card_present
    finally:
        service.close()
