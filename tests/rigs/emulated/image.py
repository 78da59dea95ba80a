"""Images for an emulated Pico: of the firmware here, or of a copy with one word changed."""

import hashlib
import shutil
from pathlib import Path

from hardware.firmware_files import SOURCES
from hardware.firmware_image import build

BOARD = "pico"


def make_image(base: Path, output: Path, sources: Path = SOURCES) -> dict[str, str]:
    """What `make firmware` says of it; `base` is a MicroPython UF2, whichever."""
    return build(BOARD, base, hashlib.sha256(base.read_bytes()).hexdigest(), output, sources)


def copy_sources(folder: Path, path: str, old: str, new: str) -> None:
    """Those of the firmware, with `old` in this file replaced."""
    for room in ("firmware", "protocols"):
        shutil.copytree(SOURCES / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / path).read_text()
    assert old in text
    (folder / path).write_text(text.replace(old, new))
