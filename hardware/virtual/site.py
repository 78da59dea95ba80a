"""A whole simulated site: broker, centre, and counters with reader, slot and printer, each a process of its own.

It starts everything through the `ssc` command, talks HTTP and files, and imports no other room, so what it shows is
what a real site would see.
"""

import getpass
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hardware.virtual.processes import SSC, Process, SiteError, ask, free_port, wait_until

HERE = Path(__file__).parent
PEOPLE = HERE / "people"
BROKER_PROGRAMS = ("mosquitto", "/usr/sbin/mosquitto")


class Counter:
    """One counter of the site: slot, reader, printer and terminal."""

    def __init__(self, spec: dict[str, str], folder: Path) -> None:
        self.terminal = spec["terminal"]
        self.spec, self.folder = spec, folder
        self.slot, self.paper = folder / "slot", folder / "paper"
        self.config = folder / "terminal.toml"
        self.state_folder = folder / "state"
        self.web = ""
        self.processes: dict[str, Process] = {}
        for part in (self.slot, self.paper, self.state_folder):
            part.mkdir(parents=True)

    def start_devices(self) -> None:
        """Reader firmware behind a pty with its slot, and the printer."""
        link = self.folder / "reader"
        self.processes["reader"] = Process(
            f"reader of {self.terminal}",
            [SSC, "virtual", "reader", "run", "--slot", str(self.slot), "--link", str(link)],
            self.folder / "reader.log",
        )
        self.processes["printer"] = Process(
            f"printer of {self.terminal}",
            [SSC, "virtual", "printer", "run", "--out", str(self.paper)],
            self.folder / "printer.log",
        )
        port = self.processes["printer"].facts["port"]
        self.config.write_text(
            f'[terminal]\nstate = "{self.state_folder}"\nreader = "serial:{link}"\nprinter = "tcp:127.0.0.1:{port}"\n'
            f'clerk = "{self.spec["clerk"]}"\nsimulated = true\n\n[clock]\ntrusted = "always"\n\n'
            '[web]\nhost = "127.0.0.1"\nport = 0\n'
        )

    def start_terminal(self, program: Sequence[str] = (SSC, "terminal", "run")) -> None:
        """The daemon; its page's address is known afterwards. `program` is given `--config FILE`."""
        command = [*program, "--config", str(self.config)]
        self.processes["terminal"] = Process(f"terminal {self.terminal}", command, self.folder / "terminal.log")
        self.web = self.processes["terminal"].facts["web"]

    def state(self) -> dict[str, Any]:
        """What the clerk page shows."""
        return dict(_http(f"{self.web}/api/1/state"))

    def past(self) -> list[dict[str, Any]]:
        """Today's settlements and refunds, newest first."""
        return list(_http(f"{self.web}/api/1/past"))

    def post(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        """Press one of the clerk page's own buttons."""
        return dict(_http(f"{self.web}/api/1/{call}", body))

    def wait(self, what: str, condition: Any, within_s: float = 30.0) -> dict[str, Any]:
        """The state once `condition(state)` holds."""

        def look() -> dict[str, Any] | None:
            for process in self.processes.values():
                if not process.running():
                    raise SiteError(f"{process.name} stopped; see {process.log}")
            state = self.state()
            return state if condition(state) else None

        return wait_until(f"{what} at {self.terminal}", look, within_s)

    def wait_idle(self) -> None:
        """Until the counter asks for a card and its slot is seen to be empty."""
        self.wait("an idle counter", lambda state: state["stage"] == "idle" and state["step"] == "insert")


class Site:
    """Everything of one simulated site in one folder; `stop` leaves no process behind."""

    def __init__(self, folder: Path, counters: list[dict[str, str]]) -> None:
        self.folder = folder
        self.cards, self.broker_folder, self.centre_folder = (
            folder / "cards",
            folder / "broker",
            folder / "centre",
        )
        for part in (self.cards, self.broker_folder, self.centre_folder):
            part.mkdir(parents=True)
        self.counters = {each["terminal"]: Counter(each, folder / each["terminal"]) for each in counters}
        self.config = self.centre_folder / "centre.toml"
        self.web = ""
        self._port = free_port()
        self._enrol = ""
        self._broker: Process | None = None
        self.centre: Process | None = None

    def start(self) -> None:
        """Broker, centre, people, counters; every counter enrolled by its own one-time code."""
        self._write_configs()
        ask("server", "broker-files", "--config", str(self.config))
        self.start_broker()
        self.start_centre()
        people = sorted(PEOPLE.glob("*.toml"))
        with ThreadPoolExecutor() as pool:
            tasks = [pool.submit(self._import, people)]
            tasks += [pool.submit(self._start_counter, counter) for counter in self.counters.values()]
            tasks.append(pool.submit(self._make_cards))
            for task in tasks:
                task.result()
        for counter in self.counters.values():
            counter.wait(
                "reader and centre", lambda state: state["reader"]["state"] == state["centre"]["state"] == "ready"
            )

    def start_centre(self, program: Sequence[str] = (SSC, "server", "run")) -> None:
        """The server; `program` is given `--config FILE`."""
        command = [*program, "--config", str(self.config)]
        self.centre = Process("centre", command, self.centre_folder / "centre.log")
        self.web, self._enrol = self.centre.facts["web"], self.centre.facts["enrol"]

    def start_broker(self) -> None:
        """A private mosquitto with passwords and rights, on loopback."""
        program = next((found for name in BROKER_PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise SiteError("mosquitto is not installed")
        log = self.broker_folder / "broker.log"
        self._broker = Process("broker", [program, "-c", str(self.broker_folder / "mosquitto.conf")], log, ready=False)
        pid_file = self.broker_folder / "broker.pid"
        wait_until(
            "the broker",
            lambda: pid_file.exists() and pid_file.read_text().strip() == str(self._broker_pid()),
        )

    def stop_broker(self) -> None:
        """As if the line to the centre were cut."""
        if self._broker is not None:
            self._broker.stop()
            (self.broker_folder / "broker.pid").unlink(missing_ok=True)

    def insert(self, terminal: str, card: str) -> None:
        """Put a card into a counter's slot."""
        (self.cards / f"{card}.card").replace(self.counters[terminal].slot / f"{card}.card")

    def remove(self, terminal: str, card: str) -> None:
        """Take it out again."""
        (self.counters[terminal].slot / f"{card}.card").replace(self.cards / f"{card}.card")

    def stop(self) -> None:
        """Stop every process of the site, terminals first."""
        for counter in self.counters.values():
            for name in ("terminal", "reader", "printer"):
                if name in counter.processes:
                    counter.processes[name].stop()
        for process in (self.centre, self._broker):
            if process is not None:
                process.stop()

    def _import(self, people: list[Path]) -> None:
        ask("server", "people", "import", "--config", str(self.config), *map(str, people), "--json")

    def _make_cards(self) -> None:
        ask("virtual", "card", "gallery", "-o", str(self.cards), "--json")

    def _start_counter(self, counter: Counter) -> None:
        counter.start_devices()
        self._enrol_terminal(counter)
        counter.start_terminal()

    def _broker_pid(self) -> int:
        return self._broker.pid if self._broker is not None else 0

    def _enrol_terminal(self, counter: Counter) -> None:
        spec = counter.spec
        added = ask(
            *("server", "terminal", "add", "--config", str(self.config), "--terminal", counter.terminal),
            *(
                "--institution",
                spec["fixmedins_code"],
                "--name",
                spec["fixmedins_name"],
                "--city",
                spec["city"],
            ),
            *("--role", "counter", "--json"),
        )
        ask(
            "terminal",
            "enrol",
            "--config",
            str(counter.config),
            "--url",
            self._enrol,
            "--code",
            added["code"],
            "--json",
        )

    def _write_configs(self) -> None:
        broker = self.broker_folder
        (broker / "mosquitto.conf").write_text(
            f"listener {self._port} 127.0.0.1\nallow_anonymous false\n"
            f"password_file {broker}/passwords\nacl_file {broker}/acl\n"
            f"pid_file {broker}/broker.pid\npersistence false\nuser {getpass.getuser()}\nlog_dest stderr\n"
            "max_inflight_messages 0\nmax_queued_messages 0\n"
        )
        centre = self.centre_folder
        self.config.write_text(
            f'[server]\nstore = "sqlite:///{centre}/centre.db"\nkey = "{centre}/receipt.key"\n\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {self._port}\nuser = "centre"\n'
            f'password_file = "{centre}/broker.password"\n'
            f'passwords = "{broker}/passwords"\nacl = "{broker}/acl"\npid_file = "{broker}/broker.pid"\n\n'
            f'[[broker.offered]]\nhost = "127.0.0.1"\nport = {self._port}\n\n'
            '[web]\nhost = "127.0.0.1"\nport = 0\n\n[enrol]\nhost = "127.0.0.1"\nport = 0\n'
        )


def _http(url: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(url)  # noqa: S310 - an address this site itself printed
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SiteError(f"{url} answered {error.code}: {error.read().decode(errors='replace')[:300]}") from None
