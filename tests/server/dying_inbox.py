"""Run as a process: an inbox that takes the frames of a file and is killed at a named step.

Arguments: store URL, receipt key (hex), frames file, log file, step, occurrence. The log gets a line per
acknowledgement and per receipt, written before the call returns; a step that never comes leaves the process alive
until every frame is acknowledged.
"""

import os
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.events.clock import SHANGHAI
from server.inbox.inbox import Inbox
from server.inbox.message import Message
from server.store.store import Store


class Log:
    """The broker's side, kept in a file that survives the kill."""

    def __init__(self, path: Path, expected: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._left = expected
        self.done = threading.Event()

    def acknowledge(self, message: Message) -> None:
        self._file.write(b"ack %d\n" % message.mid)
        self._left -= 1

    def publish(self, topic: str, payload: bytes) -> None:
        self._file.write(b"receipt " + payload + b"\n")

    def fail(self, _: Exception) -> None:
        self.done.set()

    def step(self, step: str) -> None:
        if step == "inbox.receipt_sent" and self._left == 0:
            self.done.set()


def main() -> None:
    url, key, frames, log_path, doomed, occurrence = sys.argv[1:]
    messages = msgspec.json.decode(Path(frames).read_bytes(), type=list[tuple[str, str]])
    store = Store.open(url)
    log = Log(Path(log_path), len(messages))
    left = int(occurrence)

    def on_step(step: str) -> None:
        nonlocal left
        if step == doomed:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        log.step(step)

    inbox = Inbox(
        store,
        Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)),
        log,
        lease=store.take_lease(),
        now=lambda: datetime.now(SHANGHAI),
        on_step=on_step,
        on_failure=log.fail,
    )
    for mid, (topic, payload) in enumerate(messages, 1):
        inbox.put(Message(topic, payload.encode(), False, 1, mid))
    inbox.start()
    log.done.wait(30)
    inbox.stop()
    store.close()


if __name__ == "__main__":
    main()
