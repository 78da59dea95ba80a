"""UPDATE RECORD and UPDATE BINARY, as a card does them (ssc-card.md 4.1, 4.2)."""

from hardware.virtual.card_data import place, search
from hardware.virtual.card_keys import check_mac, mac_key
from hardware.virtual.card_state import SUCCESS, CardState, Refused
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands
from protocols.sscard.files import File

SEARCHES = (commands.FIRST_TAG, commands.LAST_TAG, commands.NEXT_TAG, commands.PREVIOUS_TAG)
MAX_RECORDS = 0xFE


def update_record(state: CardState, command: CommandApdu) -> ResponseApdu:
    """A number or tag that is not there appends; the oldest record of a full cyclic file goes for its newest."""
    sfi, mode = command.p2 >> 3, command.p2 & 0b111
    if mode not in (commands.NUMBER, *SEARCHES) or (mode == commands.NUMBER and command.p1 > MAX_RECORDS):
        raise Refused(status.SW_WRONG_P1P2)
    file = state.addressed(sfi, transparent=False)
    state.require(file.update)
    record = _content(state, command)
    old = state.records(state.directory, file)
    cyclic = file.structure == "cyclic"
    new = _append_cyclic(file, command, old, record) if cyclic else _put(state, command, old, record)
    state.change_file(state.directory, file, new)
    return SUCCESS


def update_binary(state: CardState, command: CommandApdu) -> ResponseApdu:
    sfi, offset = place(command)
    file = state.addressed(sfi, transparent=True)
    state.require(file.update)
    data, content = _content(state, command), state.binary(state.directory, file)
    if offset >= file.size:
        raise Refused(status.SW_OFFSET_OUTSIDE)
    if offset + len(data) > file.size:
        raise Refused(status.SW_WRONG_LENGTH)
    content = (content[:offset] + data + content[offset + len(data) :]).rstrip(b"\0")
    state.change_file(state.directory, file, filter(None, (content,)))
    return SUCCESS


def _content(state: CardState, command: CommandApdu) -> bytes:
    """What is to be written; with CLA 04 after its MAC was checked with the key of the current directory."""
    data = command.data
    if command.cla == commands.WITH_MAC:
        data, _ = check_mac(state, command, mac_key(state, state.directory.name))
    if not data:
        raise Refused(status.SW_WRONG_LENGTH)
    return data


def _append_cyclic(file: File, command: CommandApdu, records: tuple[bytes, ...], record: bytes) -> tuple[bytes, ...]:
    if command.p1 or command.p2 & 0b111 != commands.PREVIOUS_TAG:
        raise Refused(status.SW_FILE_STRUCTURE)
    if len(record) not in (file.record_length, file.short):
        raise Refused(status.SW_WRONG_LENGTH)
    return (record, *records[: file.capacity - 1])


def _put(state: CardState, command: CommandApdu, records: tuple[bytes, ...], record: bytes) -> tuple[bytes, ...]:
    """Records of a linear file with this one in its place, or behind the last; a place keeps its length."""
    by_tag = command.p2 & 0b111 in SEARCHES
    if len(record) < 2 or record[1] != len(record) - 2 or (by_tag and record[0] != command.p1):
        raise Refused(status.SW_TLV_LENGTH)
    index = _found(state, command, records) if by_tag else _numbered(state, command.p1, records)
    if index == len(records) == MAX_RECORDS:
        raise Refused(status.SW_NO_SPACE)
    if index < len(records) and len(record) != len(records[index]):
        raise Refused(status.SW_NO_SPACE if len(record) > len(records[index]) else status.SW_WRONG_LENGTH)
    return (*records[:index], record, *records[index + 1 :])


def _found(state: CardState, command: CommandApdu, records: tuple[bytes, ...]) -> int:
    """The index of a record by tag, or the one behind the last; the pointer moves there."""
    found = search(state, records, command.p1, command.p2 & 0b111)
    state.record = found[0] if found else len(records)
    return state.record


def _numbered(state: CardState, number: int, records: tuple[bytes, ...]) -> int:
    """The index of a record by number, 00 the current one, or the one behind the last."""
    index = number - 1 if number else state.record
    if index is None:
        raise Refused(status.SW_RECORD_NOT_FOUND)
    return min(index, len(records))
