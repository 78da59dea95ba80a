"""Bytes of any kind in front of the ISO 7816 parsers. Vectors: `tests/firmware/test_micropython_rules.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso7816.apdu import ApduError, CommandApdu, ResponseApdu
from protocols.iso7816.atr import MAX_SIZE, Atr, AtrError, atr_size
from protocols.iso7816.frozen import Frozen
from protocols.iso7816.line import CHARACTER, KINDS, LineError, LineParser, characters, message
from protocols.iso7816.status import meaning
from protocols.iso7816.t0 import T0Error, T0Exchange, t0_command
from protocols.iso7816.tlv import Tlv, TlvError, parse_tlvs

BYTE = st.integers(0, 255)
LE = st.none() | st.integers(1, 256)
COMMANDS = st.builds(CommandApdu, BYTE, BYTE, BYTE, BYTE, st.binary(max_size=255), LE)
LINE_KINDS = st.sampled_from(KINDS)


@st.composite
def answers_to_reset(draw: st.DrawFn) -> tuple[bytes, list[list[int | None]], bytes]:
    """A well-formed ATR of up to three groups, its interface bytes and its historical bytes."""
    historical = draw(st.binary(max_size=15))
    groups = draw(st.lists(st.lists(st.none() | BYTE, min_size=3, max_size=3), min_size=1, max_size=3))
    protocols = draw(st.lists(st.integers(0, 15), min_size=len(groups), max_size=len(groups)))
    last = len(groups) - 1
    if all(value is None for value in groups[last]) and last:
        groups[last][0] = 0
    body = bytearray()
    interface: list[list[int | None]] = []
    presents = [sum(1 << bit for bit, value in enumerate(group) if value is not None) for group in groups]
    for index in range(last):
        presents[index] |= 8
    for index, group in enumerate(groups):
        td = presents[index + 1] << 4 | protocols[index] if index < last else None
        values = [*group, td]
        body += bytes(value for value in values if value is not None)
        if presents[index]:
            interface.append(values)
    raw = bytes([presents[0] << 4 | len(historical)]) + bytes(body) + historical
    if any(protocol for protocol in protocols[:last]):
        tck = 0
        for byte in raw:
            tck ^= byte
        raw += bytes([tck])
    return b"\x3b" + raw, interface, historical


@given(st.binary(max_size=40))
def test_an_atr_is_taken_whole_or_refused(data: bytes) -> None:
    try:
        atr = Atr.from_bytes(data)
    except AtrError:
        return
    assert atr.to_bytes() == data
    assert atr_size(data) == len(data) <= MAX_SIZE
    assert atr.protocols


@given(answers_to_reset())
def test_a_well_formed_atr_gives_back_its_parts(made: tuple[bytes, list[list[int | None]], bytes]) -> None:
    raw, interface, historical = made
    if len(raw) > MAX_SIZE:
        with pytest.raises(AtrError):
            Atr.from_bytes(raw)
        return
    atr = Atr.from_bytes(raw)
    assert [list(group) for group in atr.interface] == interface
    assert atr.historical_bytes == historical
    for count in range(len(raw)):
        assert count < atr_size(raw[:count]) <= len(raw)
        with pytest.raises(AtrError):
            Atr.from_bytes(raw[:count])


@given(st.binary(max_size=300))
def test_a_command_is_taken_whole_or_refused(data: bytes) -> None:
    try:
        command = CommandApdu.from_bytes(data)
    except ApduError:
        return
    assert command.to_bytes() == data


@given(COMMANDS)
def test_every_short_command_survives_its_bytes(command: CommandApdu) -> None:
    assert CommandApdu.from_bytes(command.to_bytes()) == command
    assert command.to_tpdu()[:4] == command.to_bytes()[:4]
    assert command.to_tpdu()[5:] == command.data


@pytest.mark.parametrize("fields", [(256, 0, 0, 0), (0, -1, 0, 0), (0, 0, 0, 0, bytes(256)), (0, 0, 0, 0, b"", 0)])
def test_a_command_that_fits_no_short_apdu_is_refused(fields: tuple[int, int, int, int]) -> None:
    with pytest.raises(ApduError):
        CommandApdu(*fields)


@given(st.binary(max_size=300))
def test_a_response_is_taken_whole_or_refused(data: bytes) -> None:
    try:
        response = ResponseApdu.from_bytes(data)
    except ApduError:
        return
    assert response.to_bytes() == data
    assert meaning(response.sw)


@given(st.binary(max_size=600))
def test_elements_are_taken_whole_or_refused(data: bytes) -> None:
    try:
        elements = parse_tlvs(data)
    except TlvError:
        return
    assert b"".join(element.to_bytes() for element in elements) == data


@given(st.lists(st.builds(Tlv, BYTE, st.binary(max_size=255))))
def test_elements_survive_their_bytes(elements: list[Tlv]) -> None:
    assert parse_tlvs(b"".join(element.to_bytes() for element in elements)) == tuple(elements)


@given(st.binary(max_size=300), st.binary(max_size=600))
def test_no_card_leads_an_exchange_astray(command: bytes, card: bytes) -> None:
    try:
        tpdu = bytes(t0_command(command))
    except T0Error:
        with pytest.raises(T0Error):
            T0Exchange(command)
        return
    exchange = T0Exchange(command)
    sent = bytes(exchange.outgoing)
    while not exchange.done and card:
        count = exchange.wanted
        try:
            exchange.take(card[:count])
        except T0Error:
            break
        card = card[count:]
        sent += bytes(exchange.outgoing)
    assert tpdu.startswith(sent)
    assert len(exchange.response) <= (tpdu[4] or 256) + 2


@given(st.lists(st.tuples(LINE_KINDS, BYTE)), st.integers(1, 7))
def test_the_contact_line_may_cut_its_messages_anywhere(sent: list[tuple[int, int]], size: int) -> None:
    stream = b"".join(message(kind, value) for kind, value in sent)
    parser = LineParser()
    found = [pair for at in range(0, len(stream), size) for pair in parser.feed(stream[at : at + size])]
    assert found == sent


@given(st.binary(max_size=20))
def test_characters_are_messages(data: bytes) -> None:
    assert LineParser().feed(characters(data)) == [(CHARACTER, byte) for byte in data]


@given(st.binary(max_size=50))
def test_anything_else_on_the_contact_line_is_refused(data: bytes) -> None:
    kinds = data[::2]
    if set(kinds) <= set(KINDS):
        assert len(LineParser().feed(data)) == len(data) // 2
    else:
        with pytest.raises(LineError):
            LineParser().feed(data)


@pytest.mark.parametrize(
    "value",
    [
        CommandApdu(0, 0x20, 0, 0, b"\x13\x57\x90"),
        ResponseApdu(b"\x13\x57\x90", 0x9000),
        Tlv(8, b"\x13\x57\x90"),
        Atr.from_bytes(b"\x3b\x03\x13\x57\x90"),
    ],
)
def test_values_are_frozen_and_do_not_show_their_data(value: Frozen) -> None:
    for name in value.FIELDS:
        with pytest.raises(AttributeError):
            setattr(value, name, 1)
    shown = repr(value)
    assert "13" not in shown
    assert "57" not in shown
    assert {value: 1}[value] == 1
    assert value != shown
