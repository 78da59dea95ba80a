"""A disk that fails under a running process, and is well again: calls fail while strace is attached."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FULL = "pwrite64:error=ENOSPC"
WRITES_FAIL = "pwrite64:error=EIO"
SYNCS_FAIL = "fsync,fdatasync:error=EIO"
DEADLINE_S = 20


@contextmanager
def disk_fault(pid: int, fault: str, files: Sequence[Path], log: Path) -> Iterator[None]:
    """While inside, calls of this process on these files end as `fault` says; `log` shows them.

    Leaves only when at least one call has failed.
    """
    paths = [option for file in files for option in ("-P", str(file))]
    calls = fault.partition(":")[0]
    command = ["strace", "-f", "-qq", "-p", str(pid), *paths, "-e", f"trace={calls}", "-e", f"inject={fault}"]
    with subprocess.Popen([*command, "-o", str(log)]) as tracer:
        try:
            _wait(lambda: _traced(pid) or tracer.poll() is not None)
            if tracer.poll() is not None:
                raise RuntimeError(f"strace did not attach to {pid}")
            yield
            if "INJECTED" not in log.read_text():
                raise RuntimeError("nothing has failed")
        finally:
            tracer.terminate()
            tracer.wait(DEADLINE_S)
    _wait(lambda: not _traced(pid))


def _traced(pid: int) -> bool:
    """Whether every thread of the process is."""
    states = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status")]
    return bool(states) and not any("TracerPid:\t0\n" in state for state in states)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("strace")
        time.sleep(0.01)
