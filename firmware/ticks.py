"""Time that only ever goes on; MicroPython's wraps, so it is compared by `elapsed_ms` and `elapsed_us` alone."""

import time


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def _difference(later: int, earlier: int) -> int:
    return later - earlier


ticks_ms = getattr(time, "ticks_ms", _monotonic_ms)
ticks_us = getattr(time, "ticks_us", _monotonic_us)
_ticks_diff = getattr(time, "ticks_diff", _difference)


def elapsed_ms(since: int) -> int:
    """Milliseconds since `ticks_ms()` gave `since`."""
    return int(_ticks_diff(ticks_ms(), since))


def elapsed_us(since: int) -> int:
    """Microseconds since `ticks_us()` gave `since`, of which MicroPython can tell 500 seconds."""
    return int(_ticks_diff(ticks_us(), since))
