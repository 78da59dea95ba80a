"""What a process did to the files of a folder, in order, recorded by `strace` around the unmodified process.

`record` runs a command under strace; `operations` reads its log. The program marks moments by writing lines to a file
named `MARKS` beside the folder. A call that changes a watched file in a way the replay does not know is a `TraceError`:
the instrument is never blind. `-shm` is not watched: SQLite makes it anew from the log after a power cut.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware.virtual.processes import wait_until

ROOT = Path(__file__).parents[2]
MARKS = "marks"
IGNORED = ("-shm", ".lock")
KNOWN = ("pwrite64", "write", "ftruncate", "fsync", "fdatasync", "open", "openat", "creat", "unlink", "unlinkat")
UNKNOWN = (
    *("writev", "pwritev", "pwritev2", "truncate", "fallocate", "mmap", "sendfile", "copy_file_range", "splice"),
    *("rename", "renameat", "renameat2", "link", "linkat", "io_uring_setup"),
)
"""Recorded only to find that they do not touch a watched file."""
LONGEST = 1 << 24

_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_UNFINISHED = " <unfinished ...>"
_RESULT = re.compile(r"\) += (-?\d+|\?)(<[^>]*>)?")
_FD = re.compile(r"\d+<((?:\\x..)*)>(\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x..)*)"(\.\.\.)?')
_DATABASE = re.compile(r"\.db(-wal|-journal)?$")
_WRITE = re.compile(_FD.pattern + ", " + _TEXT.pattern + r", \d+(?:, (\d+))?")


class TraceError(Exception):
    """The log cannot be read, or shows a call that the replay does not know."""


@dataclass(frozen=True)
class Operation:
    """`begun` and `ended` are places in the log."""

    begun: int
    ended: int


@dataclass(frozen=True)
class Write(Operation):
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate(Operation):
    name: str
    size: int


@dataclass(frozen=True)
class Sync(Operation):
    """`name` empty: the folder itself. Not `done`: it failed."""

    name: str
    done: bool


@dataclass(frozen=True)
class Open(Operation):
    """Makes the file where there is none and `creates`, empties it where it `empties`."""

    name: str
    creates: bool
    empties: bool


@dataclass(frozen=True)
class Unlink(Operation):
    name: str


@dataclass(frozen=True)
class Marked(Operation):
    """The program wrote this line to `MARKS`."""

    line: str


@dataclass(frozen=True)
class _Call:
    begun: int
    ended: int
    name: str
    arguments: str
    result: int
    path: str


def strace_trouble() -> str | None:
    """Why processes cannot be traced here; None where they can, also ones that run already."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        command = ["strace", "-qq", "-p", str(sleeper.pid), "-e", "trace=none"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
            wait_until("strace", lambda: traced(sleeper.pid) or tracer.poll() is not None)
            refused = tracer.poll()
            tracer.terminate()
        sleeper.kill()
    return "strace may not attach to a process (ptrace)" if refused else None


def traced(pid: int) -> bool:
    """Whether every thread of the process is."""
    states = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status")]
    return bool(states) and not any("TracerPid:\t0\n" in state for state in states)


def record(command: Sequence[str], log: Path, *options: str, timeout_s: float = 600) -> bool:
    """Run a command under strace, with further `options` of strace; whether it ended, rather than killed itself.

    `TraceError` where it failed.
    """
    calls = ",".join(f"?{name}" for name in (*KNOWN, *UNKNOWN))
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-qq", "-s", str(LONGEST), "-e", f"trace={calls}", *options]
    done = subprocess.run(
        [*strace, "-o", str(log), *command],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=ROOT,
    )
    if done.returncode not in (0, -signal.SIGKILL):
        raise TraceError(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.returncode == 0


def operations(logs: Sequence[Path], folder: Path) -> list[Operation]:
    """Everything that happened to the files of `folder`, and the marks, in order; one log a process run.

    Writes and marks stand where they began, syncs where they returned: whatever overlaps counts as not yet safe.
    """
    marks, folder = folder.with_name(MARKS).resolve(), folder.resolve()
    found: list[tuple[int, Operation]] = []
    for call in _calls(logs):
        operation = _operation(call, folder, marks)
        if operation is not None:
            found.append((operation.ended if isinstance(operation, Sync) else operation.begun, operation))
    return [operation for _, operation in sorted(found, key=lambda each: each[0])]


def _calls(logs: Sequence[Path]) -> Iterator[_Call]:
    """Every finished call; one that another thread interrupted in the log is put together again."""
    unfinished: dict[str, tuple[int, str, str]] = {}
    for number, line in enumerate(_lines(logs), 1):
        match = _LINE.match(line)
        if match is None:
            continue
        pid, resumed, name, rest = match.groups()
        if rest.endswith(_UNFINISHED):
            unfinished[pid] = (number, name, rest.removesuffix(_UNFINISHED))
            continue
        begun = number
        if resumed is not None:
            begun, name, before = unfinished.pop(pid)
            if name != resumed:
                raise TraceError(f"line {number}: {resumed} resumed, but {name} was begun")
            rest = before + rest
        result = _RESULT.search(rest)
        if result is None:
            raise TraceError(f"line {number}: no result of {name}")
        if result[1] != "?":
            path = "" if result[2] is None else _decoded(result[2][1:-1]).decode(errors="replace")
            yield _Call(begun, number, name, rest[: result.start()], int(result[1]), path)


def _lines(logs: Sequence[Path]) -> Iterator[str]:
    for log in logs:
        with log.open(encoding="ascii") as lines:
            yield from lines


def _operation(call: _Call, folder: Path, marks: Path) -> Operation | None:
    """What a call did; None where it failed or touched nothing that is watched."""
    place = (call.begun, call.ended)
    failed = call.result < 0
    if call.name in ("open", "openat", "creat"):
        name = None if failed else _name(call.path, folder)
        creates = "O_CREAT" in call.arguments or call.name == "creat"
        empties = "O_TRUNC" in call.arguments or call.name == "creat"
        return Open(*place, name, creates, empties) if name and (creates or empties) else None
    if call.name in ("unlink", "unlinkat"):
        name = None if failed else _named(call, folder)
        return Unlink(*place, name) if name else None
    if call.name in ("fsync", "fdatasync"):
        name = _at_descriptor(call, folder)
        return None if name is None else Sync(*place, name, not failed)
    if failed:
        return None
    if call.name in ("pwrite64", "write"):
        return _write(call, folder, marks)
    if call.name == "ftruncate":
        name = _at_descriptor(call, folder)
        return Truncate(*place, name, int(call.arguments.rpartition(", ")[2])) if name else None
    if call.name == "mmap" and not ("MAP_SHARED" in call.arguments and "PROT_WRITE" in call.arguments):
        return None
    paths = [_decoded(path) for path in re.findall(r'[<"]((?:\\x..)+)[>"]', call.arguments)]
    if any(_name(path.decode(errors="replace"), folder) for path in paths):
        raise TraceError(f"line {call.begun}: {call.name} on a watched file")
    return None


def _write(call: _Call, folder: Path, marks: Path) -> Operation | None:
    match = _WRITE.match(call.arguments)
    if match is None:
        return None
    path, deleted, text, cut, offset = match.groups()
    target = _decoded(path).decode(errors="replace")
    name = None if deleted else _name(target, folder)
    if name is None and target != str(marks):
        return None
    data = _decoded(text)[: call.result]
    if cut or len(data) != call.result:
        raise TraceError(f"line {call.begun}: strace did not show all that was written")
    if not data:
        return None
    if name is None:
        return Marked(call.begun, call.ended, data.decode().rstrip("\n"))
    if offset is None:
        raise TraceError(f"line {call.begun}: a write to {name} without its place")
    return Write(call.begun, call.ended, name, int(offset), data)


def _at_descriptor(call: _Call, folder: Path) -> str | None:
    """The watched file a call's first argument stands for; empty for the folder."""
    match = _FD.match(call.arguments)
    if match is None or match[2]:
        return None
    path = _decoded(match[1]).decode(errors="replace")
    return "" if path == str(folder) else _name(path, folder)


def _named(call: _Call, folder: Path) -> str | None:
    """The watched file a call names by its path."""
    match = _TEXT.search(call.arguments)
    if match is None:
        raise TraceError(f"line {call.begun}: {call.name} without a path")
    path = _decoded(match[1]).decode(errors="replace")
    if not path.startswith("/") and _DATABASE.search(path):
        raise TraceError(f"line {call.begun}: {call.name} of {path}, relative to what?")
    return _name(path, folder)


def _name(path: str, folder: Path) -> str | None:
    parent, _, name = path.rpartition("/")
    return name if name and os.path.normpath(parent) == str(folder) and not name.endswith(IGNORED) else None


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
