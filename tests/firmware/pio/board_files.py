"""Files of the pico board, imported on CPython with other modules in the place of MicroPython's."""

import importlib
import sys
from types import ModuleType
from typing import Any

from tests.firmware.pio.assembler import as_rp2

BOARD = "firmware.boards.pico."


def load(*names: str, **modules: ModuleType) -> list[Any]:
    """The firmware modules of these names, new ones that nothing else shares; `modules` hides those of that name."""
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "firmware"}
    hidden = {name: sys.modules.get(name) for name in modules}
    for name in ours:
        del sys.modules[name]
    sys.modules.update(modules)
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "firmware"]:
            del sys.modules[name]
        for name, module in hidden.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        sys.modules.update(ours)


[programs] = load(BOARD + "programs", rp2=as_rp2())
"""`firmware.boards.pico.programs`."""
