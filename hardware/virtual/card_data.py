"""SELECT, READ RECORD, READ BINARY, GET RESPONSE, as a card does them (ssc-card.md 2, 3.1, 4.1, 4.2)."""

from hardware.virtual.card_state import SUCCESS, CardState, Refused, p3
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands
from protocols.sscard.files import Directory

DIR_FILE = "EF1E"
MAX_ANSWER = 256
SELECT_MODES = (commands.BY_FID, commands.EF_BELOW_DF, commands.BY_NAME)
FIRST, NEXT = 0x00, 0x02
NAME_BYTES = range(5, 17)
RECORD_SEARCHES = (commands.FIRST_TAG, commands.LAST_TAG, commands.NEXT_TAG, commands.PREVIOUS_TAG)
RECORD_MODES = (commands.NUMBER, commands.TO_LAST, commands.FROM_LAST, *RECORD_SEARCHES)


def select(state: CardState, command: CommandApdu) -> ResponseApdu:
    p1, data = command.p1, command.data
    if p1 not in SELECT_MODES or command.p2 not in (FIRST, NEXT):
        raise Refused(status.SW_WRONG_P1P2)
    if command.p2 == NEXT:  # going on by partial name is optional (ssc-card.md 3.1)
        raise Refused(status.SW_FUNCTION_NOT_SUPPORTED)
    if p1 == commands.BY_NAME:
        if len(data) not in NAME_BYTES:
            raise Refused(status.SW_WRONG_LENGTH)
        return _select_directory(state, _named(state, data))
    if len(data) != 2 and (data or p1 != commands.BY_FID):
        raise Refused(status.SW_WRONG_LENGTH)
    directory = _identified(state, data) if p1 == commands.BY_FID else None
    return _select_ef(state, data) if directory is None else _select_directory(state, directory)


def _named(state: CardState, name: bytes) -> Directory:
    for directory in state.tables.directories:
        if directory.df_name and bytes.fromhex(directory.df_name) == name:
            return directory
    raise Refused(status.SW_FILE_NOT_FOUND)


def _identified(state: CardState, fid: bytes) -> Directory | None:
    if not fid:
        return state.tables.directories[0]
    return next((each for each in state.tables.directories if bytes.fromhex(each.fid) == fid), None)


def _select_directory(state: CardState, directory: Directory) -> ResponseApdu:
    if state.blocked(directory):
        raise Refused(status.SW_APPLICATION_BLOCKED)
    state.enter(directory)
    return state.later(_fci(directory, state.tables.algorithm))


def _select_ef(state: CardState, fid: bytes) -> ResponseApdu:
    if state.blocked(state.directory):
        raise Refused(status.SW_APPLICATION_BLOCKED)
    for file in state.directory.files:
        if file.fid == fid:
            state.open(file)
            return SUCCESS
    raise Refused(status.SW_FILE_NOT_FOUND)


def _fci(directory: Directory, algorithm: int) -> bytes:
    """FCI of a DF; the SSSE's also names the DIR file and the algorithm (ssc-card.md 3.1)."""
    # DF05 and DF06 have a label and no name (ssc-card.md 3.1).
    content = _tlv(b"\x84", bytes.fromhex(directory.df_name) or directory.zh.encode("gbk"))
    if directory.name == "SSSE":
        issuer = _tlv(b"\x9f\x0c", _tlv(b"\x86", bytes((algorithm,))))
        listed = b"".join(_tlv(b"\x88", bytes((file.sfi,))) for file in directory.files if file.ef == DIR_FILE)
        content += _tlv(b"\xa5", listed + issuer)
    return _tlv(b"\x6f", content)


def _tlv(tag: bytes, value: bytes) -> bytes:
    return tag + bytes((len(value),)) + value


def get_response(state: CardState, command: CommandApdu) -> ResponseApdu:
    if command.p1 or command.p2:
        raise Refused(status.SW_WRONG_P1P2)
    waiting, length = state.waiting, p3(command)
    if not waiting:
        raise Refused(status.SW_INVALID_DATA)
    if length == 0 or length > len(waiting):
        raise Refused(status.SW1_WRONG_LE << 8 | len(waiting))
    state.waiting = waiting[length:]
    sw = status.SW1_MORE_DATA << 8 | len(state.waiting) if state.waiting else status.SW_SUCCESS
    return ResponseApdu(waiting[:length], sw)


# Records


def read_record(state: CardState, command: CommandApdu) -> ResponseApdu:
    sfi, mode = command.p2 >> 3, command.p2 & 0b111
    if mode not in RECORD_MODES:
        raise Refused(status.SW_WRONG_P1P2)
    file = state.addressed(sfi, transparent=False)
    state.require(file.read)
    records = state.records(state.directory, file)
    if mode in RECORD_SEARCHES:
        chosen = [] if file.structure == "cyclic" else search(state, records, command.p1, mode)
    else:
        chosen = _count(state, records, command.p1, mode)
    if not chosen:
        raise Refused(status.SW_RECORD_NOT_FOUND)
    data = b"".join(records[index] for index in chosen)
    if len(data) > MAX_ANSWER:
        raise Refused(status.SW_FUNCTION_NOT_SUPPORTED)
    if p3(command) != len(data) & 0xFF:
        raise Refused(status.SW1_WRONG_LE << 8 | len(data) & 0xFF)
    return ResponseApdu(data, status.SW_SUCCESS)


def _count(state: CardState, records: tuple[bytes, ...], p1: int, mode: int) -> list[int]:
    """Indexes by record number; 00 is the current record. The pointer stays (ssc-card.md 4.1)."""
    index = p1 - 1 if p1 else state.record
    if index is None or index >= len(records):
        return []
    if mode == commands.NUMBER:
        return [index]
    rest = list(range(index, len(records)))
    return rest if mode == commands.TO_LAST else rest[::-1]


def search(state: CardState, records: tuple[bytes, ...], tag: int, mode: int) -> list[int]:
    """The index of a record by tag; moves the pointer."""
    found = [index for index, record in enumerate(records) if record[0] == tag]
    if mode == commands.NEXT_TAG and state.record is not None:
        found = [index for index in found if index > (state.record or 0)]
    if mode == commands.PREVIOUS_TAG and state.record is not None:
        found = [index for index in found if index < (state.record or 0)]
    if not found:
        return []
    state.record = found[0 if mode in (commands.FIRST_TAG, commands.NEXT_TAG) else -1]
    return [state.record]


# Transparent files


def read_binary(state: CardState, command: CommandApdu) -> ResponseApdu:
    sfi, offset = place(command)
    file = state.addressed(sfi, transparent=True)
    state.require(file.read)
    rest = state.binary(state.directory, file)[offset:]
    if not rest:
        raise Refused(status.SW_OFFSET_OUTSIDE)
    length = p3(command) or min(MAX_ANSWER, len(rest))  # Le 00 asks for what there is (ssc-card.md 4.1)
    if length > len(rest):
        raise Refused(status.SW1_WRONG_LE << 8 | len(rest))
    return ResponseApdu(rest[:length], status.SW_SUCCESS)


def place(command: CommandApdu) -> tuple[int, int]:
    """SFI, 0 for the current file, and offset."""
    if not command.p1 & commands.SFI_IN_P1:
        return 0, command.p1 << 8 | command.p2
    sfi = command.p1 & 0x1F
    if command.p1 & 0x60 or not sfi:
        raise Refused(status.SW_WRONG_P1P2)
    return sfi, command.p2
