"""The reader on a Raspberry Pi Pico with a card front end."""
