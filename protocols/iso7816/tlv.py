"""Tag-length-value with one byte each for tag and length, as in card records (`ssc-card.md 3.2`)."""

from protocols.iso7816.frozen import Frozen


class TlvError(ValueError):
    """A length runs past the end, or a field does not fit its byte."""


class Tlv(Frozen):
    """One element: `tag` 0..255, `value` up to 255 bytes."""

    FIELDS = ("tag", "value")
    tag: int
    value: bytes

    def __init__(self, tag: int, value: "bytes | bytearray") -> None:
        if not 0 <= tag <= 0xFF or len(value) > 0xFF:
            raise TlvError("tag or length is more than one byte")
        self._freeze(tag, bytes(value))

    def to_bytes(self) -> bytes:
        return bytes([self.tag, len(self.value)]) + self.value

    def __repr__(self) -> str:
        return "Tlv(%02X, %d bytes)" % (self.tag, len(self.value))


def parse_tlvs(data: "bytes | bytearray") -> "tuple[Tlv, ...]":
    """All elements of `data`, nothing left over; `TlvError` otherwise."""
    found = []
    at = 0
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise TlvError("an element runs past the end")
        end = at + 2 + data[at + 1]
        found.append(Tlv(data[at], data[at + 2 : end]))
        at = end
    return tuple(found)
