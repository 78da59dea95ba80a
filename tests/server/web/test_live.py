"""The live stream over a real port."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from server.web.live import QUEUE, Live
from server.web.overview import Balance, overview
from server.web.pictures import Cursor, Overview, StreamLine
from tests.server.web.centre import Centre
from tests.server.web.conftest import Served

DEADLINE_S = 20


class Events:
    """Server-sent events as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()

    def next(self, name: str) -> tuple[str, Any]:
        """Id and data of the next event of this name."""
        fields: dict[str, str] = {}
        for line in self._lines:
            key, _, value = line.partition(": ")
            if line:
                fields[key] = value
            elif fields.get("event") == name:
                return fields.get("id", ""), json.loads(fields["data"])
            else:
                fields = {}
        raise AssertionError("the stream ended")


@contextmanager
def following(served: Served, path: str = "/events", **headers: str) -> Iterator[Events]:
    """An open stream."""
    with (
        httpx.Client(base_url=served.url, timeout=DEADLINE_S) as client,
        client.stream("GET", path, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)


def _settle(served: Served) -> str:
    clinic = served.morning.clinic
    sent = clinic.settle("employee", ("X1001", "1"))
    served.morning.centre.clock.move(0.1)
    clinic.send(sent)
    return sent.id


def test_a_new_settlement_is_told_with_the_new_figures(served: Served) -> None:
    with following(served) as events:
        _, before = events.next("overview")
        sent = _settle(served)
        name, lines = events.next("lines")
        assert f'href="/event/{sent}"' in lines["html"]
        assert name.count(".") == 2
        _, after = events.next("overview")
        assert before["parts"]["figures"] != after["parts"]["figures"]


def test_a_reconnect_gets_what_it_missed_and_nothing_else(served: Served) -> None:
    with following(served) as events:
        events.next("overview")
        seen = _settle(served)
        cursor, _ = events.next("lines")
    missed = [_settle(served), _settle(served)]
    for path, headers in (("/events", {"Last-Event-ID": cursor}), (f"/events?last_event_id={cursor}", {})):
        with following(served, path, **headers) as events:
            _, lines = events.next("lines")
        assert all(f'href="/event/{each}"' in lines["html"] for each in missed)
        assert seen + '"' not in lines["html"]


def test_a_page_gets_what_came_between_drawing_and_following(served: Served) -> None:
    page = httpx.get(served.url + "/").text
    cursor = page.partition('data-after="')[2].partition('"')[0]
    sent = _settle(served)
    with following(served, f"/events?after={cursor}") as events:
        assert f'href="/event/{sent}"' in events.next("lines")[1]["html"]


def test_nobody_is_named_in_the_stream(served: Served) -> None:
    people = served.morning.centre.people.values()
    with following(served, "/events?after=0.0.0") as events:
        text = json.dumps([events.next("lines"), events.next("overview")], ensure_ascii=False)
    for person in people:
        assert person.certno not in text
        assert person.card.card_no not in text
        assert not person.name or person.name not in text


def test_the_server_can_be_stopped_while_someone_follows(served: Served) -> None:
    with following(served) as events:
        events.next("overview")
        served.close()
        with pytest.raises(AssertionError, match="ended"):
            events.next("never")


def _live(centre: Centre) -> tuple[Live, list[int]]:
    looks: list[int] = []

    def look(cursors: tuple[Cursor, ...]) -> tuple[Overview, tuple[tuple[StreamLine, ...], ...]]:
        looks.append(len(cursors))
        with centre.store.read() as connection:
            return overview(connection, centre.clock.wall(), Balance(), listening=True, writing=True), ((),) * len(
                cursors
            )

    return Live(look, lambda: centre.store.commits), looks


def test_one_look_serves_every_viewer_and_a_slow_one_drops_the_oldest(centre: Centre) -> None:
    async def play() -> None:
        live, looks = _live(centre)
        viewers: list[AsyncIterator[bytes]] = [live.follow(Cursor()) for _ in range(3)]
        for viewer in viewers:
            assert b"event: overview" in await anext(viewer)
        looks.clear()
        task = asyncio.create_task(live.run())
        terminal = centre.enrol("T1", "示范药房")
        terminal.presence()
        async with asyncio.timeout(DEADLINE_S):
            for viewer in viewers:
                assert b"event: overview" in await anext(viewer)
        assert len(looks) == 1
        task.cancel()
        for number in range(QUEUE + 10):
            live._tell(b"%d" % number)
        live.close()
        async with asyncio.timeout(DEADLINE_S):
            left = [message async for message in viewers[0]]
        assert left == [b"%d" % number for number in range(10, QUEUE + 10)]
        for viewer in viewers[1:]:
            await viewer.aclose()  # type: ignore[attr-defined]

    asyncio.run(play())


def test_without_viewers_the_store_is_left_alone(centre: Centre) -> None:
    async def play() -> None:
        live, looks = _live(centre)
        task = asyncio.create_task(live.run())
        centre.enrol("T1", "示范药房")
        await asyncio.sleep(0.6)
        task.cancel()
        assert looks == []

    asyncio.run(play())


def test_a_look_that_fails_is_tried_again(centre: Centre) -> None:
    async def play() -> None:
        live, _ = _live(centre)
        viewer = live.follow(Cursor())
        await anext(viewer)
        good = live._look
        failures: list[int] = []

        def bad(cursors: tuple[Cursor, ...]) -> Any:
            if len(failures) < 2:
                failures.append(1)
                raise OSError
            return good(cursors)

        live._look = bad
        task = asyncio.create_task(live.run())
        centre.enrol("T1", "示范药房").presence()
        async with asyncio.timeout(DEADLINE_S):
            assert b"event: overview" in await anext(viewer)
        assert len(failures) == 2
        task.cancel()

    asyncio.run(play())
