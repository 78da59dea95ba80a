"""`ssc demo`: a simulated site, a morning on it, and an independent check of what was recorded."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from hardware.virtual.morning import Player, load_morning
from hardware.virtual.processes import SiteError
from hardware.virtual.site import Site

CHECKER = Path(__file__).with_name("checker.py")
PACE_S = 1.2


def check(folder: Path, visits: int) -> dict[str, Any]:
    """What the checker says of a stopped site's three records; it runs on its own and can import nothing of ours."""
    done = subprocess.run(
        [sys.executable, "-I", str(CHECKER), str(folder), "--visits", str(visits)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SiteError(f"the checker failed: {done.stderr}") from None
    return found


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="演示一遍并核对 · Play once, stop everything, check the records")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="只输出 JSON · The result as JSON")] = False,
    keep: Annotated[
        Path | None, typer.Option(help="保留目录 · Keep the site's files in this folder (must not exist)")
    ] = None,
) -> None:
    """演示：一个上午的三个窗口 · A morning at three simulated counters; runs on until Ctrl-C."""
    folder = keep or Path(tempfile.mkdtemp(prefix="ssc-demo-"))
    started = time.monotonic()
    stopping = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: _interrupt(stopping))
    morning = load_morning()
    site = Site(folder.resolve(), morning.counter)
    try:
        site.start()
        ready_s = time.monotonic() - started
        _say(_addresses(site))
        if not once and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            for address in (site.web, *(counter.web for counter in site.counters.values())):
                webbrowser.open(address)
        player = Player(site, _say, 0.0 if once else PACE_S)
        visits = player.play(morning.visit)
        if not once:
            _say(_invitation(site))
            stopping.wait()
            return
        site.stop()
        result = check(folder, visits)
        result["ready_s"] = round(ready_s, 2)
        result["first_settlement_s"] = round(ready_s + (player.first_settlement_s or 0.0), 2)
        typer.echo(json.dumps(result, ensure_ascii=False) if as_json else _verdict(result))
        if result["problems"]:
            raise typer.Exit(1)
    except KeyboardInterrupt:
        _say("停止 · Stopping")
    except SiteError as error:
        keep = folder
        _say(f"演示失败 · The demo failed: {error}\n记录在 · Records are in {folder}")
        raise typer.Exit(1) from None
    finally:
        site.stop()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _interrupt(stopping: threading.Event) -> None:
    if not stopping.is_set():
        stopping.set()
        raise KeyboardInterrupt


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _addresses(site: Site) -> str:
    lines = [f"中心 · Centre     {site.web}"]
    lines += [
        f"窗口 · Counter    {each.web}   {each.spec['fixmedins_name']} {each.terminal}"
        for each in site.counters.values()
    ]
    reader = next(iter(site.counters.values())).processes["reader"]
    lines.append(f"读卡器固件 · Reader firmware runs on {reader.facts['interpreter']}")
    return "\n".join(lines)


def _invitation(site: Site) -> str:
    slot = next(iter(site.counters.values())).slot
    return (
        "上午结束，可以自己办理 · The morning is over; now it is yours. Put a card in:\n"
        f"  mv {site.cards}/<name>.card {slot}/\n"
        "按 Ctrl-C 结束 · Ctrl-C ends it."
    )


def _verdict(result: dict[str, Any]) -> str:
    words = "核对一致 · The three records agree" if not result["problems"] else "核对不一致 · The records differ"
    return "\n".join([words, *(f"  {name}: {value}" for name, value in result.items())])
