"""The reader on a Raspberry Pi Pico."""
