"""Exclusive-or: TCK of an ATR, PCK of a PPS, LRC of a block and of a frame."""


def xor(data: "bytes | bytearray | memoryview") -> int:
    """Of all bytes; 0 where the check is among them and right."""
    check = 0
    for byte in data:
        check ^= byte
    return check
