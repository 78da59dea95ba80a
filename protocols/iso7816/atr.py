"""Answer to reset, ISO/IEC 7816-3 (`reader.md B.3`, `ssc-card.md 2`)."""

from protocols.iso7816.frozen import Frozen
from protocols.iso7816.t1 import DEFAULT_IFS
from protocols.iso7816.xor import xor

DIRECT = 0x3B
INVERSE = 0x3F
MAX_SIZE = 33  # TS and at most 32 characters after it
DEFAULT_WAITING_INTEGER = 10
DEFAULT_BWI_CWI = 0x4D
GLOBAL = 15  # T=15 is no protocol: its interface bytes concern the card as a whole

# Classes of operating conditions, as bits of the class indicator
CLASS_A, CLASS_B, CLASS_C = 1, 2, 4  # 5 V, 3 V, 1.8 V
EVERY_CLASS = CLASS_A | CLASS_B | CLASS_C
_LETTERS = "ABC"

PART_TS, PART_LENGTH, PART_TCK = "TS", "length", "TCK"


class AtrError(ValueError):
    """No valid ATR; `part` is what is wrong with it: `PART_TS`, `PART_LENGTH` or `PART_TCK`."""

    def __init__(self, part: str) -> None:
        super().__init__("bad ATR: " + part)
        self.part = part


def classes_of(letters: str) -> int:
    """The class indicator of `AB` and the like; `ValueError` for another letter."""
    classes = 0
    for letter in letters:
        classes |= 1 << _LETTERS.index(letter)
    return classes


def _ones(nibble: int) -> int:
    return (nibble & 1) + (nibble >> 1 & 1) + (nibble >> 2 & 1) + (nibble >> 3 & 1)


def _has_tck(data: "bytes | bytearray") -> bool:
    """Whether a protocol other than T=0 is named, T=15 included."""
    return any(td & 0x0F for td in _protocol_bytes(data))


def _protocol_bytes(data: "bytes | bytearray") -> "list[int]":
    """The TD bytes that have arrived."""
    found = []
    present, at = data[1] >> 4, 2
    while present & 8:
        at += _ones(present)
        if at > len(data):
            break
        found.append(data[at - 1])
        present = data[at - 1] >> 4
    return found


def atr_size(data: "bytes | bytearray") -> int:
    """How long the ATR beginning with `data` is, as far as `data` tells; complete when it equals `len(data)`.

    Raises `AtrError` where it would be longer than 33 bytes.
    """
    if len(data) < 2:
        return 2
    size = 2 + _ones(data[1] >> 4)
    for td in _protocol_bytes(data):
        size += _ones(td >> 4)
    size += data[1] & 0x0F
    if _has_tck(data):
        size += 1
    if size > MAX_SIZE:
        raise AtrError(PART_LENGTH)
    return size


class Atr(Frozen):
    """`interface` holds (TA, TB, TC, TD) per group, None where absent; `protocols` as offered, in order."""

    FIELDS = ("raw", "interface", "historical_bytes", "protocols")
    raw: bytes
    interface: "tuple[tuple[int | None, ...], ...]"
    historical_bytes: bytes
    protocols: "tuple[int, ...]"

    def __init__(self, raw: "bytes | bytearray") -> None:
        if not raw or raw[0] not in (DIRECT, INVERSE):
            raise AtrError(PART_TS)
        if len(raw) < 2 or atr_size(raw) != len(raw):
            raise AtrError(PART_LENGTH)
        tck = _has_tck(raw)
        if tck and xor(raw[1:]) != 0:
            raise AtrError(PART_TCK)
        end = len(raw) - 1 if tck else len(raw)
        named = [td & 0x0F for td in _protocol_bytes(raw)]
        protocols = tuple(t for i, t in enumerate(named) if t != GLOBAL and t not in named[:i]) or (0,)
        self._freeze(bytes(raw), _interface_bytes(raw), bytes(raw[end - (raw[1] & 0x0F) : end]), protocols)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "Atr":
        """The whole answer, TS first; `AtrError` names the part that is wrong."""
        return cls(data)

    def to_bytes(self) -> bytes:
        return self.raw

    @property
    def ta1(self) -> "int | None":
        """Fi and Di; absent: 0x11."""
        return self._byte(0, 0)

    @property
    def tb1(self) -> "int | None":
        return self._byte(0, 1)

    @property
    def tc1(self) -> "int | None":
        """Extra guard time N."""
        return self._byte(0, 2)

    @property
    def ta2(self) -> "int | None":
        """Present: specific mode, no PPS."""
        return self._byte(1, 0)

    @property
    def tc2(self) -> "int | None":
        """Waiting integer WI of T=0."""
        return self._byte(1, 2)

    @property
    def waiting_integer(self) -> int:
        """WI: TC2 or 10."""
        return self.tc2 or DEFAULT_WAITING_INTEGER

    @property
    def ifsc(self) -> int:
        """The longest information field that the card takes in T=1."""
        return self._specific(1, 0) or DEFAULT_IFS

    @property
    def bwi_cwi(self) -> int:
        """Waiting integers of T=1: of the block and of the character."""
        told = self._specific(1, 1)
        return DEFAULT_BWI_CWI if told is None else told

    @property
    def has_crc(self) -> bool:
        """Whether blocks of T=1 end with a CRC in place of an LRC."""
        return bool((self._specific(1, 2) or 0) & 1)

    @property
    def classes(self) -> "int | None":
        """The classes that the card works in; None where it does not tell."""
        told = (self._specific(GLOBAL, 0) or 0) & EVERY_CLASS
        return told or None

    def _specific(self, protocol: int, letter: int) -> "int | None":
        """The first TA, TB or TC after a TD that names the protocol, from the third group on."""
        for group in range(2, len(self.interface)):
            td, value = self._byte(group - 1, 3), self._byte(group, letter)
            if td is not None and td & 0x0F == protocol and value is not None:
                return value
        return None

    def _byte(self, group: int, letter: int) -> "int | None":
        return self.interface[group][letter] if group < len(self.interface) else None

    def __repr__(self) -> str:
        return "Atr(T=%s, %d historical bytes)" % (self.protocols, len(self.historical_bytes))


def _interface_bytes(raw: "bytes | bytearray") -> "tuple[tuple[int | None, ...], ...]":
    groups = []
    present, at = raw[1] >> 4, 2
    while present:
        group: "list[int | None]" = []
        for bit in range(4):
            if present >> bit & 1:
                group.append(raw[at])
                at += 1
            else:
                group.append(None)
        groups.append(tuple(group))
        present = (group[3] or 0) >> 4
    return tuple(groups)
