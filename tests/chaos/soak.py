"""Kill terminal, broker and centre again and again while bills are settled; nothing may be lost or doubled.

`python -m tests.chaos.soak --kills 200 --settlements 2000 --seed 1 [--json]`. The kills are planned from the seed and
spread over the settlements; each part dies, comes back at once, and dies again. In the end the independent checker
compares journals, screens, paper, the wire tap and the ledger. The last line is one JSON object; exit 1 where anything
is lost, doubled, receipted early or unbalanced, where the records differ, or where a step was never hit.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from hardware.virtual.processes import SiteError, wait_until
from protocols.events.steps import INBOX_STEPS, TERMINAL_STEPS
from tests.chaos.plan import BROKER, CENTRE, LEAST_KILLS, Kill, make_plan
from tests.chaos.site import NOTHING, SoakSite

CHECKER = Path(__file__).parents[2] / "hardware" / "virtual" / "checker.py"
TERMINALS = 4
DIES_WITHIN_S = 120.0
DRAINED_WITHIN_S = 240.0
TICK_S = 0.1
HASTE = 8
"""Events a terminal may be ahead while the settlements lag behind the kills."""
TRICKLE_S = 1.0
"""Otherwise one event in this time: a step is only passed where something happens."""
WRONG = ("lost", "doubled", "early_receipts", "unbalanced")


class Soak:
    """One run in a folder; `say` gets a line of progress now and then."""

    def __init__(self, folder: Path, kills: int, settlements: int, seed: int, say: Callable[[str], object]) -> None:
        random = Random(seed)
        self._kills, self._settlements, self._say = kills, settlements, say
        self._site = SoakSite(folder, min(TERMINALS, max(1, kills // 8)), random)
        self._plan = make_plan(kills, self._site.terminals, seed)
        self._accounts = dict.fromkeys(self._site.terminals, NOTHING)
        self._dead: Counter[str] = Counter()
        self._stopping = False

    def run(self) -> dict[str, Any]:
        """The result object. `SiteError` where a part does not do its part."""
        site = self._site
        try:
            site.start()
            self._say(f"{len(site.terminals)} terminals enrolled")
            self._campaign()
            self._drain()
        finally:
            self._stopping = True
            site.stop()
        return self._verdict()

    @property
    def _money(self) -> int:
        return sum(account.money for account in self._accounts.values())

    @property
    def _killed(self) -> int:
        return sum(self._dead.values())

    def _campaign(self) -> None:
        """All kills and all settlements; terminals run on afterwards."""
        told = trickled = 0.0
        with ThreadPoolExecutor(len(self._plan)) as pool:
            lanes = [pool.submit(self._lane, part, kills) for part, kills in self._plan.items()]
            try:
                while not self._finished(lanes):
                    now = time.monotonic()
                    lagging = self._money * self._kills < self._settlements * (self._killed + len(lanes))
                    if lagging or now > trickled + TRICKLE_S:
                        trickled = now
                        self._grant(HASTE if lagging else 1)
                    if now > told + 5:
                        told = now
                        self._say(f"{self._killed}/{self._kills} kills, {self._money}/{self._settlements} settlements")
                    time.sleep(TICK_S)
            except BaseException:
                self._stopping = True
                raise

    def _finished(self, lanes: list[Future[None]]) -> bool:
        """Whether the campaign is over; a lane that failed ends it with its error."""
        self._look()
        for lane in lanes:
            if lane.done():
                lane.result()
        return all(lane.done() for lane in lanes) and self._money >= self._settlements

    def _look(self) -> None:
        for terminal, account in self._accounts.items():
            self._accounts[terminal] = self._site.account(terminal, account)

    def _grant(self, events: int) -> None:
        for terminal, account in self._accounts.items():
            self._site.limit(terminal, account.end + events)

    def _lane(self, part: str, kills: list[Kill]) -> None:
        """The lives of one part, and a last one that nobody ends."""
        site = self._site
        if part == CENTRE:
            site.kill(part)
        for number, kill in enumerate(kills):
            if part != BROKER or number:
                site.start_part(part, kill)
            self._until_due(part, self._settlements * number / len(kills))
            time.sleep(kill.after_s)
            self._expect_alive(part)
            if kill.step is None:
                site.kill(part)
            else:
                self._die(part, kill.step)
            self._dead[part] += 1
        site.start_part(part)

    def _until_due(self, part: str, settlements: float) -> None:
        while self._money < settlements:
            if self._stopping:
                raise SiteError("stopped")
            self._expect_alive(part)
            time.sleep(TICK_S / 2)

    def _expect_alive(self, part: str) -> None:
        if not self._site.running(part):
            raise SiteError(f"{part} ended by itself, see its log in {self._site.folder / part}")

    def _die(self, part: str, step: str) -> None:
        site, before = self._site, len(self._site.deaths(part))
        site.arm(part, armed=True)
        wait_until(f"{part} to die at {step}", lambda: self._stopping or not site.running(part), DIES_WITHIN_S)
        site.arm(part, armed=False)
        site.kill(part)
        if site.deaths(part)[before:] != [step]:
            raise SiteError(f"{part} ended by itself before {step}, see its log in {site.folder / part}")

    def _drain(self) -> None:
        """Nothing new, a calm wire: until every journal is receipted to its end."""
        site = self._site
        for terminal in site.terminals:
            site.limit(terminal, 0)
        site.calm()
        self._say("waiting for the last receipts")

        def drained() -> bool:
            self._look()
            return all(account.mark == account.end for account in self._accounts.values())

        wait_until("every event to be receipted", drained, DRAINED_WITHIN_S)

    def _verdict(self) -> dict[str, Any]:
        site = self._site
        if faults := site.proxy.faults + site.tapped.faults:
            raise SiteError(f"the proxies failed: {faults}")
        checked = check(site.folder)
        died = Counter(step for part in self._plan for step in site.deaths(part))
        return {
            "kills": self._killed,
            "settlements": checked["settled"] + checked["refunded"],
            "lost": checked["lost"],
            "doubled": checked["duplicates"],
            "early_receipts": checked["early_receipts"],
            "unbalanced": checked["unbalanced"],
            "steps": {step: died[step] for step in (*TERMINAL_STEPS, *INBOX_STEPS)},
            "killed": {
                "terminals": sum(self._dead[terminal] for terminal in site.terminals),
                "centre": self._dead[CENTRE],
                "broker": self._dead[BROKER],
            },
            "refused": checked["refused"],
            "offline": checked["offline"],
            "adjusted": checked["adjusted"],
            "receipts": site.tap.counts["receipts"],
            "resends": site.mischief.counts.pop("sent") - checked["settled"] - checked["refunded"] - checked["refused"],
            "delivered": site.tap.counts["delivered"],
            "duplicates_suppressed": site.tap.counts["duplicates"],
            "mischief": dict(site.mischief.counts),
            "problems": checked["problems"][:20],
        }


def check(folder: Path) -> dict[str, Any]:
    """What the checker says of a stopped soak's records; it runs on its own and can import nothing of ours."""
    given = ["--tap", str(folder / "receipts.jsonl"), "--opening", str(folder / "people")]
    done = subprocess.run(
        [sys.executable, "-I", str(CHECKER), str(folder), *given], capture_output=True, text=True, check=False
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SiteError(f"the checker failed: {done.stderr}") from None
    return found


def failed(result: dict[str, Any]) -> bool:
    """Whether the run proves a fault, or does not prove what it should."""
    return any(result[name] for name in WRONG) or bool(result["problems"]) or 0 in result["steps"].values()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200, help=f"at least {LEAST_KILLS}")
    parser.add_argument("--settlements", type=int, default=2000, help="at least so many bills and refunds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--keep", type=Path, help="keep everything in this folder, which must not exist")
    given = parser.parse_args()
    if given.kills < LEAST_KILLS:
        parser.error(f"at least {LEAST_KILLS} kills hit every step and the broker")
    folder = given.keep or Path(tempfile.mkdtemp(prefix="ssc-soak-"))
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", file=sys.stderr, flush=True)

    try:
        result = Soak(folder.resolve(), given.kills, given.settlements, given.seed, say).run()
    except SiteError as error:
        print(f"{error}\nkept: {folder}", file=sys.stderr)
        return 1
    result |= {"seed": given.seed, "seconds": round(time.monotonic() - started, 1)}
    print(json.dumps(result, ensure_ascii=False, indent=None if given.json else 2))
    if failed(result):
        print(f"kept: {folder}", file=sys.stderr)
        return 1
    if given.keep is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
