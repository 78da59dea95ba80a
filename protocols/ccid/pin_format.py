"""Where and how a PIN pad puts digits into a command APDU (CCID 1.1, 6.1.11; PC/SC part 10, 2.5.2).

Data beside the digits keep what the template has; bytes that the template lacks are FF.
"""

from protocols.iso7816.frozen import Frozen

BINARY, BCD, ASCII = range(3)  # one byte per digit, half a byte, one byte
DATA = 5  # where an APDU's data begin
MAX_DATA = 255
PAD = 0xFF


class PinFormat(Frozen):
    """bmFormatString, bmPINBlockString and bmPINLengthFormat.

    A PIN block of 0 bytes is as long as the PIN. Where the template has no room for such a block, it is put in
    between, and Lc grows.
    """

    FIELDS = ("format_string", "block_string", "length_format")
    format_string: int
    block_string: int
    length_format: int

    def __init__(self, format_string: int, block_string: int, length_format: int) -> None:
        self._freeze(format_string, block_string, length_format)

    @property
    def coding(self) -> int:
        """`BINARY`, `BCD`, `ASCII`, or 3, which is reserved."""
        return self.format_string & 0x03

    @property
    def width(self) -> int:
        """Bits per digit."""
        return 4 if self.coding == BCD else 8

    @property
    def position(self) -> int:
        """First bit of the block, counted from the insertion offset."""
        return (self.format_string >> 3 & 0x0F) * (8 if self.format_string & 0x80 else 1)

    @property
    def right(self) -> bool:
        """Whether the digits stand at the end of the block."""
        return bool(self.format_string & 0x04)

    @property
    def block_size(self) -> int:
        """Bytes of the block; 0 for as many as the PIN needs."""
        return self.block_string & 0x0F

    @property
    def length_bits(self) -> int:
        """Size of the field with the number of digits; 0 for none."""
        return self.block_string >> 4

    @property
    def length_position(self) -> int:
        """First bit of that field, counted from the insertion offset."""
        return (self.length_format & 0x0F) * (8 if self.length_format & 0x10 else 1)

    def capacity(self, offset: int, size: int) -> "int | None":
        """Digits that fit where the template has `size` bytes of data; None where nothing but Lc limits them."""
        if not self.block_size:
            return None
        bits = 8 * self.block_size
        if size:
            bits = min(bits, 8 * (size - offset) - self.position)
        return max(bits, 0) // self.width

    def gap(self, offset: int, size: int, count: int) -> int:
        """Bytes to put in at the block's first byte where the template has `size` bytes of data."""
        before = self.position % 8
        needed = (before + 8 * (self.block_size or (count * self.width + 7) // 8) + 7) // 8
        if self.block_size:
            return 0 if size else needed
        return needed if offset + self.position // 8 + needed > size else 0

    def put(self, data: "bytearray | memoryview", offset: int, digits: "bytearray | memoryview") -> None:
        """Write the number of digits and the digits, values 0 to 9, into data with room for the block."""
        base, count = 8 * offset, len(digits)
        if self.length_bits:
            _put_bits(data, base + self.length_position, self.length_bits, count)
        at = base + self.position
        if self.right:
            block = 8 * (self.block_size or (count * self.width + 7) // 8)
            at = min(at + block, 8 * len(data)) - count * self.width
        high = 0x30 if self.coding == ASCII else 0
        for digit in digits:
            _put_bits(data, at, self.width, high | digit)
            at += self.width


def insert_pad(apdu: bytearray, size: int, at: int, count: int) -> int:
    """Put `count` pad bytes into an APDU of `size` bytes, at this place of its data; the new size."""
    at += DATA
    while size < at:
        apdu[size] = PAD
        size += 1
    for i in range(size - 1, at - 1, -1):
        apdu[i + count] = apdu[i]
    for i in range(at, at + count):
        apdu[i] = PAD
    return size + count


def _put_bits(data: "bytearray | memoryview", at: int, width: int, value: int) -> None:
    for i in range(width):
        place, mask = (at + i) // 8, 0x80 >> (at + i) % 8
        if value >> (width - 1 - i) & 1:
            data[place] |= mask
        else:
            data[place] &= ~mask & 0xFF
