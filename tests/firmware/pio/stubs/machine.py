"""As much of `machine` as importing the board takes, under MicroPython itself."""

mem32: "dict[int, int]" = {}


class Pin:
    pass


class WDT:
    pass


def freq(hertz: int) -> None:
    pass


def idle() -> None:
    pass
