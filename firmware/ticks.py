"""Milliseconds that only ever go on; MicroPython's wrap, so they are compared by `elapsed_ms` alone."""

import time


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)


def _difference(later: int, earlier: int) -> int:
    return later - earlier


ticks_ms = getattr(time, "ticks_ms", _monotonic_ms)
_ticks_diff = getattr(time, "ticks_diff", _difference)


def elapsed_ms(since: int) -> int:
    """Milliseconds since `ticks_ms()` gave `since`."""
    return int(_ticks_diff(ticks_ms(), since))
