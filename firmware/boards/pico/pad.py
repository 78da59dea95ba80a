"""Keys, LEDs and buzzer on the pins of a Pico."""

# mypy: disable-error-code="import-not-found"

from time import sleep_us  # type: ignore[attr-defined]

from machine import Pin

from firmware.indicator import Indicator
from firmware.keypad import Keypad
from protocols.ccid.keypad import BUZZER, GREEN, RED

SETTLE_US = 10  # until a column that is let go is high again by its pull-up


class PinKeypad(Keypad):
    """A row is driven low and reads its keys on the columns; the other rows float, so that no two drive each other."""

    def __init__(self, rows: "tuple[int, ...]", columns: "tuple[int, ...]") -> None:
        self._rows = [Pin(pin, Pin.IN) for pin in rows]
        self._columns = [Pin(pin, Pin.IN, Pin.PULL_UP) for pin in columns]

    def columns(self, row: int) -> int:
        pin = self._rows[row]
        pin.init(Pin.OUT, value=0)
        sleep_us(SETTLE_US)
        pulled = 0
        for place in range(len(self._columns)):  # enumerate would leave garbage every time
            pulled |= (1 - self._columns[place].value()) << place
        pin.init(Pin.IN)
        return pulled


class PinIndicator(Indicator):
    def __init__(self, green: int, red: int, buzzer: int) -> None:
        super().__init__()
        self._lamps = [
            (lamp, Pin(pin, Pin.OUT, value=0)) for lamp, pin in ((GREEN, green), (RED, red), (BUZZER, buzzer))
        ]

    def drive(self, lamps: int) -> None:
        for lamp, pin in self._lamps:
            pin.value(1 if lamps & lamp else 0)
