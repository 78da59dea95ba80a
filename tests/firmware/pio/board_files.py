"""Files of the pico board, imported on CPython with other modules in the place of MicroPython's."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tests.firmware.pio.assembler import as_rp2

BOARD = "firmware.boards.pico."


@contextmanager
def micropython(**modules: ModuleType) -> Iterator[None]:
    """`modules` hide those of that name; firmware imported meanwhile is new, and nothing else shares it."""
    ours = {name: module for name, module in sys.modules.items() if _is_firmware(name)}
    hidden = {name: sys.modules.get(name) for name in modules}
    for name in ours:
        del sys.modules[name]
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_firmware(name)]:
            del sys.modules[name]
        for name, module in hidden.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        sys.modules.update(ours)


def load(*names: str) -> list[Any]:
    """The modules of these names; in `micropython`."""
    return [importlib.import_module(name) for name in names]


def _is_firmware(name: str) -> bool:
    return name.partition(".")[0] == "firmware"


with micropython(rp2=as_rp2()):
    [programs] = load(BOARD + "programs")
    """`firmware.boards.pico.programs`."""
