"""The faults that a simulated card may have, by group of the conformance suite. Each breaks one rule and no other.

A card file named `employee+missing_record.card` has that fault wherever it is used.
"""

from collections.abc import Callable
from pathlib import Path

from hardware.virtual.card import VirtualCard
from hardware.virtual.card_file import CardFileError
from hardware.virtual.card_side import Chip
from hardware.virtual.fault_behaviours import (
    OK,
    TRIES,
    after,
    after_status,
    after_two_challenges,
    asking_version,
    changed_back,
    edited,
    ef_with_data,
    far_from_pin,
    fewest_tries,
    first_by_number,
    first_tries,
    in_directory,
    inverted,
    key_of_another,
    key_without_pin,
    local,
    missing_record,
    odd_record,
    other_tag,
    outlasting,
    presenting,
    replaced,
    replayed,
    same_challenge,
    short_file,
    shorter,
    spaces,
    status_costs,
    turned,
    verified_before,
    with_mode,
    without_challenge,
    without_version,
)
from hardware.virtual.faulty_card import Behaviour, Fault, FaultyCard
from protocols.iso7816 import status
from protocols.sscard import commands
from protocols.sscard.files import CardFiles

MARK = "+"
"""Between a card file's name and its fault."""
TARGET = "@"
"""Between a fault and the file that it is about: `missing_record@DF04_EF05`."""
READS = (commands.READ_RECORD, commands.READ_BINARY)
UPDATES = (commands.UPDATE_RECORD, commands.UPDATE_BINARY)
FREE = (OK, status.SW_RECORD_NOT_FOUND)
"""A file that is open, whether or not it has the record."""
ANY_INSTRUCTION = range(0x100)
WRONG_LENGTHS = range(0x6C00, 0x6D00)
ISSUER = "SSSE EF05"
PIN_FILE, INSURANCE = "DF01 EF05", "DF04 EF05"

_IN_FILE: tuple[tuple[str, str, str, str, Callable[[str], Behaviour]], ...] = (
    ("missing_record", "DF03 EF06", "缺少第一条记录", "the first record is missing", missing_record),
    (
        "wrong_tag",
        "DF02 EF05",
        "第一条记录标签错误",
        "the first record has another tag",
        lambda file: edited(commands.READ_RECORD, other_tag, file=file, when=first_by_number),
    ),
    (
        "short_record",
        "DF04 EF05",
        "第一条记录未填充到全长",
        "the first record is not padded to its length",
        lambda file: edited(commands.READ_RECORD, shorter, file=file, when=first_by_number),
    ),
    ("odd_record", "DF02 EF07", "循环记录长度错误", "a cyclic record has another length", odd_record),
    ("short_file", "SSSE EF07", "透明文件过短", "a transparent file is too short", short_file),
    (
        "free_read",
        "DF01 EF06",
        "无权可读",
        "read without any right",
        lambda file: turned(READS, status.SW_SECURITY_STATUS, OK, file=file, when=presenting(pin=False, key=False)),
    ),
    (
        "pin_does_not_open",
        "DF01 EF06",
        "凭密码不可读",
        "the PIN does not open it",
        lambda file: turned(READS, FREE, status.SW_SECURITY_STATUS, file=file, when=presenting(pin=True, key=False)),
    ),
    (
        "key_does_not_open",
        "DF02 EF06",
        "凭密钥不可读",
        "the key does not open it",
        lambda file: turned(READS, FREE, status.SW_SECURITY_STATUS, file=file, when=presenting(pin=False, key=True)),
    ),
    (
        "key_is_enough",
        "DF04 EF06",
        "只凭密钥可读",
        "the key alone opens what needs the PIN too",
        lambda file: turned(READS, status.SW_SECURITY_STATUS, OK, file=file, when=key_without_pin),
    ),
    (
        "free_update",
        "DF04 EF08",
        "无权可写",
        "written without the right",
        lambda file: turned(UPDATES, status.SW_SECURITY_STATUS, OK, file=file),
    ),
    (
        "closed_update",
        "DF02 EF05",
        "有权不可写",
        "not written with the right",
        lambda file: turned(UPDATES, OK, status.SW_SECURITY_STATUS, file=file),
    ),
)
"""Name, usual file, Chinese, English, behaviour in a file."""

FAULTS: tuple[Fault, ...] = (
    Fault(
        "atr_tb1", "复位应答 TB1 不是 00", "ATR with TB1 that is not 00", atr=lambda raw: raw[:2] + b"\x25" + raw[3:]
    ),
    Fault(
        "atr_short",
        "复位应答只有 12 个历史字节",
        "ATR with 12 historical bytes",
        atr=lambda raw: raw[:1] + bytes((raw[1] - 1,)) + raw[2:-1],
    ),
    Fault(
        "atr_region",
        "复位应答是另一地区",
        "ATR of another region",
        atr=lambda raw: raw[:-6] + bytes((raw[-6] ^ 0x01,)) + raw[-5:],
    ),
    *(Fault(name, zh, en, behaviour(file), file=file) for name, file, zh, en, behaviour in _IN_FILE),
    Fault(
        "space_padding",
        "姓名以空格填充",
        "the name is padded with spaces",
        edited(commands.READ_RECORD, spaces, file="SSSE EF06", when=lambda _, command: command.p1 == 2),
    ),
    Fault(
        "tag_not_found",
        "按标签找不到卡号",
        "the card number is not found by its tag",
        turned(commands.READ_RECORD, OK, status.SW_RECORD_NOT_FOUND, p1=0x07, p2=commands.FIRST_TAG, file=ISSUER),
    ),
    Fault(
        "no_sfi",
        "不支持短文件标识",
        "no short file identifiers",
        turned(
            commands.READ_RECORD,
            OK,
            status.SW_FILE_NOT_FOUND,
            file=ISSUER,
            when=lambda _, command: command.p2 >> 3 != 0,
        ),
    ),
    Fault(
        "no_range",
        "不支持范围读",
        "no reading of ranges",
        turned(
            commands.READ_RECORD,
            OK,
            status.SW_FUNCTION_NOT_SUPPORTED,
            when=lambda _, command: command.p2 & 0b111 == commands.TO_LAST,
        ),
    ),
    Fault(
        "range_forwards",
        "倒序范围按正序",
        "a range from the last runs forwards",
        replaced(commands.READ_RECORD, with_mode(commands.FROM_LAST, commands.TO_LAST)),
    ),
    Fault(
        "end_is_file",
        "记录之后答 6A82",
        "6A82 behind the last record",
        turned(
            commands.READ_RECORD,
            status.SW_RECORD_NOT_FOUND,
            status.SW_FILE_NOT_FOUND,
            file=ISSUER,
            when=lambda _, command: command.p2 & 0b111 == commands.NUMBER,
        ),
    ),
    Fault(
        "tag_is_key",
        "未知标签答 6A88",
        "6A88 for an unknown tag",
        turned(commands.READ_RECORD, status.SW_RECORD_NOT_FOUND, status.SW_KEY_NOT_FOUND, p2=commands.FIRST_TAG),
    ),
    Fault(
        "no_true_length",
        "Le 不符答 6700",
        "6700 in place of 6Cxx",
        turned(commands.READ_RECORD, WRONG_LENGTHS, status.SW_WRONG_LENGTH, file=ISSUER),
    ),
    Fault(
        "next_is_first",
        "下一条总是第一条",
        "the next record is the first",
        replaced(commands.READ_RECORD, with_mode(commands.NEXT_TAG, commands.FIRST_TAG)),
    ),
    Fault(
        "pin_outlasts_reset",
        "复位后密码状态仍在",
        "what the PIN gave outlasts a reset",
        turned(commands.READ_RECORD, status.SW_SECURITY_STATUS, OK, file=PIN_FILE, when=outlasting(commands.VERIFY)),
    ),
    Fault(
        "key_outlasts_reset",
        "复位后密钥状态仍在",
        "what a key gave outlasts a reset",
        turned(
            commands.READ_RECORD,
            status.SW_SECURITY_STATUS,
            OK,
            file=INSURANCE,
            when=outlasting(commands.EXTERNAL_AUTHENTICATION),
        ),
    ),
    Fault("status_uses_try", "空 VERIFY 用掉次数", "an empty VERIFY uses a try", status_costs),
    Fault(
        "right_pin_refused",
        "拒绝正确密码",
        "the right PIN is refused",
        turned(commands.VERIFY, OK, status.SW_CONDITIONS_OF_USE, when=after_status),
    ),
    Fault("counter_stays", "错误密码不减次数", "a wrong PIN costs no try", first_tries),
    Fault("counter_not_restored", "正确密码不恢复次数", "the right PIN does not restore the tries", fewest_tries),
    Fault(
        "long_pin_compared",
        "超长密码不报 6700",
        "a PIN of nine bytes is compared",
        turned(commands.VERIFY, status.SW_WRONG_LENGTH, TRIES[2], length=9),
    ),
    Fault("change_ignored", "修改密码不生效", "a change of the PIN changes nothing", changed_back),
    Fault(
        "change_with_any",
        "旧密码错误也答成功",
        "a change with a wrong PIN succeeds",
        turned(commands.CHANGE_PIN, TRIES, OK),
    ),
    Fault(
        "change_to_short",
        "接受过短的新密码",
        "a short new PIN is taken",
        turned(commands.CHANGE_PIN, status.SW_WRONG_DATA, OK),
    ),
    Fault(
        "change_length",
        "修改密码 Lc 错误答 6A80",
        "6A80 for a wrong Lc of CHANGE PIN",
        turned(commands.CHANGE_PIN, status.SW_WRONG_LENGTH, status.SW_WRONG_DATA),
    ),
    Fault(
        "puk_not_counted",
        "PUK 错误答 6A80",
        "6A80 for a wrong PUK",
        turned(commands.EXTERNAL_AUTHENTICATION, TRIES, status.SW_WRONG_DATA, p2=0x06),
    ),
    Fault(
        "unblock_without_right",
        "未认证可解锁",
        "unblocked without right",
        turned(commands.PIN_UNBLOCK, status.SW_SECURITY_STATUS, OK),
    ),
    Fault(
        "unblock_with_any_mac",
        "任何 MAC 都可解锁",
        "unblocked with any MAC",
        turned(commands.PIN_UNBLOCK, status.SW_MAC_WRONG, OK),
    ),
    Fault(
        "locked_pin_verifies",
        "锁定后仍可验证",
        "a locked PIN still verifies",
        turned(commands.VERIFY, status.SW_AUTHENTICATION_BLOCKED, OK, when=verified_before),
    ),
    Fault(
        "unblock_ignored",
        "解锁不恢复次数",
        "unblocking restores nothing",
        turned(
            commands.VERIFY,
            TRIES,
            status.SW_AUTHENTICATION_BLOCKED,
            data=b"",
            when=after(commands.PIN_UNBLOCK, commands.UNBLOCK),
        ),
    ),
    Fault(
        "reset_ignored",
        "重置的新密码无效",
        "the PIN of a reset does not count",
        turned(commands.VERIFY, OK, TRIES[2], when=after(commands.PIN_UNBLOCK, commands.RESET)),
    ),
    Fault(
        "no_long_challenge",
        "没有 16 字节随机数",
        "no challenge of 16 bytes",
        turned(commands.GET_CHALLENGE, OK, status.SW_WRONG_LENGTH, le=16),
    ),
    Fault(
        "any_challenge",
        "任意长度随机数",
        "challenges of any length",
        turned(commands.GET_CHALLENGE, status.SW_WRONG_LENGTH, OK),
    ),
    Fault("same_challenge", "随机数重复", "the same challenge again", same_challenge),
    Fault(
        "wrong_proof",
        "内部认证数据错误",
        "INTERNAL AUTHENTICATION answers other data",
        edited(commands.GET_RESPONSE, inverted, when=after(commands.INTERNAL_AUTHENTICATION)),
    ),
    Fault(
        "no_challenge_needed",
        "没有随机数也可认证",
        "authenticated without a challenge",
        turned(commands.EXTERNAL_AUTHENTICATION, status.SW_REFERENCED_DATA_INVALID, OK, when=without_challenge),
    ),
    Fault(
        "challenge_twice",
        "随机数可用两次",
        "a challenge counts twice",
        replayed(commands.EXTERNAL_AUTHENTICATION, status.SW_REFERENCED_DATA_INVALID),
    ),
    Fault(
        "old_challenge",
        "旧随机数仍有效",
        "an older challenge counts",
        turned(commands.EXTERNAL_AUTHENTICATION, TRIES, OK, when=after_two_challenges),
    ),
    Fault(
        "key_refused",
        "DF02 的 UK2 不可用",
        "UK2 of DF02 is refused",
        turned(commands.EXTERNAL_AUTHENTICATION, OK, TRIES[2], p2=0x84, when=in_directory("DF02")),
    ),
    *(
        Fault(
            f"version_{version}_missing",
            f"没有密钥版本 {version}",
            f"no key version {version}",
            turned(commands.EXTERNAL_AUTHENTICATION, OK, status.SW_KEY_NOT_FOUND, when=asking_version(version)),
        )
        for version in (1, 2, 3)
    ),
    Fault(
        "any_version",
        "外部认证接受任何版本",
        "EXTERNAL AUTHENTICATION takes any key version",
        replaced(commands.EXTERNAL_AUTHENTICATION, without_version),
    ),
    Fault(
        "any_version_internal",
        "内部认证接受任何版本",
        "INTERNAL AUTHENTICATION takes any key version",
        replaced(commands.INTERNAL_AUTHENTICATION, without_version),
    ),
    Fault(
        "unknown_key_counted",
        "没有的密钥答 63C2",
        "63C2 for a key that is not there",
        turned(commands.EXTERNAL_AUTHENTICATION, status.SW_KEY_NOT_FOUND, TRIES[2], length=16),
    ),
    Fault(
        "class_as_instruction",
        "CLA 未知答 6D00",
        "6D00 for an unknown CLA",
        turned(ANY_INSTRUCTION, status.SW_CLA_UNKNOWN, status.SW_INS_UNKNOWN),
    ),
    Fault(
        "instruction_as_class",
        "INS 未知答 6E00",
        "6E00 for an unknown INS",
        turned(ANY_INSTRUCTION, status.SW_INS_UNKNOWN, status.SW_CLA_UNKNOWN),
    ),
    Fault(
        "p1_p2_not_supported",
        "P1 P2 错误答 6A81",
        "6A81 for a wrong P2 of READ RECORD",
        turned(commands.READ_RECORD, status.SW_WRONG_P1P2, status.SW_FUNCTION_NOT_SUPPORTED),
    ),
    Fault(
        "lc_as_data",
        "Lc 错误答 6A80",
        "6A80 for a wrong Lc of INTERNAL AUTHENTICATION",
        turned(commands.INTERNAL_AUTHENTICATION, status.SW_WRONG_LENGTH, status.SW_WRONG_DATA),
    ),
    Fault(
        "sfi_as_current",
        "短标识没有文件答 6986",
        "6986 for an SFI of no file",
        turned(commands.READ_RECORD, status.SW_FILE_NOT_FOUND, status.SW_NO_CURRENT_EF),
    ),
    Fault(
        "file_as_record",
        "没有的文件答 6A83",
        "6A83 for a file that is not there",
        turned(commands.SELECT, status.SW_FILE_NOT_FOUND, status.SW_RECORD_NOT_FOUND, p1=commands.EF_BELOW_DF),
    ),
    Fault(
        "any_application",
        "没有的应用也可选",
        "an application that is not there is selected",
        turned(
            commands.SELECT,
            status.SW_FILE_NOT_FOUND,
            OK,
            p1=commands.BY_NAME,
            when=lambda _, command: command.data.startswith(b"\xd1\x56"),
        ),
    ),
    Fault(
        "no_file_as_missing",
        "没有当前文件答 6A82",
        "6A82 without a current file",
        turned(commands.READ_RECORD, status.SW_NO_CURRENT_EF, status.SW_FILE_NOT_FOUND),
    ),
    Fault(
        "structure_as_right",
        "与结构不符答 6982",
        "6982 for another file structure",
        turned(commands.READ_BINARY, status.SW_FILE_STRUCTURE, status.SW_SECURITY_STATUS),
    ),
    Fault(
        "offset_as_length",
        "偏移超出答 6700",
        "6700 for an offset outside the file",
        turned(commands.READ_BINARY, status.SW_OFFSET_OUTSIDE, status.SW_WRONG_LENGTH, p1=0x7F),
    ),
    Fault(
        "other_name",
        "FCI 中的应用名不同",
        "the FCI of DF03 has another name",
        edited(
            commands.GET_RESPONSE,
            inverted,
            when=lambda card, command: after(commands.SELECT)(card, command) and card.directory.name == "DF03",
        ),
    ),
    Fault("file_with_data", "选择文件时回数据", "a selected file has answer data", ef_with_data),
    Fault(
        "response_as_length",
        "没有待取数据答 6700",
        "6700 when no data wait",
        turned(commands.GET_RESPONSE, status.SW_INVALID_DATA, status.SW_WRONG_LENGTH),
    ),
    Fault(
        "key_of_another",
        "其他应用的密钥也有效",
        "a key of another application counts",
        turned(commands.READ_RECORD, status.SW_SECURITY_STATUS, OK, file=INSURANCE, when=key_of_another),
    ),
    Fault(
        "state_kept",
        "离开应用后密钥状态仍在",
        "what a key gave outlasts the application",
        replayed(commands.READ_RECORD, status.SW_SECURITY_STATUS),
    ),
    Fault(
        "pin_lost",
        "换应用后密码状态消失",
        "what the PIN gave ends with the application",
        turned(commands.READ_RECORD, OK, status.SW_SECURITY_STATUS, file=INSURANCE, when=far_from_pin),
    ),
    Fault(
        "challenge_of_another",
        "其他应用的随机数也有效",
        "a challenge of another application counts",
        turned(commands.EXTERNAL_AUTHENTICATION, status.SW_REFERENCED_DATA_INVALID, OK, when=local),
    ),
    Fault(
        "block_without_right",
        "未认证可锁定应用",
        "an application is blocked without right",
        turned(commands.APPLICATION_BLOCK, status.SW_SECURITY_STATUS, OK),
    ),
    Fault(
        "block_with_any_mac",
        "任何 MAC 都可锁定应用",
        "an application is blocked with any MAC",
        turned(commands.APPLICATION_BLOCK, status.SW_MAC_WRONG, OK),
    ),
    Fault(
        "card_block_without_right",
        "未认证可锁定卡",
        "the card is blocked without right",
        turned(commands.CARD_BLOCK, status.SW_SECURITY_STATUS, OK),
    ),
    Fault(
        "block_ignored",
        "应用锁定不生效",
        "an application that was blocked is selected",
        turned(commands.SELECT, status.SW_APPLICATION_BLOCKED, OK),
    ),
    Fault(
        "block_ends_at_reset",
        "复位后应用锁定消失",
        "the block of an application ends at a reset",
        turned(commands.SELECT, status.SW_APPLICATION_BLOCKED, OK, when=outlasting(commands.APPLICATION_BLOCK)),
    ),
    Fault(
        "card_block_ignored",
        "卡锁定不生效",
        "a card that was blocked is selected",
        turned(commands.SELECT, status.SW_FUNCTION_NOT_SUPPORTED, OK),
    ),
)


def fault_named(name: str, tables: CardFiles) -> Fault:
    """A fault by its name, in another file by `name@DF04_EF05`; `KeyError` where there is none."""
    plain, target, file = name.partition(TARGET)
    fault = {fault.name: fault for fault in FAULTS}[plain]
    if not target:
        return fault
    behaviour = {row[0]: row[4] for row in _IN_FILE}[plain]
    directory, _, ef = file.partition("_")
    tables.directory(directory).file(ef)
    return fault._replace(behaviour=behaviour(f"{directory} {ef}"), file=f"{directory} {ef}")


def open_chip(path: Path) -> Chip:
    """The card of a file, with the fault that its name tells; `CardFileError` where there is no such fault."""
    return chip_of(VirtualCard.open(path))


def chip_of(card: VirtualCard) -> Chip:
    """A card with the fault that its file's name tells; `CardFileError`."""
    _, mark, name = card.path.stem.partition(MARK)
    if not mark:
        return card
    try:
        return with_fault(card, name)
    except KeyError:
        raise CardFileError(card.path, f"has no fault {name}") from None


def with_fault(card: VirtualCard, name: str) -> Chip:
    """A card with a fault of the table; `KeyError` where it is not there or not about such a file."""
    return FaultyCard(card, card.tables, fault_named(name, card.tables))
