"""Enrolment: a one-time code and a new key against the record that starts a journal (design 3.3).

State directory: `journal.db`, `terminal.key` (PEM, mode 0600), earlier epochs as `journal-<epoch>.db`.
"""

import os
import shutil
import urllib.error
import urllib.request
from contextlib import closing
from datetime import datetime
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from host_bridge.journal.errors import JournalBroken, NotEnrolled
from host_bridge.journal.journal import Journal
from protocols.events.clock import Clock
from protocols.events.frames import EnrolmentRecord, EnrolmentRequest
from protocols.events.steps import OnStep, pass_by
from protocols.events.topics import bucket, is_terminal_id

JOURNAL = "journal.db"
KEY = "terminal.key"
READY = "enrolled-after-"
"""With the epoch before: holds journal and key of a finished enrolment until both have taken their places."""
TIMEOUT_S = 20
MAX_RECORD = 65536


class EnrolError(Exception):
    """No enrolment; `key` names the catalogue text, `facts` its placeholders."""

    key: ClassVar[str]

    def __init__(self, **facts: object) -> None:
        self.facts = {name: str(fact) for name, fact in facts.items()}
        super().__init__(", ".join([type(self).__name__, *self.facts.values()]))


class EnrolUnreachable(EnrolError):
    """Nobody answered at `url`."""

    key = "enrol_unreachable"


class EnrolAddressUnsafe(EnrolError):
    """Neither https nor this machine."""

    key = "enrol_address_unsafe"


class EnrolBacklog(EnrolError):
    """`count` events of the present epoch are not receipted."""

    key = "enrol_backlog"


class EnrolRecordInvalid(EnrolError):
    """The answer is no record of ours; `reason` says why."""

    key = "enrol_record_invalid"


class EnrolRefused(Exception):
    """The centre said no; `error` is its answer, with `number`, `zh` and `en`."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.error = error
        super().__init__(str(error.get("number")))


class Enrolled(msgspec.Struct, frozen=True):
    """A new epoch. `kept` is the journal of the epoch before, `stranded` its events that no centre will take."""

    record: EnrolmentRecord
    kept: Path | None = None
    stranded: int = 0


def open_journal(state: Path, clock: Clock, on_step: OnStep = pass_by) -> Journal:
    """The journal of an enrolled terminal; `JournalError`."""
    _take_places(state)
    if not (state / JOURNAL).exists():
        raise NotEnrolled
    return Journal.open(state / JOURNAL, _load_key(state / KEY), clock, on_step)


def enrol(state: Path, url: str, code: str, clock: Clock, *, secret: bytes) -> Enrolled:
    """Enrol, or again for a new epoch; `EnrolError`, `EnrolRefused` or `JournalError`: nothing has changed.

    `url` is that of the enrolment listener, without `/enrol`; `secret` 32 random bytes for the new journal. The
    journal before is kept aside, and only when the centre has all of it, or will never have: rolled back.
    """
    _check_address(url)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    _take_places(state)
    epoch, stranded = 0, 0
    if (state / JOURNAL).exists():
        with closing(open_journal(state, clock)) as journal:
            epoch, stranded = journal.record.epoch, journal.backlog().count
            if stranded and journal.rolled_back is None:
                raise EnrolBacklog(count=stranded)
    key = Ed25519PrivateKey.generate()
    record_bytes = _post(url, EnrolmentRequest(code, key.public_key().public_bytes_raw().hex()))
    record = _check_record(record_bytes, key, epoch)
    draft = state / "enrolling"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    _save_key(draft / KEY, key)
    Journal.create(draft / JOURNAL, record_bytes, key, clock, secret=secret).close()
    (draft / f"{JOURNAL}.lock").unlink()
    _sync(draft)
    draft.rename(state / f"{READY}{epoch}")
    _take_places(state)
    return Enrolled(record, _kept(state, epoch) if epoch else None, stranded)


def _take_places(state: Path) -> None:
    """Put journal and key of a finished enrolment in place; also after having been cut short."""
    for ready in state.glob(f"{READY}*"):
        journal, kept = state / JOURNAL, _kept(state, int(ready.name.removeprefix(READY)))
        if (ready / JOURNAL).exists():
            for suffix in ("-wal", "-shm", ""):
                if (part := journal.with_name(JOURNAL + suffix)).exists():
                    part.rename(kept.with_name(kept.name + suffix))
            (ready / JOURNAL).rename(journal)
        if (ready / KEY).exists():
            (ready / KEY).rename(state / KEY)
        _sync(state)
        ready.rmdir()


def _kept(state: Path, epoch: int) -> Path:
    return state / f"journal-{epoch}.db"


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise EnrolAddressUnsafe(url=url) from error
    host = parts.hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise EnrolAddressUnsafe(url=url)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The code goes to the address that was typed, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, request: EnrolmentRequest) -> bytes:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if url.startswith("http:"):
        handlers.append(urllib.request.ProxyHandler({}))
    posted = urllib.request.Request(  # noqa: S310
        f"{url.rstrip('/')}/enrol",
        data=msgspec.json.encode(request),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.build_opener(*handlers).open(posted, timeout=TIMEOUT_S) as response:
            return bytes(response.read(MAX_RECORD))
    except urllib.error.HTTPError as error:
        raise _refusal(error) from error
    except (OSError, HTTPException) as error:
        raise EnrolUnreachable(url=url) from error


def _refusal(answer: urllib.error.HTTPError) -> EnrolRefused | EnrolRecordInvalid:
    try:
        error = msgspec.json.decode(answer.read(MAX_RECORD), type=dict[str, dict[str, Any]])["error"]
    except (msgspec.MsgspecError, KeyError, OSError):
        return EnrolRecordInvalid(reason=f"HTTP {answer.code}")
    return EnrolRefused(error)


def _check_record(data: bytes, key: Ed25519PrivateKey, epoch: int) -> EnrolmentRecord:
    try:
        record = msgspec.json.decode(data, type=EnrolmentRecord)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(record.receipt_key))
        sound = datetime.fromisoformat(record.time).tzinfo is not None
    except (msgspec.MsgspecError, ValueError) as error:
        raise EnrolRecordInvalid(reason="malformed") from error
    checks = {
        "time": sound,
        "public_key": record.public_key == key.public_key().public_bytes_raw().hex(),
        "terminal": is_terminal_id(record.terminal),
        "bucket": is_terminal_id(record.terminal) and record.bucket == bucket(record.terminal),
        "epoch": record.epoch > epoch,
        "brokers": len(record.brokers) > 0,
    }
    if wrong := [name for name, holds in checks.items() if not holds]:
        raise EnrolRecordInvalid(reason=", ".join(wrong))
    return record


def _load_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise JournalBroken("the key cannot be read") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise JournalBroken("the key is not the enrolled one")
    return key


def _save_key(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, pem)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
