"""PARAM: what a card answers to commands that are not as they should be (ssc-card.md 4.1, 4.4)."""

from host_bridge.conformance.card import OK, Card
from host_bridge.conformance.case import Case, Unable, Unexpected, step_name
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.iso7816.tlv import TlvError, parse_tlvs
from protocols.sscard import commands
from protocols.sscard.files import Directory

NO_CLASS, NO_INSTRUCTION = 0xF0, 0x0A
NO_MODE = 0b111
NO_SFI, NO_FILE, NO_NAME = 0x1D, bytes.fromhex("EF7E"), bytes.fromhex("D1560000059F")
SHORT_NAME = bytes.fromhex("D1560000")
SHORT_PARTS = bytes(15)
FAR_OFFSET = 0x7FFF
FCI, DF_NAME = 0x6F, 0x84


def class_unknown(card: Card) -> None:
    card.enter("SSSE")
    card.expect(CommandApdu(NO_CLASS, commands.GET_CHALLENGE, 0, 0, le=8), status.SW_CLA_UNKNOWN)


def instruction_unknown(card: Card) -> None:
    card.enter("SSSE")
    card.expect(CommandApdu(commands.PLAIN, NO_INSTRUCTION, 0, 0), status.SW_INS_UNKNOWN)


def p1_p2(card: Card) -> None:
    card.enter("SSSE")
    card.select("SSSE", "EF05")
    for command in (
        CommandApdu(commands.PLAIN, commands.SELECT, 0x07, 0x00, NO_FILE),
        CommandApdu(commands.PLAIN, commands.READ_RECORD, 0x01, NO_MODE, le=1),
        CommandApdu(commands.PLAIN, commands.VERIFY, 0x01, 0x00),
        CommandApdu(commands.PLAIN, commands.GET_CHALLENGE, 0x01, 0x00, le=8),
    ):
        card.expect(command, status.SW_WRONG_P1P2)


def lc(card: Card) -> None:
    card.enter("SSSE")
    card.expect(commands.select_name(SHORT_NAME), status.SW_WRONG_LENGTH)
    for ins in (commands.INTERNAL_AUTHENTICATION, commands.EXTERNAL_AUTHENTICATION):
        card.expect(CommandApdu(commands.PLAIN, ins, 0x00, 0x00, SHORT_PARTS), status.SW_WRONG_LENGTH)


def sfi_missing(card: Card) -> None:
    card.enter("SSSE")
    card.expect(commands.read_record(1, 1, sfi=NO_SFI), status.SW_FILE_NOT_FOUND)


def file_missing(card: Card) -> None:
    card.enter("SSSE")
    card.expect(commands.select_ef(NO_FILE), status.SW_FILE_NOT_FOUND)


def application_missing(card: Card) -> None:
    card.expect(commands.select_name(NO_NAME), status.SW_FILE_NOT_FOUND)


def no_current_file(card: Card) -> None:
    card.enter("SSSE")
    card.expect(commands.read_record(1, 1), status.SW_NO_CURRENT_EF)


def structure(card: Card) -> None:
    card.enter("SSSE")
    card.select("SSSE", "EF05")
    card.expect(commands.read_binary(0, 1), status.SW_FILE_STRUCTURE)


def offset(card: Card) -> None:
    for directory, file in card.tables.all_files():
        if file.structure == "transparent" and file.read == "free" and not file.absent:
            card.enter(directory.name)
            card.select(directory.name, file.ef)
            card.expect(commands.read_binary(FAR_OFFSET, 1), status.SW_OFFSET_OUTSIDE)
            return
    raise Unable("没有可自由读的透明文件", "no transparent file is free to read")


def fci(card: Card) -> None:
    """Every named directory that the card has tells its name when it is selected."""
    for directory in card.tables.directories:
        name = bytes.fromhex(directory.df_name)
        if name:
            _tells_its_name(card, directory, name)


def _tells_its_name(card: Card, directory: Directory, name: bytes) -> None:
    command = commands.select_name(name)
    answer = card.expect(command, OK, *() if directory.name == "SSSE" else (status.SW_FILE_NOT_FOUND,))
    if answer.sw == OK and _df_name(answer.data) != name:
        raise Unexpected(step_name(command), "FCI 6F 84 with the DF name", f"{len(answer.data)} other bytes")


def _df_name(answer: bytes) -> bytes | None:
    try:
        (outer,) = parse_tlvs(answer)
        inner = parse_tlvs(outer.value)
    except (TlvError, ValueError):
        return None
    return inner[0].value if outer.tag == FCI and inner and inner[0].tag == DF_NAME else None


def select_ef(card: Card) -> None:
    card.enter("SSSE")
    command = commands.select_ef(bytes.fromhex("EF05"))
    answer = card.expect(command, OK)
    if answer.data:
        raise Unexpected(step_name(command), "no data", f"{len(answer.data)} bytes")


def nothing_waiting(card: Card) -> None:
    card.require(commands.get_response(card.select_alone()))
    card.expect(commands.get_response(1), status.SW_INVALID_DATA)


CASES = (
    Case("PARAM.class_unknown", "CLA 未知为 6E00", "Unknown CLA: 6E00", "4.4", class_unknown),
    Case("PARAM.instruction_unknown", "INS 未知为 6D00", "Unknown INS: 6D00", "4.4", instruction_unknown),
    Case("PARAM.p1_p2", "P1 P2 错误为 6A86", "Wrong P1 P2: 6A86", "4.4", p1_p2),
    Case("PARAM.lc", "Lc 错误为 6700", "Wrong Lc: 6700", "4.1, 4.4", lc),
    Case("PARAM.sfi_missing", "短标识没有文件为 6A82", "SFI of no file: 6A82", "4.4", sfi_missing),
    Case("PARAM.file_missing", "没有的文件为 6A82", "Unknown file: 6A82", "4.4", file_missing),
    Case("PARAM.application_missing", "没有的应用为 6A82", "Unknown application: 6A82", "4.4", application_missing),
    Case("PARAM.no_current_file", "没有当前文件为 6986", "No current file: 6986", "4.4", no_current_file),
    Case("PARAM.structure", "与文件结构不符为 6981", "Another file structure: 6981", "4.4", structure),
    Case("PARAM.offset", "偏移超出文件为 6B00", "Offset outside the file: 6B00", "4.4", offset),
    Case("PARAM.fci", "选择目录时回答其名称", "A selected directory tells its name", "3.1", fci),
    Case("PARAM.select_ef", "选择文件时不回数据", "A selected file has no answer data", "3.1, 4.1", select_ef),
    Case("PARAM.nothing_waiting", "没有待取数据为 6F00", "GET RESPONSE for nothing: 6F00", "2, 4.4", nothing_waiting),
)
