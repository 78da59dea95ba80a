"""RECORD: every file as the table of its version has it, and every way to address a record (ssc-card.md 3, 4.2)."""

from collections.abc import Iterator
from functools import partial

from host_bridge.conformance.card import OK, Card
from host_bridge.conformance.case import Case, Unable, Unexpected, step_name
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.iso7816.tlv import parse_tlvs
from protocols.sscard import commands
from protocols.sscard.content import FileDecoder
from protocols.sscard.files import CardFiles, Directory, File
from protocols.sscard.items import Item

ISSUER = ("SSSE", "EF05")
"""Free to read in every version, one record an item."""
UNKNOWN_TAG = 0xC7
"""No item of the SSSE (ssc-card.md 3.3)."""
DIR_FILE, DIR_TAG, MAX_ENTRY = ("SSSE", "EF1E"), 0x61, 0x26
WRONG_LE = status.SW1_WRONG_LE << 8


def content(directory: str, ef: str, card: Card) -> None:
    """Every record of a file, or the size of a transparent one."""
    file = card.tables.directory(directory).file(ef)
    card.acquire(file.read, directory)
    card.select(directory, ef)
    if card.send(read_first(file)).sw == status.SW_SECURITY_STATUS:
        raise Unable(f"有 {file.read} 仍不可读", f"not readable with {file.read}")  # SAFETY checks that
    if file.structure == "transparent":
        _transparent(card, file)
    elif file.structure == "cyclic":
        _cyclic(card, file)
    else:
        _linear(card, card.tables.directory(directory), file)


def _linear(card: Card, directory: Directory, file: File) -> None:
    records: list[bytes] = []
    for number, item in enumerate(file.records, 1):
        command = commands.read_record(number, item.record_length)
        allowed = (OK, status.SW_RECORD_NOT_FOUND) if item.variable and number > 1 else (OK,)
        answer = card.expect(command, *allowed)
        if answer.sw != OK:  # fewer entries than the table has room for
            break
        _tagged(command, item, answer.data)
        records.append(answer.data)
    for content in FileDecoder(card.tables, directory, file).records(tuple(records)):
        if not content.known:
            item = file.item(int(content.tag, 16))
            raise Unexpected(f"{directory.name} {file.ef} tag {content.tag}", f"coding {item.type}", "another coding")


def read_first(file: File) -> CommandApdu:
    """The first record, or the first byte of a transparent file."""
    if file.structure == "transparent":
        return commands.read_binary(0, 1)
    length = file.record_length if file.structure == "cyclic" else file.records[0].record_length
    return commands.read_record(1, length)


def as_table(file: File, number: int, record: bytes) -> bool:
    """Whether a record has the tag and the length that the table says."""
    if file.structure == "cyclic":
        return len(record) in (file.record_length, file.short)
    item = file.records[number - 1]
    if len(record) < 2:
        return False
    return record[:2] == bytes((item.tag, len(record) - 2)) and (item.variable or len(record) == item.record_length)


def _tagged(command: CommandApdu, item: Item, record: bytes) -> None:
    """One record: tag, length, padding with 00 behind text (ssc-card.md 3.2)."""
    step, tag = step_name(command), f"tag {item.tag:02X}"
    try:
        (found,) = parse_tlvs(record)
    except ValueError:
        raise Unexpected(step, f"{tag}, length {item.length:02X}", f"no TLV, {len(record)} bytes") from None
    if found.tag != item.tag:
        raise Unexpected(step, tag, f"tag {found.tag:02X}")
    if len(found.value) > item.length or (len(found.value) != item.length and not item.variable):
        raise Unexpected(step, f"{tag}, length {item.length:02X}", f"length {len(found.value):02X}")
    text = found.value.rstrip(b"\0")
    if item.type == "an" and text.strip() and text.endswith(b" "):
        raise Unexpected(step, f"{tag}, padding 00", "padding 20")


def _cyclic(card: Card, file: File) -> None:
    lengths = {file.record_length, file.short or file.record_length}
    for number in range(1, file.capacity + 1):
        command = commands.read_record(number, file.record_length)
        answer = card.expect(command, OK, status.SW_RECORD_NOT_FOUND)
        if answer.sw != OK:
            return
        if len(answer.data) not in lengths:
            raise Unexpected(step_name(command), f"{file.record_length} bytes", f"{len(answer.data)} bytes")


def _transparent(card: Card, file: File) -> None:
    card.expect(commands.read_binary(file.size - 1, 1), OK)
    card.expect(commands.read_binary(file.size, 1), status.SW_OFFSET_OUTSIDE)


def _issuer_records(card: Card) -> list[bytes]:
    """The issuer's records by number, the current file."""
    card.enter(ISSUER[0])
    file = card.select(*ISSUER)
    records = [
        card.require(commands.read_record(number, item.record_length)).data
        for number, item in enumerate(file.records, 1)
    ]
    if not all(as_table(file, number, record) for number, record in enumerate(records, 1)):
        raise Unable("发卡机构数据与规范不符", "the issuer's file is not as it should be")
    return records


def _same(command: CommandApdu, expected: bytes, found: bytes) -> None:
    if expected != found:
        raise Unexpected(step_name(command), "the records by number", f"{len(found)} other bytes")


def by_tag(card: Card) -> None:
    for record in _issuer_records(card):
        command = commands.read_tag(record[0], len(record))
        _same(command, record, card.expect(command, OK).data)


def by_sfi(card: Card) -> None:
    records = _issuer_records(card)
    sfi = card.tables.directory(ISSUER[0]).file(ISSUER[1]).sfi
    card.enter(ISSUER[0])
    for number, record in enumerate(records, 1):
        command = commands.read_record(number, len(record), sfi=sfi)
        _same(command, record, card.expect(command, OK).data)


def to_last(card: Card) -> None:
    records = _issuer_records(card)
    whole = b"".join(records[1:])
    command = commands.read_record(2, len(whole), mode=commands.TO_LAST)
    _same(command, whole, card.expect(command, OK).data)


def from_last(card: Card) -> None:
    records = _issuer_records(card)
    whole = b"".join(records[:0:-1])
    command = commands.read_record(2, len(whole), mode=commands.FROM_LAST)
    _same(command, whole, card.expect(command, OK).data)


def behind_the_end(card: Card) -> None:
    after = len(_issuer_records(card)) + 1
    card.expect(commands.read_record(after, 1), status.SW_RECORD_NOT_FOUND)


def unknown_tag(card: Card) -> None:
    _issuer_records(card)
    card.expect(commands.read_tag(UNKNOWN_TAG, 1), status.SW_RECORD_NOT_FOUND)


def true_length(card: Card) -> None:
    """Le 00 and one byte too many end in 6Cxx at T=0."""
    card.select_alone()
    length = len(_issuer_records(card)[0])
    for le in (256, length + 1):
        command = commands.read_record(1, le)
        card.check(command, card.send_once(command), WRONG_LE | length)


def pointer(card: Card) -> None:
    """First, next, last and previous of records with one tag; a number in between moves nothing."""
    card.enter(DIR_FILE[0])
    file = card.select(*DIR_FILE)
    entries = list(_entries(card))
    if len(entries) < 3 or not all(as_table(file, 1, entry) for entry in entries):
        raise Unable("目录文件没有三条规范的记录", "the directory file has not three records as they should be")
    for mode, entry in (
        (commands.FIRST_TAG, 0),
        (commands.NEXT_TAG, 1),
        (commands.LAST_TAG, -1),
        (commands.PREVIOUS_TAG, -2),
    ):
        command = CommandApdu(commands.PLAIN, commands.READ_RECORD, DIR_TAG, mode, le=len(entries[entry]))
        _same(command, entries[entry], card.expect(command, OK).data)
        card.require(commands.read_record(2, len(entries[1])))


def _entries(card: Card) -> Iterator[bytes]:
    number = 1
    while True:
        answer = card.require(commands.read_record(number, MAX_ENTRY), OK, status.SW_RECORD_NOT_FOUND)
        if answer.sw != OK:
            return
        yield answer.data
        number += 1


def cases(tables: CardFiles) -> tuple[Case, ...]:
    """One case a file, then the ways to address."""
    files = (
        Case(
            f"RECORD.{directory.name}_{file.ef}",
            f"{directory.name} {file.ef} {file.zh}：标签、长度、次序、填充",
            f"{directory.name} {file.ef} {file.en}: tags, lengths, order, padding",
            file.source.removeprefix("ssc-card.md "),
            partial(content, directory.name, file.ef),
            (file.read,),
        )
        for directory, file in tables.all_files()
        if not file.absent
    )
    return (*files, *_ADDRESSING)


_ADDRESSING = (
    Case("RECORD.by_tag", "按标签读与按号读一致", "By tag the same as by number", "4.2", by_tag),
    Case("RECORD.by_sfi", "按短文件标识读，不先选文件", "By SFI without SELECT", "4.2, 9.1", by_sfi),
    Case("RECORD.to_last", "从某条读到最后（101）", "From a record to the last (101)", "4.2", to_last),
    Case("RECORD.from_last", "从最后读到某条（110）", "From the last to a record (110)", "4.2", from_last),
    Case("RECORD.behind_the_end", "最后一条之后为 6A83", "6A83 behind the last record", "4.4, 8", behind_the_end),
    Case("RECORD.unknown_tag", "没有的标签为 6A83", "6A83 for a tag that is not there", "4.4", unknown_tag),
    Case("RECORD.true_length", "Le 不符为 6Cxx", "6Cxx with the true length", "2, 4.1", true_length),
    Case("RECORD.pointer", "同标签的首、次、末、前", "First, next, last, previous of one tag", "4.1, 4.2", pointer),
)
