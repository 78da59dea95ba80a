"""The language of the test card: APDUs by which a reader's tester makes it answer, count and misbehave.

Whether an instruction has data in or out is fixed, so that each is one case of ISO/IEC 7816-3 T=0.
"""

from protocols.iso7816.apdu import CommandApdu
from protocols.iso7816.atr import MAX_SIZE as MAX_ATR
from protocols.iso7816.frozen import Frozen
from protocols.iso7816.status import SW_SUCCESS

CLA = 0x80
STATUS = 0x10  # no data; the status word is P1 P2
GIVE = 0x12  # Le bytes of `pattern`, then P1 P2
TAKE = 0x14  # takes data, then P1 P2; after 61xx GET RESPONSE has them
GIVE_BACK = 0x16  # the data of the last TAKE; 6Cxx for another Le
ARM = 0x18  # the next phases of a kind go wrong: P1 is the phase, P2 the deed
CALM = 0x1A  # no data; nothing goes wrong any more
TELL = 0x1C  # what was counted

PHASES = ("atr", "pps", "command")
DEEDS = ("insert", "replace", "damage", "pause", "mute", "pull", "single", "refuse")
"""As in a fault script of the contact line."""

SW_NO_LINE = 0x6985
"""ARM: nothing can go wrong here, for it is no contact line that the card hangs on."""
HISTORICAL_BYTES = b"SSC-TEST-CARD-1"
MARK = HISTORICAL_BYTES[:8]
ATR = bytes([0x3B, 0x9F, 0x96, 0x40, 0x01]) + HISTORICAL_BYTES
"""TA1 96, WI 1: at 4 MHz 250 000 bit/s and 123 ms between two characters."""

TOLD_SIZE = 11 + MAX_ATR


class LanguageError(ValueError):
    """These bytes say nothing in the test card's language."""


class Arming(Frozen):
    """A rule: in `times` phases after `spared` ones, at character `at`. Milliseconds up to 65535, `count` up to 255."""

    FIELDS = ("phase", "deed", "at", "count", "ms", "spared", "times", "characters")
    phase: str
    deed: str
    at: int
    count: int
    ms: int
    spared: int
    times: int
    characters: bytes

    def __init__(  # noqa: PLR0917
        self,
        phase: str,
        deed: str,
        at: int = 0,
        count: int = 1,
        ms: int = 0,
        spared: int = 0,
        times: int = 1,
        characters: bytes = b"",
    ) -> None:
        self._freeze(phase, deed, at, count, ms, spared, times, bytes(characters))

    @classmethod
    def from_command(cls, command: CommandApdu) -> "Arming":
        """`LanguageError` for an unknown phase or deed, and for too few bytes."""
        data = command.data
        if command.p1 >= len(PHASES) or command.p2 >= len(DEEDS) or len(data) < 6:
            raise LanguageError("no rule")
        at, count, ms, spared, times = data[0], data[1], data[2] << 8 | data[3], data[4], data[5]
        return cls(PHASES[command.p1], DEEDS[command.p2], at, count, ms, spared, times, data[6:])

    def to_command(self) -> CommandApdu:
        numbers = bytes([self.at, self.count, self.ms >> 8, self.ms & 0xFF, self.spared, self.times])
        return CommandApdu(CLA, ARM, PHASES.index(self.phase), DEEDS.index(self.deed), numbers + self.characters)


class Told(Frozen):
    """What TELL answers. `on_line`: the card hangs on a contact line and can misbehave; `fi_di` is its speed there.

    `resets` since power-on, the cold one included; `commands` since it was put in, TELL included.
    """

    FIELDS = ("on_line", "power_ons", "resets", "pps", "commands", "fi_di", "atr")
    on_line: bool
    power_ons: int
    resets: int
    pps: int
    commands: int
    fi_di: int
    atr: bytes

    def __init__(  # noqa: PLR0917
        self, on_line: bool, power_ons: int, resets: int, pps: int, commands: int, fi_di: int, atr: bytes
    ) -> None:
        self._freeze(on_line, power_ons, resets, pps, commands, fi_di, bytes(atr))

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "Told":
        """`LanguageError` for another length."""
        if len(data) != TOLD_SIZE or data[10] > MAX_ATR:
            raise LanguageError("not what TELL answers")
        power_ons, resets, pps, commands = (data[at] << 8 | data[at + 1] for at in (1, 3, 5, 7))
        return cls(bool(data[0]), power_ons, resets, pps, commands, data[9], bytes(data[11 : 11 + data[10]]))

    def to_bytes(self) -> bytes:
        found = bytearray([self.on_line])
        for count in (self.power_ons, self.resets, self.pps, self.commands):
            found.extend([count >> 8 & 0xFF, count & 0xFF])
        found.extend([self.fi_di, len(self.atr)])
        return bytes(found) + self.atr + bytes(MAX_ATR - len(self.atr))


def status_only(sw: int) -> CommandApdu:
    """Case 1."""
    return CommandApdu(CLA, STATUS, sw >> 8, sw & 0xFF)


def give(count: int, sw: int = SW_SUCCESS) -> CommandApdu:
    """Case 2: 1..256 bytes."""
    return CommandApdu(CLA, GIVE, sw >> 8, sw & 0xFF, le=count)


def take(data: bytes, sw: int = SW_SUCCESS) -> CommandApdu:
    """Case 3; case 4 where `sw` is 61xx."""
    return CommandApdu(CLA, TAKE, sw >> 8, sw & 0xFF, data)


def give_back(count: int) -> CommandApdu:
    return CommandApdu(CLA, GIVE_BACK, 0, 0, le=count)


def calm() -> CommandApdu:
    return CommandApdu(CLA, CALM, 0, 0)


def tell() -> CommandApdu:
    return CommandApdu(CLA, TELL, 0, 0, le=TOLD_SIZE)


def pattern(count: int) -> bytes:
    """Bytes of which no two neighbours are equal and none is lost unseen; all 256 where there are so many."""
    return bytes([at * 167 + 13 & 0xFF for at in range(count)])
