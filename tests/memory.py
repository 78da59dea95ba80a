"""Directories in memory, for files whose syncs and renames are proven elsewhere and cost minutes here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SHARED = Path("/dev/shm")


@contextmanager
def in_memory() -> Iterator[Path]:
    """An empty directory; on the disk where the system has no memory to share."""
    with TemporaryDirectory(prefix="ssc-", dir=SHARED if SHARED.is_dir() else None) as directory:
        yield Path(directory)
