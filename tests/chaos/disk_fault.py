"""A disk that fails under a running process, and is well again: calls fail while strace is attached."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hardware.virtual.processes import wait_until
from tests.chaos.trace import traced

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
            wait_until("strace", lambda: traced(pid) or tracer.poll() is not None, DEADLINE_S)
            if tracer.poll() is not None:
                raise RuntimeError(f"strace did not attach to {pid}")
            yield
            if "INJECTED" not in log.read_text():
                raise RuntimeError("nothing has failed")
        finally:
            tracer.terminate()
            tracer.wait(DEADLINE_S)
    wait_until("strace to let go", lambda: not traced(pid), DEADLINE_S)
