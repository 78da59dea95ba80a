"""What the firmware needs of a board's two lines: the contacts of one card, and the bytes of the host."""

from protocols.iso7816.atr import CLASS_B
from protocols.iso7816.frozen import Frozen
from protocols.iso7816.line import CLK, VCC

POWERED_IN_RESET = VCC
CLOCKED_IN_RESET = VCC | CLK


class LineLost(Exception):
    """The contact line or the host line is gone; nothing can be done without it."""


class CharacterDamaged(Exception):
    """A character, from the card or to it, had wrong parity, and so had its repetitions where it was asked for any."""


class CharacterCounters(Frozen):
    """Characters since the board started; `refused` by the board, `resent` because the card refused."""

    FIELDS = ("received", "sent", "refused", "resent")
    received: int
    sent: int
    refused: int
    resent: int

    def __init__(self, *values: int) -> None:
        self._freeze(*values)


class ContactLine:
    """One card's contacts; bits, parity, error signal and guard time are the board's business.

    `present`: a card is in now. `gone`: a card left since the slot last cleared this.
    `overcurrent`: the card drew too much since the slot last cleared this.
    `classes`: what the board can drive, bits of the class indicator.
    """

    present = False
    gone = False
    overcurrent = False
    classes = CLASS_B

    @property
    def counters(self) -> "CharacterCounters | None":
        """None where the board counts nothing."""
        return None

    def poll(self) -> None:
        """Notice what happened; never waits."""
        raise NotImplementedError

    def set_class(self, icc_class: int) -> None:
        """What VCC will be, one of `classes`; called while VCC is off."""
        raise NotImplementedError

    def set_contacts(self, contacts: int) -> None:
        """Drive VCC, RST and CLK; characters that came before are dropped.

        I/O is the board's: released once VCC is on, driven low before VCC goes off.
        """
        raise NotImplementedError

    def set_speed(self, fi_di: int, extra_guard: int) -> None:
        """From now on an etu is F/D clocks, and characters to the card take N etu more (TC1)."""
        raise NotImplementedError

    def set_error_signal(self, on: bool) -> None:
        """Whether damaged characters are asked for again, as T=0 does and T=1 does not.

        With it 12 etu are the guard time of N = 255 and at least 16 pass before the direction changes, else 11 and 22.
        """
        raise NotImplementedError

    def wait_clocks(self, count: int) -> None:
        """As long as this many clocks take, also while CLK is off."""
        raise NotImplementedError

    def send(self, data: "bytes | bytearray | memoryview") -> None:
        """These characters, each after the other; `CharacterDamaged` where the card refuses one again and again."""
        raise NotImplementedError

    def prepare(self, command: "bytes | bytearray | memoryview", procedure_byte: int) -> None:
        """The next `send` is how this command begins; all the rest follows where the card answers with this byte.

        So a board may make it ready, and send it as soon as that byte comes.
        """

    def receive(self, count: int, limit_ms: int) -> bytes:
        """1 to `count` characters as they come; b"" after `limit_ms`, at once when the card is gone or without power.

        `CharacterDamaged` in the place of the first that cannot be read.
        """
        raise NotImplementedError

    def drop_received(self) -> None:
        """Forget characters nobody asked for."""
        raise NotImplementedError


class HostLine:
    """The bytes to and from the host."""

    def read(self) -> bytes:
        """What is there now, b"" for nothing; `LineLost` at the end of the line."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """All of it; dropped where the host does not take it within half a second."""
        raise NotImplementedError
