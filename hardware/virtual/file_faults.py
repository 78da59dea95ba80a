"""Faults of one file that may be in any other, with the file that each is usually in."""

from collections.abc import Callable

from hardware.virtual.fault_behaviours import (
    OK,
    edited,
    first_by_number,
    key_without_pin,
    missing_record,
    odd_record,
    other_tag,
    presenting,
    short_file,
    shorter,
    turned,
)
from hardware.virtual.faulty_card import Behaviour
from protocols.iso7816 import status
from protocols.sscard import commands

READS = (commands.READ_RECORD, commands.READ_BINARY)
UPDATES = (commands.UPDATE_RECORD, commands.UPDATE_BINARY)
FREE = (OK, status.SW_RECORD_NOT_FOUND)
"""A file that is open, whether or not it has the record."""

IN_FILE: tuple[tuple[str, str, str, str, Callable[[str], Behaviour]], ...] = (
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
