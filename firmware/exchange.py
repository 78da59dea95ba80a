"""What a card in session is asked: a PPS, a T=0 command, a T=1 block (`reader.md B.3` to `B.5`)."""

from firmware.characters import Characters
from firmware.slot_error import SlotError
from firmware.ticks import elapsed_ms, ticks_ms
from protocols.ccid.messages import ERROR_MUTE, ERROR_PARITY, ERROR_PROCEDURE_BYTE
from protocols.iso7816.pps import pps_size
from protocols.iso7816.t0 import T0Error, T0Exchange
from protocols.iso7816.t1 import MAX_BLOCK, block_size

UNREADABLE = b"\x00"  # in the place of a damaged character


def ask_pps(characters: Characters, request: "bytes | bytearray | memoryview", gap_ms: int) -> bytes:
    """What the card answers, whatever it says; `SlotError` where a character takes longer than the gap."""
    characters.ask(request)
    answer = bytearray()
    while len(answer) < pps_size(answer):
        received = characters.receive(pps_size(answer) - len(answer), gap_ms)
        if not received:
            raise SlotError(ERROR_MUTE)
        answer.extend(received)
    return bytes(answer)


def ask_t0(characters: Characters, exchange: T0Exchange, waiting_ms: int, total_ms: int) -> bytes:
    """Data and status word; `SlotError` where one character takes longer than `waiting_ms`, or all than `total_ms`."""
    started = ticks_ms()
    characters.prepare(exchange.command, exchange.ins)
    characters.ask(exchange.outgoing)
    while not exchange.done:
        received = characters.receive(exchange.wanted, waiting_ms)
        if not received or elapsed_ms(started) > total_ms:
            raise SlotError(ERROR_MUTE)
        try:
            exchange.take(received)
        except T0Error:
            raise SlotError(ERROR_PROCEDURE_BYTE)  # noqa: B904 - MicroPython does not chain
        if exchange.outgoing:
            characters.send(exchange.outgoing)
    return bytes(exchange.response)


def ask_t1(
    characters: Characters, block: "bytes | bytearray | memoryview", has_crc: bool, block_ms: int, character_ms: int
) -> bytes:
    """One block as it came, its EDC unchecked; `SlotError`: mute where it does not begin within `block_ms`.

    A block with a damaged character, or cut off, is a parity error once the card has been silent for `character_ms`.
    """
    characters.ask(block)
    answer, damaged, limit = bytearray(), False, block_ms
    while True:
        wanted = (MAX_BLOCK if damaged else block_size(answer, has_crc)) - len(answer)
        if wanted <= 0:
            break
        try:
            received = characters.receive(wanted, limit)
        except SlotError as error:
            if error.error != ERROR_PARITY:
                raise
            received, damaged = UNREADABLE, True
        if not received:
            break
        answer.extend(received)
        limit = character_ms
    if not answer:
        raise SlotError(ERROR_MUTE)
    if damaged or wanted > 0:
        raise SlotError(ERROR_PARITY)
    return bytes(answer)
