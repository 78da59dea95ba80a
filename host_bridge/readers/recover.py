"""The reader on the Raspberry Pi's own header, started anew whatever its firmware does (docs/pins.md)."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from host_bridge.readers.pins import BOOTSEL, RUN
from host_bridge.readers.reader import ReaderUnavailable

RUN_LOW_S = 0.1
BOOTSEL_LOW_S = 0.5
"""After RUN rises; the RP2040's boot ROM looks at BOOTSEL within its first milliseconds."""


class GpioMissing(ReaderUnavailable):
    """This Python has no gpiozero: the extra `gpio` is not installed."""

    key = "gpio_missing"


class GpioAway(ReaderUnavailable):
    """No pins here that this user may switch."""

    key = "gpio_away"


def restart(factory: Any = None, wait: Callable[[float], None] = time.sleep) -> None:
    """Pull RUN low for a moment; `factory` is gpiozero's, by default that of this machine."""
    with _lines(factory) as (run, _):
        _pulse(run, wait)


def enter_bootloader(factory: Any = None, wait: Callable[[float], None] = time.sleep) -> None:
    """The same with BOOTSEL held, so that the reader comes back as the drive RPI-RP2."""
    with _lines(factory) as (run, bootsel):
        bootsel.on()
        _pulse(run, wait)
        wait(BOOTSEL_LOW_S)


def _pulse(run: Any, wait: Callable[[float], None]) -> None:
    run.on()
    wait(RUN_LOW_S)
    run.off()


@contextmanager
def _lines(factory: Any) -> Iterator[tuple[Any, Any]]:
    """RUN and BOOTSEL, pulled low while on; both are let go of at the end, however it comes."""
    try:
        import gpiozero  # noqa: PLC0415 - an extra that only this needs
    except ImportError as error:
        raise GpioMissing(str(error)) from None
    with ExitStack() as stack:
        try:
            with (
                warnings.catch_warnings(action="ignore", category=gpiozero.PinFactoryFallback),
                TemporaryDirectory() as folder,
                chdir(folder),  # lgpio leaves a FIFO in the current folder, and fails where it may not write
            ):
                lines = tuple(
                    stack.enter_context(gpiozero.OutputDevice(pin, pin_factory=factory)) for pin in (RUN, BOOTSEL)
                )
        except gpiozero.GPIOZeroError as error:
            raise GpioAway(str(error)) from None
        yield lines
