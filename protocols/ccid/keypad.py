"""The keypad of a PIN pad: which key is where, and its wires between the unix board and a virtual keypad.

A byte below 80 drives rows, one bit each, and is answered by a byte with the columns that they pull. A byte of 80
or more sets the lamps and is not answered.
"""

# Keys beside the digits 0 to 9
CANCEL, CLEAR, BACKSPACE, OK = range(10, 14)

LAYOUT = (
    (1, 2, 3, CANCEL),
    (4, 5, 6, CLEAR),
    (7, 8, 9, BACKSPACE),
    (None, 0, None, OK),
)

# Lamps
LAMPS = 0x80
GREEN, RED, BUZZER = 0x01, 0x02, 0x04
