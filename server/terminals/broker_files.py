"""The broker's files: rights by the table of topics, passwords by enrolment, and the signal to read them."""

import base64
import hashlib
import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

from protocols.events.topics import CENTRE, CENTRE_GONE, ROOT, TOPICS
from server.config import BrokerPart

ITERATIONS = 101
SALT_BYTES = 12
HASH_BYTES = 64
_RIGHT = {"up": "write", "down": "read"}


def acl() -> str:
    """mosquitto's ACL file, the same for every site: a terminal is known by its user name (design 3.3)."""
    below = f"pattern {{right}} {ROOT}/+/%u/{{name}}"
    return "\n".join(
        (
            *(below.format(right=_RIGHT[topic.direction], name=topic.name) for topic in TOPICS),
            f"pattern read {ROOT}/+/{CENTRE}",
            f"pattern read {CENTRE_GONE}",
            "",
            f"user {CENTRE}",
            f"topic readwrite {ROOT}/#",
            "",
        )
    )


def password_hash(password: str, random: Callable[[int], bytes]) -> str:
    """`$7$101$salt$hash` as mosquitto 2 reads it: PBKDF2-HMAC-SHA512, both parts base64."""
    salt = random(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, HASH_BYTES)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def centre_password(broker: BrokerPart) -> str:
    """The centre's own MQTT password; the file is made, readable by its owner only, when missing."""
    path = Path(broker.password_file)
    if not path.exists():
        replace_file(path, secrets.token_hex(24) + "\n")
    return path.read_text(encoding="ascii").strip()


def write_broker_files(broker: BrokerPart, passwords: dict[str, str]) -> None:
    """Write rights and passwords (user to hash), each file at once, and tell a running broker."""
    users = {**passwords, broker.user: password_hash(centre_password(broker), secrets.token_bytes)}
    replace_file(Path(broker.acl), acl())
    replace_file(Path(broker.passwords), "".join(f"{user}:{digest}\n" for user, digest in users.items()))
    _reload(Path(broker.pid_file))


def replace_file(path: Path, text: str) -> None:
    """Write a whole file durably or not at all; it keeps owner and mode of the one it replaces, else 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if path.exists():
            old = path.stat()
            os.fchmod(handle, old.st_mode & 0o777)
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()) and os.geteuid() == 0:
                os.fchown(handle, old.st_uid, old.st_gid)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _reload(pid_file: Path) -> None:
    """SIGHUP to the broker; one that does not run reads its files when it starts."""
    try:
        os.kill(int(pid_file.read_text(encoding="ascii")), signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return
