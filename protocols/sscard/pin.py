"""The PIN on the wire: packed digits, no length byte, an odd last nibble is F (ssc-card.md 5)."""

MIN_DIGITS = 4
MAX_DIGITS = 16


class PinFormatError(ValueError):
    """Not 4 to 16 ASCII digits; says nothing about what was entered."""

    def __init__(self) -> None:
        super().__init__(f"a PIN has {MIN_DIGITS} to {MAX_DIGITS} digits")


def pin_block(digits: bytearray) -> bytearray:
    """ASCII digits packed two to a byte: `12345` gives 12 34 5F; `PinFormatError` where they are no PIN."""
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS or any(not 0x30 <= digit <= 0x39 for digit in digits):
        raise PinFormatError
    block = bytearray(b"\xff" * ((len(digits) + 1) // 2))
    for place, digit in enumerate(digits):
        shift, keep = (0, 0xF0) if place % 2 else (4, 0x0F)
        block[place // 2] = block[place // 2] & keep | (digit & 0x0F) << shift
    return block


def wipe(buffer: bytearray) -> None:
    """Overwrite a secret in place."""
    buffer[:] = bytes(len(buffer))
