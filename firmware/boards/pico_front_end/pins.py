"""Pins of the board `pico_front_end`, made by `make gen` from hardware/pinmap.toml.

One item per slot in every tuple but the last four. VCC powers the card at VCC_ON and is there after VCC_RISES_MS;
PRESENT tells of a card at CARD_IN; OVERCURRENT is a pin and its level, None where PRESENT changes for that too.
"""

# I/O, CLK, RST, VCC, PRESENT
SLOTS = (
    (2, 3, 4, 5, 6),  # card
    (9, 10, 11, 12, 13),  # SAM
)
CLASSES = (7, 2)  # class indicator: 1 A, 2 B, 4 C
VCC_ON = (0, 1)
VCC_RISES_MS = (11, 3)
CARD_IN = (1, 0)
OVERCURRENT: "tuple[tuple[int, int] | None, ...]" = (None, (27, 0))

# pins that choose a class, and their levels for each
CLASS_SELECT: "tuple[tuple[int, ...], ...]" = ((7, 8), ())
CLASS_LEVELS: "tuple[dict[int, tuple[int, ...]], ...]" = ({1: (1, 1), 2: (0, 1), 4: (1, 0)}, {})

KEYPAD_ROWS = (14, 15, 16, 17)
KEYPAD_COLUMNS = (18, 19, 20, 21)
LEDS = (22, 26)  # green, red
BUZZER = 28
