"""The site of a soak: broker, centre, terminals and two proxies, enrolled and fed by the product's own commands.

    terminals --- mischief proxy --- broker --- tap --- centre

Its folder has what the checker reads: `<terminal>/state/journal.db`, `<terminal>/shown.txt`, `<terminal>/paper/`,
`centre/centre.db`, `people/`, `receipts.jsonl`.
"""

import getpass
import shutil
import signal
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

from hardware.virtual.processes import Process, SiteError, ask, free_port, wait_until
from hardware.virtual.site import BROKER_PROGRAMS
from tests.chaos.faults import ARMED, DEATHS
from tests.chaos.mischief import Mischief
from tests.chaos.people import write_people
from tests.chaos.plan import BROKER, CENTRE, Kill
from tests.chaos.proxy import Proxy
from tests.chaos.tap import Tap

PEOPLE = 32
CITIES = {"110000": "H11010200012", "990101": "P99010100007"}
"""City and institution of the terminals, in turn."""


class Account(NamedTuple):
    """A journal as another process sees it. `money`: settlements and refunds."""

    end: int
    mark: int
    money: int


NOTHING = Account(0, 0, 0)


class SoakSite:
    """`start` runs everything but the terminals; afterwards every part is started and killed by name."""

    def __init__(self, folder: Path, terminals: int, random: Random) -> None:
        self.folder = folder
        self.terminals = [f"{'110102' if number % 2 == 0 else '990101'}-{number:04d}" for number in range(terminals)]
        self._random = random
        self._seeds = {part: Random(random.random()) for part in (CENTRE, *self.terminals)}
        self._broker_port, tap_port, proxy_port = free_port(), free_port(), free_port()
        for part in ("broker", "centre", "people", *self.terminals):
            (folder / part).mkdir(parents=True)
        self.record = folder / "receipts.jsonl"
        self.record.touch()
        self.mischief = Mischief(Random(random.random()))
        self.tap = Tap(self.record, folder / "centre" / "centre.db")
        self.proxy = Proxy(proxy_port, self._broker_port, self.mischief.connection)
        self.tapped = Proxy(tap_port, self._broker_port, self.tap.connection)
        self._processes: dict[str, Process] = {}

    def start(self) -> None:
        """People imported, terminals enrolled, proxies listening, broker and centre running."""
        write_people(self.folder / "people", PEOPLE, self._random)
        self._write_configs()
        config = str(self.folder / "centre" / "centre.toml")
        ask("server", "broker-files", "--config", config)
        self.proxy.start()
        self.tapped.start()
        self.start_part(BROKER)
        centre = Process("centre", [*self._program(CENTRE, None)], self._log(CENTRE))
        self._processes[CENTRE] = centre
        with ThreadPoolExecutor(2) as pool:
            files = sorted(map(str, (self.folder / "people").glob("*.toml")))
            imported = pool.submit(ask, "server", "people", "import", "--config", config, *files, "--json")
            for task in [pool.submit(self._enrol, name, config, centre.facts["enrol"]) for name in self.terminals]:
                task.result()
            imported.result()

    def start_part(self, part: str, kill: Kill | None = None) -> None:
        """A part's next life."""
        if part == BROKER:
            self._start_broker()
        else:
            self._processes[part] = Process(part, self._program(part, kill), self._log(part), ready=False)

    def running(self, part: str) -> bool:
        """Whether the part is alive."""
        return self._processes[part].running()

    def arm(self, part: str, *, armed: bool) -> None:
        """Let the part die at its step from now on."""
        mark = self.folder / part / ARMED
        mark.touch() if armed else mark.unlink()

    def kill(self, part: str) -> None:
        """kill -9. What the broker knew is gone with it."""
        self._processes[part].stop(signal.SIGKILL)
        if part == BROKER:
            (self.folder / "broker" / "broker.pid").unlink()

    def deaths(self, part: str) -> list[str]:
        """The steps at which a part has died."""
        path = self.folder / part / DEATHS
        return path.read_text().split() if path.exists() else []

    def limit(self, terminal: str, end: int) -> None:
        """Up to which event a terminal may go."""
        new = self.folder / terminal / "limit.new"
        new.write_text(str(end))
        new.replace(new.with_name("limit"))

    def account(self, terminal: str, since: Account = NOTHING) -> Account:
        """A terminal's journal now; only what came `since` is read."""
        path = self.folder / terminal / "state" / "journal.db"
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", 10, uri=True)) as journal:
            end, money = journal.execute(
                "SELECT coalesce(max(seq), 0), coalesce(sum(kind IN ('settlement', 'refund')), 0)"
                " FROM event WHERE seq > ?",
                (since.end,),
            ).fetchone()
            (mark,) = journal.execute("SELECT mark_seq FROM state").fetchone()
        return Account(max(end, since.end), mark, since.money + money)

    def calm(self) -> None:
        """No more mischief on the wire."""
        self.mischief.calm = True
        self.proxy.cut_all()

    def stop(self) -> None:
        """Terminals first, proxies last."""
        for part in (*self.terminals, CENTRE, BROKER):
            if part in self._processes:
                self._processes[part].stop()
        self.proxy.stop()
        self.tapped.stop()

    def _program(self, part: str, kill: Kill | None) -> list[str]:
        module = "centre" if part == CENTRE else "till"
        seed = str(self._seeds[part].getrandbits(32))
        doom = [] if kill is None or kill.step is None else ["--step", kill.step, "--passes", str(kill.passes)]
        return [sys.executable, "-m", f"tests.chaos.{module}", str(self.folder / part), "--seed", seed, *doom]

    def _log(self, part: str) -> Path:
        return self.folder / part / "log"

    def _start_broker(self) -> None:
        program = next((found for name in BROKER_PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise SiteError("mosquitto is not installed")
        folder = self.folder / "broker"
        broker = Process(BROKER, [program, "-c", str(folder / "mosquitto.conf")], self._log(BROKER), ready=False)
        self._processes[BROKER] = broker
        pid_file = folder / "broker.pid"
        wait_until("the broker", lambda: pid_file.exists() and pid_file.read_text().strip() == str(broker.pid))

    def _enrol(self, terminal: str, config: str, url: str) -> None:
        city = list(CITIES)[self.terminals.index(terminal) % len(CITIES)]
        given = ["--terminal", terminal, "--institution", CITIES[city], "--name", "示范", "--city", city]
        added = ask("server", "terminal", "add", "--config", config, *given, "--role", "counter", "--json")
        own = self.folder / terminal / "terminal.toml"
        own.write_text('[terminal]\nstate = "state"\nreader = "virtual:2.00"\nprinter = "file:paper"\nclerk = "07"\n')
        ask("terminal", "enrol", "--config", str(own), "--url", url, "--code", added["code"], "--json")
        self.limit(terminal, 0)

    def _write_configs(self) -> None:
        broker = self.folder / "broker"
        (broker / "mosquitto.conf").write_text(
            f"listener {self._broker_port} 127.0.0.1\nallow_anonymous false\n"
            f"password_file {broker}/passwords\nacl_file {broker}/acl\npid_file {broker}/broker.pid\n"
            f"persistence false\nuser {getpass.getuser()}\nlog_dest stderr\nlog_type error\n"
            "max_inflight_messages 0\nmax_queued_messages 0\n"
        )
        (self.folder / "centre" / "centre.toml").write_text(
            '[server]\nstore = "sqlite:///centre.db"\nkey = "receipt.key"\n\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {self.tapped.port}\nuser = "centre"\n'
            'password_file = "broker.password"\n'
            f'passwords = "{broker}/passwords"\nacl = "{broker}/acl"\npid_file = "{broker}/broker.pid"\n\n'
            f'[[broker.offered]]\nhost = "127.0.0.1"\nport = {self.proxy.port}\n\n'
            "[web]\nport = 0\n\n[enrol]\nport = 0\n"
        )
