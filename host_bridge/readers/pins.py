"""Pins of the Raspberry Pi that pull the reader's inputs low, by gpiozero's names.

Made by `make gen` from hardware/pinmap.toml.
"""

RUN = "GPIO17"
BOOTSEL = "GPIO27"
