"""Cards for fuzzing: files in one folder of this process, written without waiting for the disk."""

import atexit
import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from hardware.virtual.card import CardImage, VirtualCard


@functools.cache
def folder() -> Path:
    """Gone when the process ends."""
    made = tempfile.TemporaryDirectory(prefix="ssc-fuzz-")
    atexit.register(made.cleanup)
    return Path(made.name)


@contextmanager
def new_card(image: CardImage) -> Iterator[VirtualCard]:
    """A card of this image; its randomness is the same in every run."""
    with patch("os.fsync"):
        yield VirtualCard.create(folder() / "x.card", image, lambda length: bytes(range(1, length + 1)))
