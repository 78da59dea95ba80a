"""The stream of states over a real server on a free port."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from host_bridge.web import stream as stream_module
from host_bridge.web.app import create_app
from host_bridge.web.serve import WebServer
from host_bridge.web.stream import Stream
from tests.host_bridge.web.script import ScriptedCounter

DEADLINE_S = 10.0


def events(response: httpx.Response) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line == "":
            yield fields
            fields = {}
        else:
            name, _, value = line.partition(": ")
            fields[name] = value


def test_a_viewer_gets_the_picture_and_every_later_one(server: WebServer, counter: ScriptedCounter) -> None:
    with httpx.stream("GET", f"{server.url}/api/1/events", timeout=DEADLINE_S) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        arriving = events(response)
        first = next(arriving)
        assert (first["event"], json.loads(first["data"])["stage"]) == ("state", "idle")
        counter.insert_card()
        second = next(arriving)
        assert json.loads(second["data"])["stage"] == "reading"
        assert int(second["id"]) > int(first["id"])


def test_after_a_break_the_viewer_starts_with_the_present(server: WebServer, counter: ScriptedCounter) -> None:
    with httpx.stream("GET", f"{server.url}/api/1/events", timeout=DEADLINE_S) as response:
        last = next(events(response))["id"]
    counter.ask_pin()
    headers = {"Last-Event-ID": last}
    with httpx.stream("GET", f"{server.url}/api/1/events", headers=headers, timeout=DEADLINE_S) as response:
        again = next(events(response))
    assert json.loads(again["data"])["stage"] == "pin"
    assert int(again["id"]) > int(last)


def test_silence_is_broken_by_beats(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "BEAT_S", 0.05)
    with httpx.stream("GET", f"{server.url}/api/1/events", timeout=DEADLINE_S) as response:
        arriving = events(response)
        assert [next(arriving)["event"] for _ in range(3)] == ["state", "beat", "beat"]


def test_a_slow_viewer_holds_nobody_up_and_ends_with_the_newest(server: WebServer, counter: ScriptedCounter) -> None:
    with httpx.stream("GET", f"{server.url}/api/1/events", timeout=DEADLINE_S) as slow:
        began = time.monotonic()
        for number in range(20_000):
            counter.change(today=type(counter.view().today)(number, 0, 0))
        assert time.monotonic() - began < DEADLINE_S
        for event in events(slow):
            if event["event"] == "state" and json.loads(event["data"])["today"]["settled"] == 19_999:
                break


def test_viewers_that_left_are_forgotten(counter: ScriptedCounter) -> None:
    async def run() -> tuple[int, int]:
        stream = Stream(counter.view)
        arriving = stream.events()
        await anext(arriving)
        open_then = stream.viewers
        await arriving.aclose()  # type: ignore[attr-defined]
        return open_then, stream.viewers

    assert asyncio.run(run()) == (1, 0)


def test_the_server_stops_with_viewers_connected(counter: ScriptedCounter) -> None:
    serving = WebServer(create_app(counter), "127.0.0.1", 0)
    serving.start()
    with httpx.stream("GET", f"{serving.url}/api/1/events", timeout=DEADLINE_S) as response:
        next(events(response))
        serving.stop()
    assert "clerk page" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_it_listens_on_loopback_only(counter: ScriptedCounter, host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        WebServer(create_app(counter), host, 0)
