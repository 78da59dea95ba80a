"""Short command and response APDUs, ISO/IEC 7816-4."""

from protocols.iso7816.frozen import Frozen

HEADER_SIZE = 4
MAX_DATA = 255
MAX_LE = 256


class ApduError(ValueError):
    """These bytes or fields are no short APDU."""


def _byte(value: int, name: str) -> int:
    if not 0 <= value <= 0xFF:
        raise ApduError(name + " is not a byte")
    return value


class CommandApdu(Frozen):
    """Header, data of 0..255 bytes and `le` 1..256, or None where no answer data are expected.

    Its `repr` shows no data: they may be a PIN.
    """

    FIELDS = ("cla", "ins", "p1", "p2", "data", "le")
    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    le: "int | None"

    def __init__(  # noqa: PLR0917
        self, cla: int, ins: int, p1: int, p2: int, data: "bytes | bytearray" = b"", le: "int | None" = None
    ) -> None:
        if len(data) > MAX_DATA:
            raise ApduError("more than 255 data bytes")
        if le is not None and not 1 <= le <= MAX_LE:
            raise ApduError("Le is not 1..256")
        self._freeze(_byte(cla, "CLA"), _byte(ins, "INS"), _byte(p1, "P1"), _byte(p2, "P2"), bytes(data), le)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "CommandApdu":
        """The four cases of a short APDU; `ApduError` for anything else.

        Five bytes are case 2: a T=0 header of case 1 (P3 = 0) cannot be told from it.
        """
        if len(data) < HEADER_SIZE:
            raise ApduError("shorter than a header")
        cla, ins, p1, p2 = data[:HEADER_SIZE]
        if len(data) == HEADER_SIZE:
            return cls(cla, ins, p1, p2)
        p3 = data[HEADER_SIZE]
        if len(data) == HEADER_SIZE + 1:
            return cls(cla, ins, p1, p2, b"", p3 or MAX_LE)
        body = data[HEADER_SIZE + 1 :]
        if p3 == 0 or len(body) not in (p3, p3 + 1):
            raise ApduError("Lc does not fit the length")
        le = None if len(body) == p3 else (body[p3] or MAX_LE)
        return cls(cla, ins, p1, p2, body[:p3], le)

    def to_bytes(self) -> bytes:
        """As an APDU: Lc only with data, Le 256 as 00."""
        le = b"" if self.le is None else bytes([self.le & 0xFF])
        return self._header() + (bytes([len(self.data)]) + self.data if self.data else b"") + le

    def to_tpdu(self) -> bytes:
        """As the T=0 command: P3 always there (00 in case 1), Le of case 4 left out."""
        if self.data:
            return self._header() + bytes([len(self.data)]) + self.data
        return self._header() + bytes([(self.le or 0) & 0xFF])

    def _header(self) -> bytes:
        return bytes([self.cla, self.ins, self.p1, self.p2])

    def __repr__(self) -> str:
        le = "-" if self.le is None else str(self.le)
        return "CommandApdu(%02X %02X %02X %02X Lc %d Le %s)" % (
            self.cla,
            self.ins,
            self.p1,
            self.p2,
            len(self.data),
            le,
        )


class ResponseApdu(Frozen):
    """Data of 0..256 bytes and the status word. Its `repr` shows no data."""

    FIELDS = ("data", "sw")
    data: bytes
    sw: int

    def __init__(self, data: "bytes | bytearray", sw: int) -> None:
        if len(data) > MAX_LE:
            raise ApduError("more than 256 data bytes")
        if not 0 <= sw <= 0xFFFF:
            raise ApduError("status word is not two bytes")
        self._freeze(bytes(data), sw)

    @classmethod
    def from_bytes(cls, data: "bytes | bytearray") -> "ResponseApdu":
        """Data and the two status bytes; `ApduError` where these are missing."""
        if len(data) < 2:
            raise ApduError("no status word")
        return cls(data[:-2], data[-2] << 8 | data[-1])

    def to_bytes(self) -> bytes:
        return self.data + bytes([self.sw >> 8, self.sw & 0xFF])

    def __repr__(self) -> str:
        return "ResponseApdu(%d bytes, %04X)" % (len(self.data), self.sw)
