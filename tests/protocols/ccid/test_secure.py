"""What a host asks a PIN pad for: any bytes are a request or a `ParameterError`, and a request can be filled in."""

from hypothesis import given
from hypothesis import strategies as st

from protocols.ccid.parameters import ParameterError
from protocols.ccid.pin_format import DATA, MAX_DATA, PinFormat
from protocols.ccid.secure import ASK_CURRENT, Change, PinRequest, Prompts, forbidden

INSTRUCTIONS = 0x20, 0x24, 0x26, 0x28, 0x2C, 0x5E
BYTES = st.integers(0, 255)
LC = 260


@st.composite
def almost_right(draw: st.DrawFn) -> bytes:
    """Fields that are often in order, so that the deeper checks are reached."""
    data = draw(st.binary(max_size=40) | st.binary(min_size=240, max_size=255))
    tail = bytes([len(data)]) + data if draw(st.booleans()) else data
    apdu = bytes([draw(BYTES), draw(st.sampled_from(INSTRUCTIONS) | BYTES), 0, 0]) + tail
    layout = bytes([draw(BYTES), draw(BYTES), draw(BYTES)])
    least, most = draw(st.integers(0, 17)), draw(st.integers(0, 40))
    middle = bytes([draw(st.integers(0, 8)), draw(st.sampled_from([0, 1, 2, 3, 4, 255])), 9, 4])
    tail = draw(st.binary(min_size=4, max_size=6)) + apdu
    if draw(st.booleans()):
        return bytes([0, 0]) + layout + bytes([most, least]) + middle + tail
    offsets = bytes([draw(st.integers(0, 40) | BYTES), draw(st.integers(0, 40) | BYTES)])
    return bytes([1, 0]) + layout + offsets + bytes([most, least, draw(st.integers(0, 4))]) + middle + tail


def parsed(raw: bytes) -> PinRequest | int:
    """The request, or the offset of what is wrong with it."""
    try:
        return PinRequest.from_bytes(raw)
    except ParameterError as error:
        return error.offset


@given(st.binary(max_size=300) | almost_right(), st.data())
def test_any_bytes_are_refused_or_can_be_carried_out(raw: bytes, data: st.DataObject) -> None:
    request = parsed(raw)
    if isinstance(request, int):
        assert request == 1 or 10 <= request < 10 + len(raw)
        return
    assert request.to_bytes() == raw
    least, most = request.min_digits, request.most_digits
    pins = [
        data.draw(st.lists(st.integers(0, 9), min_size=least, max_size=most).map(bytearray)) for _ in request.offsets
    ]
    apdu = bytearray(b"\xa5" * (DATA + MAX_DATA))
    size = request.fill(apdu, [memoryview(pin) for pin in pins])
    assert apdu[:4] == request.apdu[:4]
    assert apdu[4] == size - DATA
    assert set(apdu[size:]) <= {0xA5}


@given(st.binary(max_size=100).map(lambda tail: b"SSC\x30" + tail))
def test_any_list_of_forbidden_pins_is_refused_or_short(raw: bytes) -> None:
    try:
        found = forbidden(raw)
    except ParameterError:
        return
    assert len(found) <= 8
    assert all(1 <= len(pin) <= 8 for pin in found)


DIGITS = st.lists(st.integers(0, 9), min_size=4, max_size=16).map(bytearray)


@given(DIGITS, DIGITS)
def test_change_pin_of_any_two_lengths_is_what_the_host_itself_would_send(old: bytearray, new: bytearray) -> None:
    """`protocols.sscard` packs the same digits (ssc-card.md 5, 9.4)."""
    from protocols.sscard.commands import change_pin
    from protocols.sscard.pin import pin_block

    change = Change(0, 1, ASK_CURRENT)
    prompts = Prompts(0, 0, b"\x00")
    request = PinRequest(0, PinFormat(0x81, 0, 0), 4, 16, 2, prompts, bytes.fromhex("805E010001FF"), change)
    apdu = bytearray(LC)
    size = request.fill(apdu, [memoryview(old), memoryview(new)])
    blocks = [pin_block(bytearray(0x30 | digit for digit in pin)) for pin in (old, new)]
    assert bytes(apdu[:size]) == change_pin(*blocks).to_tpdu()
