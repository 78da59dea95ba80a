"""kill -9 right after each durable step of the journal: nothing acknowledged is lost, and it goes on."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.host_bridge.journal.samples import PERSON, Desk, settlement

_WORK = """
import os, signal, sys
from pathlib import Path
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from host_bridge.journal.chain import Mark
from host_bridge.journal.journal import Journal
from tests.host_bridge.journal.samples import PERSON, HandClock, receipt_at, settlement

path, step, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
passed = 0

def on_step(name):
    global passed
    passed += name == step
    if passed == times:
        os.kill(os.getpid(), signal.SIGKILL)

journal = Journal.open(Path(path), load_pem_private_key(sys.stdin.buffer.read(), None), HandClock(), on_step)
while True:
    stored = journal.append(settlement(), PERSON)
    print("event", stored.seq, stored.hash, flush=True)
    journal.apply_receipt(receipt_at(Mark(stored.seq, stored.hash)))
    print("mark", stored.seq, stored.hash, flush=True)
"""

# step, events and mark that must be there when the process dies at its third passing
_CASES = [
    ("terminal.before_event", 2, 2),
    ("terminal.event_written", 2, 2),
    ("terminal.event_committed", 3, 2),
    ("terminal.mark_written", 3, 2),
    ("terminal.mark_committed", 3, 3),
]


@pytest.mark.parametrize(("step", "end", "mark"), _CASES)
def test_killed_after(desk: Desk, step: str, end: int, mark: int) -> None:
    desk.create()
    desk.close()
    pem = desk.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for round_ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", _WORK, str(desk.path), step, "3"],
            input=pem,
            capture_output=True,
            check=False,
            cwd=Path(__file__).parents[3],
            timeout=60,
        )
        assert done.returncode == -9, done.stderr.decode()
        said = [line.split() for line in done.stdout.decode().splitlines()]
        journal = desk.open()
        assert journal.verify() == journal.tail
        hashes = {stored.seq: stored.hash for stored in journal.after(0, 1000)}
        for kind, seq, digest in said:
            assert hashes[int(seq)] == digest
            assert kind == "event" or journal.mark.seq >= int(seq)
        assert (journal.end, journal.mark.seq) == (end + round_ * end, mark + round_ * end)
        desk.close()
    journal = desk.open()
    assert journal.append(settlement(), PERSON).seq == 3 * end + 1
    assert journal.next_mdtrt_id() != journal.next_mdtrt_id()
