"""Kill a Node-RED pipeline, MQTT to SQLite, by the plan of our own soak, and count what it lost or stored twice.

`npm install --prefix DIR node-red@4 node-red-node-sqlite@1`, then
`python -m tests.chaos.node_red --node-red DIR --kills 200 --settlements 2000 --seed 1 [--json]`. Publishers stand for
the terminals and Node-RED for the centre. A publisher holds a settlement for delivered when the broker has
acknowledged it. Node-RED is set up in its favour: its session is kept by the broker, it reconnects within a second, and
is not killed before it is connected. The last line is one JSON object; it is a measurement, so exit 0 whatever is lost.
"""

import argparse
import getpass
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from signal import SIGKILL
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from hardware.virtual.processes import Process, SiteError, free_port, wait_until
from hardware.virtual.site import BROKER_PROGRAMS
from tests.chaos.plan import BROKER, CENTRE, LEAST_KILLS, Kill, make_plan
from tests.chaos.soak import DRAINED_WITHIN_S, HASTE, TERMINALS, TICK_S, TRICKLE_S

READY_WITHIN_S = 120.0
QUIET_S = 5.0
"""Nothing new in the table for so long: the pipeline is empty."""
CONNECTED = b"Connected to broker"
MODULES = ("node-red", "node-red-node-sqlite")
TABLE = "PRAGMA journal_mode = wal; CREATE TABLE settlement (id TEXT, body TEXT)"
"""Without a key: what came twice shall be seen."""
INSERT = "INSERT INTO settlement VALUES ($id, $body)"
TO_PARAMETERS = "msg.params = {$id: msg.payload, $body: msg.topic};\nreturn msg;"
SETTINGS = "module.exports = {httpAdminRoot: false, httpNodeRoot: false, mqttReconnectTime: 1000}"
ID_LENGTH = 16


def publish(folder: Path, port: int, seed: int) -> None:
    """A publisher: up to its limit one settlement after the other, each noted on disk once it is acknowledged."""
    client = Client(CallbackAPIVersion.VERSION2, folder.name)
    client.reconnect_delay_set(1, 1)
    acknowledged = threading.Event()
    client.on_publish = lambda *_: acknowledged.set()
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    with (folder / "acked").open("a+") as notes:
        for number in count(notes.tell() // (ID_LENGTH + 1)):
            while number >= int((folder / "limit").read_text()):
                time.sleep(TICK_S / 10)
            name = f"{Random(f'{seed}/{folder.name}/{number}').getrandbits(4 * ID_LENGTH):0{ID_LENGTH}x}"
            acknowledged.clear()
            client.publish(f"settlement/{folder.name}", name, qos=1)
            acknowledged.wait()
            notes.write(f"{name}\n")
            notes.flush()
            os.fsync(notes.fileno())


class Campaign:
    """One run in a folder."""

    def __init__(self, folder: Path, node_red: Path, kills: int, settlements: int, seed: int) -> None:
        self._folder, self._node_red, self._seed = folder, node_red, seed
        self._kills, self._settlements = kills, settlements
        self._terminals = [f"terminal-{number}" for number in range(min(TERMINALS, max(1, kills // 8)))]
        self._plan = make_plan(kills, self._terminals, seed)
        self._port = free_port()
        self._processes: dict[str, Process] = {}
        self._dead: Counter[str] = Counter()
        self._stopping = False
        self._write_configs()

    def run(self) -> dict[str, Any]:
        """The result object. `SiteError` where a part does not do its part."""
        try:
            self._start(BROKER)
            self._start(CENTRE)
            self._campaign()
            self._drain()
        finally:
            self._stopping = True
            for process in reversed(self._processes.values()):
                process.stop()
        return self._verdict()

    def _write_configs(self) -> None:
        for part in self._plan:
            (self._folder / part).mkdir(parents=True)
        for terminal in self._terminals:
            (self._folder / terminal / "acked").touch()
            self._limit(terminal, 0)
        (self._folder / BROKER / "mosquitto.conf").write_text(
            f"listener {self._port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser {getpass.getuser()}\n"
            "log_dest stderr\nlog_type error\nmax_inflight_messages 0\nmax_queued_messages 0\n"
        )
        centre = self._folder / CENTRE
        with closing(sqlite3.connect(centre / "centre.db")) as store:
            store.executescript(TABLE)
        (centre / "settings.js").write_text(SETTINGS)
        broker = {"broker": "127.0.0.1", "port": self._port, "clientid": CENTRE, "autoConnect": True, "keepalive": 60}
        arriving = {"topic": "settlement/#", "qos": "1", "datatype": "utf8", "broker": BROKER, "wires": [["insert"]]}
        flows: list[dict[str, Any]] = [
            {"id": "tab", "type": "tab", "label": "settlements"},
            {"id": BROKER, "type": "mqtt-broker", "protocolVersion": "4", "cleansession": False, **broker},
            {"id": "store", "type": "sqlitedb", "db": str(centre / "centre.db"), "mode": "RW"},
            {"id": "arriving", "type": "mqtt in", "z": "tab", **arriving},
            {"id": "insert", "type": "function", "z": "tab", "func": TO_PARAMETERS, "outputs": 1, "wires": [["table"]]},
            {"id": "table", "type": "sqlite", "z": "tab", "mydb": "store", "sqlquery": "prepared", "sql": INSERT},
        ]
        (centre / "flows.json").write_text(json.dumps(flows))

    def _limit(self, terminal: str, end: int) -> None:
        (new := self._folder / terminal / "limit.new").write_text(str(end))
        new.rename(new.with_name("limit"))

    def _acked(self, *terminals: str) -> int:
        return sum((self._folder / name / "acked").stat().st_size for name in terminals) // (ID_LENGTH + 1)

    def _start(self, part: str) -> None:
        """A part's next life, Node-RED's until it is connected."""
        folder = self._folder / part
        log = folder / "log"
        known = log.stat().st_size if log.exists() else 0
        self._processes[part] = Process(part, self._program(part, folder), log, ready=False)
        if part == CENTRE:
            connected = lambda: self._stopping or CONNECTED in log.read_bytes()[known:]  # noqa: E731
            wait_until("Node-RED to connect", connected, READY_WITHIN_S)

    def _program(self, part: str, folder: Path) -> list[str]:
        if part == BROKER:
            return [next(filter(shutil.which, BROKER_PROGRAMS)), "-c", str(folder / "mosquitto.conf")]
        if part == CENTRE:
            red = str(self._node_red / "node_modules" / "node-red" / "red.js")
            return ["node", red, "--userDir", str(folder), "--settings", str(folder / "settings.js"), "flows.json"]
        given = ["--publish", str(folder), "--port", str(self._port), "--seed", str(self._seed)]
        return [sys.executable, "-m", "tests.chaos.node_red", *given]

    def _campaign(self) -> None:
        """All kills and all settlements, in the soak's rhythm."""
        trickled = 0.0
        with ThreadPoolExecutor(len(self._plan)) as pool:
            lanes = [pool.submit(self._lane, part, kills) for part, kills in self._plan.items()]
            try:
                while not self._finished(lanes):
                    now, killed, acked = time.monotonic(), self._dead.total(), self._acked(*self._terminals)
                    lagging = acked * self._kills < self._settlements * (killed + len(lanes))
                    if lagging or now > trickled + TRICKLE_S:
                        trickled = now
                        for terminal in self._terminals:
                            self._limit(terminal, self._acked(terminal) + (HASTE if lagging else 1))
                        print(f"{killed} kills, {acked} settlements", end="\r", file=sys.stderr)
                    time.sleep(TICK_S)
            finally:
                self._stopping = True
        self._stopping = False

    def _finished(self, lanes: list[Future[None]]) -> bool:
        for lane in lanes:
            if lane.done():
                lane.result()
        return all(lane.done() for lane in lanes) and self._acked(*self._terminals) >= self._settlements

    def _lane(self, part: str, kills: list[Kill]) -> None:
        """The lives of one part, and a last one. For a kill at one of our steps, so many acknowledgements pass."""
        if part in self._terminals:
            self._start(part)
        own = [part] if part in self._terminals else self._terminals
        for number, kill in enumerate(kills):
            self._until_acked(self._settlements * number // len(kills), *self._terminals)
            time.sleep(kill.after_s)
            self._until_acked(self._acked(*own) + (kill.passes if kill.step else 0), *own)
            if not self._processes[part].running():
                raise SiteError(f"{part} ended by itself, see its log in {self._folder / part}")
            self._processes[part].stop(SIGKILL)
            self._dead[part] += 1
            self._start(part)

    def _until_acked(self, settlements: int, *terminals: str) -> None:
        while self._acked(*terminals) < settlements:
            if self._stopping:
                raise SiteError("stopped")
            time.sleep(TICK_S / 10)

    def _stored(self) -> list[str]:
        with closing(sqlite3.connect(self._folder / CENTRE / "centre.db", 10)) as store:
            return [name for (name,) in store.execute("SELECT id FROM settlement")]

    def _drain(self) -> None:
        """Nothing new: until nothing is acknowledged or stored any more."""
        for terminal in self._terminals:
            self._limit(terminal, 0)

        def quiet() -> bool:
            before = (self._acked(*self._terminals), len(self._stored()))
            time.sleep(QUIET_S)
            return before == (self._acked(*self._terminals), len(self._stored()))

        wait_until("the pipeline to be empty", quiet, DRAINED_WITHIN_S)

    def _verdict(self) -> dict[str, Any]:
        acked = {name for part in self._terminals for name in (self._folder / part / "acked").read_text().split()}
        stored, red = Counter(self._stored()), self._node_red / "node_modules"
        return {
            "kills": self._dead.total(),
            "settlements": len(acked),
            "stored": len(stored),
            "lost": len(acked - stored.keys()),
            "doubled": sum(times > 1 for times in stored.values()),
            "killed": dict(self._dead),
            "versions": {name: json.loads((red / name / "package.json").read_text())["version"] for name in MODULES},
        }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--node-red", type=Path, metavar="DIR", help="where npm has installed it")
    parser.add_argument("--kills", type=int, default=200, help=f"at least {LEAST_KILLS}")
    parser.add_argument("--settlements", type=int, default=2000, help="at least so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.publish:
        publish(given.publish, given.port, given.seed)
    if given.node_red is None or given.kills < LEAST_KILLS:
        parser.error(f"--node-red and at least {LEAST_KILLS} kills are needed")
    folder = Path(tempfile.mkdtemp(prefix="ssc-node-red-")).resolve()
    started = time.monotonic()
    result = Campaign(folder, given.node_red.resolve(), given.kills, given.settlements, given.seed).run()
    result |= {"seed": given.seed, "seconds": round(time.monotonic() - started, 1)}
    print(json.dumps(result, indent=None if given.json else 2))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
