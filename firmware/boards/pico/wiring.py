"""One slot's pins, out of a board's generated `pins.py`."""

from protocols.iso7816.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


class Wiring(Frozen):
    """`vcc_on` and `card_in` are levels, VCC is there after `vcc_rises_ms`; `overcurrent` is (pin, level) or None.

    `select` are the pins that choose a class, `levels` theirs for each class.
    """

    FIELDS = (
        "io",
        "clk",
        "rst",
        "vcc",
        "present",
        "classes",
        "vcc_on",
        "vcc_rises_ms",
        "card_in",
        "overcurrent",
        "select",
        "levels",
    )
    io: int
    clk: int
    rst: int
    vcc: int
    present: int
    classes: int
    vcc_on: int
    vcc_rises_ms: int
    card_in: int
    overcurrent: "tuple[int, int] | None"
    select: "tuple[int, ...]"
    levels: "dict[int, tuple[int, ...]]"

    def __init__(self, pins: "ModuleType", slot: int) -> None:
        io, clk, rst, vcc, present = pins.SLOTS[slot]
        self._freeze(
            io,
            clk,
            rst,
            vcc,
            present,
            pins.CLASSES[slot],
            pins.VCC_ON[slot],
            pins.VCC_RISES_MS[slot],
            pins.CARD_IN[slot],
            pins.OVERCURRENT[slot],
            pins.CLASS_SELECT[slot],
            pins.CLASS_LEVELS[slot],
        )
