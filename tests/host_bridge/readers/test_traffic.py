"""The traffic log."""

import logging

import pytest

from host_bridge.readers.traffic import TRAFFIC, log_exchange
from protocols.iso7816.apdu import CommandApdu, ResponseApdu

LOGGER = "host_bridge.readers.traffic"


def lines(caplog: pytest.LogCaptureFixture, command: CommandApdu, response: ResponseApdu) -> list[str]:
    with caplog.at_level(TRAFFIC, LOGGER):
        log_exchange(command, response)
    return [record.getMessage() for record in caplog.records]


def test_a_pin_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    command = CommandApdu(0x00, 0x20, 0, 0, b"\x13\x57\x90")
    assert lines(caplog, command, ResponseApdu(b"", 0x63C2)) == ["SEND 00 20 00 00 03 **", "RECV 63C2"]


def test_what_a_card_says_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    response = ResponseApdu(b"\x08\x12" + b"990101198802290036", 0x9000)
    assert lines(caplog, CommandApdu(0x00, 0xB2, 0x08, 0, le=20), response) == [
        "SEND 00 B2 08 00 14",
        "RECV ** (20 bytes) 9000",
    ]


def test_names_of_files_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    assert lines(caplog, CommandApdu(0x00, 0xA4, 0x02, 0, b"\xef\x05"), ResponseApdu(b"", 0x9000))[0] == (
        "SEND 00 A4 02 00 02 EF05"
    )


def test_nothing_is_logged_above_its_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, LOGGER):
        log_exchange(CommandApdu(0x00, 0x20, 0, 0, b"\x13\x57\x90"), ResponseApdu(b"", 0x9000))
    assert caplog.records == []
