"""Characters of ISO/IEC 7816-3 in PIO (`reader.md B.1`, `B.2`); `characters` has the words for its FIFOs.

One program both receives and sends, and one state machine runs it for one I/O contact. So the two share the pin, which
only one PIO block can drive: the error signal and the characters sent can never meet, the reader does not hear itself,
and the turnaround counts from the card's own leading edge. The program fills a block's 32 instructions; the machines
of all slots run it in the same block, and CLK comes from another block.

The pin's output is always low and only its direction changes: I/O is open-drain. 32 cycles are one etu.

Around the program: STATUS_N in EXECCTRL is 1, so that `status` tells whether a word waits to be sent. `set` drives the
error signal and nothing else: SET_COUNT in PINCTRL is 1 where it is to be sent (T=0), 0 where not (TS, T=1).
X is 0 and OSR the turnaround from the start; the words sent leave it there.
"""

# ruff: noqa: F821 - the assembler defines the names in the programs
# mypy: disable-error-code="name-defined, import-not-found, call-overload, untyped-decorator"

from rp2 import PIO, asm_pio, asm_pio_encode

REPEATS = 3  # of a character that the card refuses; at the next refusal the machine holds with its IRQ flag set


@asm_pio(out_init=PIO.IN_LOW, set_init=PIO.IN_LOW, in_shiftdir=PIO.SHIFT_LEFT, out_shiftdir=PIO.SHIFT_RIGHT)
def CHARACTERS(repeats: int = REPEATS) -> None:  # noqa: N802 - what it becomes is a constant
    """Sender and receiver; X counts what is left of guard time or turnaround while the line is high."""
    label("high")
    jmp(x_dec, "quiet")
    mov(x, invert(status))  # 0 while nothing waits to be sent
    jmp(not_x, "quiet")

    pull()
    set(y, repeats)
    label("again")
    mov(isr, osr)
    set(x, 10)
    label("send")
    out(pindirs, 1)[30]
    jmp(x_dec, "send")
    out(x, 12)  # 11 etu after the leading edge
    jmp(pin, "quiet")
    mov(osr, isr)[31]
    push()[31]
    jmp(y_dec, "again")
    irq(block, rel(0))

    wrap_target()
    label("quiet")
    jmp(pin, "high")
    set(y, 0)[14]
    jmp(pin, "high")  # shorter than half an etu: no start bit
    set(x, 8)
    mov(isr, null)[26]
    label("bit")
    jmp(pin, "one")
    jmp("next")
    label("one")
    mov(y, invert(y))
    label("next")
    in_(y, 1)
    jmp(x_dec, "bit")[28]
    jmp(not_y, "take")  # 10.5 etu after the leading edge
    set(pindirs, 1)[31]
    nop()[7]
    set(pindirs, 0)
    label("take")
    wait(1, pin, 0)
    push(noblock)
    mov(x, osr)
    wrap()


@asm_pio(set_init=PIO.OUT_LOW)
def CLOCK() -> None:  # noqa: N802
    """One clock in two cycles."""
    set(pins, 1)
    set(pins, 0)


PULL = asm_pio_encode("pull(noblock)", 0)
CLEAR_X = asm_pio_encode("set(x, 0)", 0)
HOLD_LOW = asm_pio_encode("set(pindirs, 1)", 0)
RELEASE = asm_pio_encode("set(pindirs, 0)", 0)
CLOCK_LOW = asm_pio_encode("set(pins, 0)", 0)
