"""Streams of any kind in front of the frame parser. Vectors: `tests/firmware/test_micropython_rules.py`."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ccid.messages import MAX_DATA, Answer, Command, MessageError, is_answer
from protocols.ccid.serial_frame import BAD_MESSAGE, MAX_FRAME, MESSAGE, MORE_TIME, NAK_FRAME, FrameParser, frame

BYTE = st.integers(0, 255)
STATUS = frame(Command(0x65, 0, 0x11).to_bytes())
"""Has no 03 but its SYNC."""
MESSAGES = st.one_of(
    st.builds(Command, st.integers(0x60, 0x7F), BYTE, BYTE, st.binary(max_size=MAX_DATA)),
    st.builds(Answer, st.integers(0x80, 0x83), BYTE, BYTE, BYTE, BYTE, st.binary(max_size=MAX_DATA), BYTE),
)
NOISE = st.one_of(
    st.binary(max_size=600),
    st.lists(st.sampled_from([b"\x03", b"\x03\x06", NAK_FRAME, STATUS[:7], b"\x50", b"\x03\x06\x6f\x05\x01"])).map(
        b"".join
    ),
)


def chunks(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(NOISE, st.integers(1, 300), st.booleans())
def test_any_stream_is_survived_and_may_be_cut_anywhere(noise: bytes, size: int, from_reader: bool) -> None:
    whole, pieces = FrameParser(from_reader), FrameParser(from_reader)
    expected = whole.feed(noise) + whole.give_up()
    found = [each for chunk in chunks(noise, size) for each in pieces.feed(chunk)] + pieces.give_up()
    assert found == expected
    assert not pieces.partial


@given(MESSAGES, st.integers(1, 300), st.booleans())
def test_a_frame_is_found_however_it_arrives(sent: Command | Answer, size: int, from_reader: bool) -> None:
    parser = FrameParser(from_reader)
    found = [each for chunk in chunks(frame(sent.to_bytes()), size) for each in parser.feed(chunk)]
    assert found == [(MESSAGE, sent.to_bytes())]
    assert type(sent).from_bytes(found[0][1]) == sent


@given(st.binary(max_size=600).map(lambda noise: noise.replace(b"\x03", b"")), st.booleans())
def test_the_frame_right_after_noise_without_sync_is_found(noise: bytes, from_reader: bool) -> None:
    found = FrameParser(from_reader).feed(noise + STATUS)
    assert found[-1] == (MESSAGE, STATUS[2:-1])


@given(NOISE, st.booleans())
def test_after_any_noise_a_later_frame_is_found(noise: bytes, from_reader: bool) -> None:
    parser = FrameParser(from_reader)
    found = parser.feed(noise + STATUS * (MAX_FRAME // len(STATUS) + 2)) + parser.give_up()
    assert found[-1] == (MESSAGE, STATUS[2:-1])


def test_a_frame_behind_a_broken_beginning_is_found_once_the_line_is_quiet() -> None:
    parser = FrameParser(from_reader=False)
    assert parser.feed(frame(Command(0x6F, 0, 1, bytes(261)).to_bytes())[:20] + STATUS) == []
    assert parser.partial
    assert parser.give_up() == [(MESSAGE, STATUS[2:-1])]


@pytest.mark.parametrize("at", range(2, len(STATUS)))
def test_a_flipped_bit_is_never_a_message(at: int) -> None:
    damaged = bytearray(STATUS)
    damaged[at] ^= 0x10
    parser = FrameParser(from_reader=False)
    found = parser.feed(bytes(damaged)) + parser.give_up()
    assert MESSAGE not in [kind for kind, _ in found]


def test_a_wrong_lrc_is_told() -> None:
    assert FrameParser(from_reader=False).feed(STATUS[:-1] + b"\x00") == [(BAD_MESSAGE, b"")]


@pytest.mark.parametrize("byte", [0x80, 0x85, 0xFF])
def test_single_bytes_from_80_up_ask_for_time_and_only_a_reader_sends_them(byte: int) -> None:
    assert FrameParser(from_reader=True).feed(bytes([byte]) + STATUS) == [(MORE_TIME, b""), (MESSAGE, STATUS[2:-1])]
    assert FrameParser(from_reader=False).feed(bytes([byte]) + STATUS) == [(MESSAGE, STATUS[2:-1])]


def test_a_slot_change_may_stand_right_before_a_frame() -> None:
    found = FrameParser(from_reader=True).feed(b"\x50" + STATUS)
    assert found[-1] == (MESSAGE, STATUS[2:-1])


@given(st.binary(max_size=300))
def test_a_message_is_taken_whole_or_refused(data: bytes) -> None:
    for kind in (Command, Answer):
        try:
            message = kind.from_bytes(data)
        except MessageError:
            continue
        assert message.to_bytes() == data
        assert is_answer(data) == (kind is Answer)


def test_more_data_than_a_message_holds_is_refused() -> None:
    with pytest.raises(MessageError):
        Command(0x6F, 0, 0, bytes(MAX_DATA + 1))
    with pytest.raises(MessageError):
        Answer(0x80, 0, 0, 0, 0, bytes(MAX_DATA + 1))


def test_messages_do_not_show_their_data() -> None:
    shown = repr(Command(0x6F, 0, 1, bytes.fromhex("0020000003135790")))
    assert "1357" not in shown
    assert "1357" not in repr(Answer(0x80, 0, 1, 0, 0, bytes.fromhex("135790")))
