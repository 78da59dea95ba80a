"""As much of `rp2` as importing the board takes, under MicroPython itself."""


class PIO:
    IN_LOW = OUT_LOW = SHIFT_LEFT = SHIFT_RIGHT = 0


class StateMachine:
    pass


class DMA:
    pass


def asm_pio(**settings):  # type: ignore[no-untyped-def]
    return lambda function: function


def asm_pio_encode(instruction, sideset_count):  # type: ignore[no-untyped-def]
    return 0
