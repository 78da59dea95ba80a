"""The worker of the inbox: many frames per commit, acknowledgement and receipt after it (design 3.2)."""

import logging
import queue
import threading
import traceback
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import DBAPIError

from protocols.events.frames import Receipt, sign_receipt
from protocols.events.steps import OnStep
from protocols.events.topics import topic
from server.errors import LeaseLost, number
from server.inbox.evidence import note_evidence
from server.inbox.intake import take_message
from server.inbox.message import Message, Outbound
from server.inbox.receipts import receipt_of
from server.store.store import FAULTS, Store, check_lease, millis
from server.terminals.registry import enrolled

BATCH = 200
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0

log = logging.getLogger(__name__)


class Inbox:
    """One thread between the receiver and the store.

    A batch whose commit failed or is unknown is taken again as a whole and not acknowledged until it stands.
    `on_failure` is called when it cannot go on (`LeaseLost`: another server took over); the thread has then ended.
    """

    def __init__(
        self,
        store: Store,
        key: Ed25519PrivateKey,
        outbound: Outbound,
        *,
        lease: int,
        now: Callable[[], datetime],
        on_step: OnStep,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._key = key
        self._outbound = outbound
        self._lease = lease
        self._now = now
        self._on_step = on_step
        self._on_failure = on_failure
        self._queue: queue.Queue[Message | None] = queue.Queue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)

    def start(self) -> None:
        """Begin to take messages."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand; what was not committed was not acknowledged either."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join()

    def put(self, message: Message) -> None:
        """A message has arrived; the receive maximum bounds how many wait here."""
        self._queue.put(message)

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._take(batch)
        except _Stopped:
            return
        except Exception as failure:
            log.error("the inbox ends: %s", type(failure).__name__)
            self._on_failure(failure)

    def _next(self) -> list[Message]:
        """What has arrived, at least one message; empty when stopping."""
        batch: list[Message] = []
        message = self._queue.get()
        while message is not None and not self._stopping.is_set():
            batch.append(message)
            if len(batch) == BATCH or self._queue.empty():
                return batch
            message = self._queue.get_nowait()
        return []

    def _take(self, batch: list[Message]) -> None:
        """Commit a batch; then acknowledge, then send receipts. A message at fault becomes evidence."""
        try:
            receipts = self._insist(lambda: self._commit(batch))
        except (LeaseLost, _Stopped):
            raise
        except Exception as fault:
            if len(batch) > 1:
                for message in batch:
                    self._take([message])
                return
            where = "".join(traceback.format_tb(fault.__traceback__))
            log.error("fault at a message on %s: %s\n%s", batch[0].topic, type(fault).__name__, where)
            receipts = self._insist(lambda: self._commit_fault(batch[0]))
        for message in batch:
            self._outbound.acknowledge(message)
        self._on_step("inbox.acknowledged")
        for receipt in receipts:
            self._outbound.publish(topic(receipt.terminal, "receipt"), sign_receipt(self._key, receipt))
            self._on_step("inbox.receipt_sent")

    def _insist(self, commit: Callable[[], list[Receipt]]) -> list[Receipt]:
        """Try until the store answers: after a failure nobody knows what stands, and all is idempotent."""
        wait = FIRST_WAIT_S
        while True:
            try:
                return commit()
            except FAULTS:
                raise
            except DBAPIError as error:
                log.error("store failed (%s); the whole batch is tried again", type(error).__name__)
            if self._stopping.wait(wait):
                raise _Stopped
            wait = min(wait * 2, LONGEST_WAIT_S)

    def _commit(self, batch: list[Message]) -> list[Receipt]:
        with self._store.write() as connection:
            check_lease(connection, self._lease)
            now_ms = millis(self._now())
            taken = (take_message(connection, message, now_ms, self._on_step) for message in batch)
            owed = dict.fromkeys(terminal for terminal in taken if terminal is not None)
            known = [who for terminal in owed if (who := enrolled(connection, terminal)) is not None]
            receipts = [receipt_of(connection, who, now_ms) for who in known]
        self._on_step("inbox.committed")
        return receipts

    def _commit_fault(self, message: Message) -> list[Receipt]:
        with self._store.write() as connection:
            check_lease(connection, self._lease)
            note_evidence(
                connection,
                "",
                number("centre_fault"),
                topic=message.topic,
                payload=message.payload,
                now_ms=millis(self._now()),
            )
        return []


class _Stopped(Exception):
    """The thread shall end; nothing in hand is acknowledged."""
