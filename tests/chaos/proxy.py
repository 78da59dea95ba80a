"""A TCP proxy before the broker: joins each connection to one of its own and does with the packets as its rules say."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from tests.chaos.mischief import Mishap, Rules, Sending, Way
from tests.chaos.mqtt import WireError, split_packets

HOST = "127.0.0.1"
CHUNK = 65536


class Wire:
    """One accepted connection and its other half."""

    def __init__(
        self,
        rules: Rules,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        broker: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._rules = rules
        self._readers: dict[Way, asyncio.StreamReader] = {"up": client[0], "down": broker[0]}
        self._writers: dict[Way, asyncio.StreamWriter] = {"up": broker[1], "down": client[1]}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tearing = self._deaf = False

    async def run(self) -> None:
        """Until either side has gone."""
        pumps = [asyncio.create_task(self._pump("up")), asyncio.create_task(self._pump("down"))]
        mishaps = asyncio.create_task(self._mishaps())
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if self._deaf:
                await pumps[0]
            for pump in pumps:
                if pump.done():
                    pump.result()
        finally:
            for task in (*pumps, mishaps):
                task.cancel()
            self.cut()
            self._rules.over()

    def cut(self) -> None:
        """Reset both halves."""
        for writer in self._writers.values():
            writer.transport.abort()

    async def _pump(self, way: Way) -> None:
        buffer = bytearray()
        with suppress(OSError, WireError):
            while chunk := await self._readers[way].read(CHUNK):
                await self._flowing.wait()
                buffer += chunk
                for packet in split_packets(buffer):
                    for sending in self._rules.packet(way, packet):
                        self._send(sending)

    def _send(self, sending: Sending) -> None:
        if sending.delay_s:
            asyncio.get_running_loop().call_later(sending.delay_s, self._send, sending._replace(delay_s=0.0))
            return
        writer = self._writers[sending.way]
        if self._deaf or writer.transport.is_closing():
            return
        if self._tearing:
            writer.write(sending.packet[: len(sending.packet) // 2])
            self.cut()
            return
        writer.write(sending.packet)

    async def _mishaps(self) -> None:
        while (mishap := self._rules.mishap()) is not None:
            await asyncio.sleep(mishap.after_s)
            await self._befall(mishap)

    async def _befall(self, mishap: Mishap) -> None:
        self._rules.befell(mishap)
        if mishap.kind == "cut":
            self.cut()
        elif mishap.kind == "torn":
            self._tearing = True
        elif mishap.kind == "deaf":
            self._deaf = True
        else:
            self._flowing.clear()
            await asyncio.sleep(mishap.lasts_s)
            self._flowing.set()


class Proxy:
    """Listens on `port` of loopback, in a thread of its own. `faults` are errors of the rules; there should be none."""

    def __init__(self, port: int, upstream: int, rules: Callable[[], Rules]) -> None:
        self.port = port
        self._upstream = upstream
        self._rules = rules
        self.faults: list[Exception] = []
        self._wires: set[Wire] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"proxy {port}", daemon=True)

    def start(self) -> None:
        """Listens when this returns."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def cut_all(self) -> None:
        """Reset every connection there is."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def stop(self) -> None:
        """Reset everything and end the thread."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        self._cut_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _cut_all(self) -> None:
        for wire in self._wires:
            wire.cut()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            writer.transport.abort()
            return
        wire = Wire(self._rules(), (reader, writer), broker)
        self._wires.add(wire)
        try:
            await wire.run()
        except Exception as fault:
            self.faults.append(fault)
        finally:
            self._wires.discard(wire)
