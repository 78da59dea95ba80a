"""The status words that each command may answer with (ssc-card.md 4.4)."""

import tomllib
from pathlib import Path

ERRORS: dict[str, str] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "commands.toml").read_text("utf-8")
)["errors"]
COMMANDS = {
    0xA4: ("SELECT", 0x00),
    0xB2: ("READ_RECORD", 0x00),
    0xB0: ("READ_BINARY", 0x00),
    0xDC: ("UPDATE_RECORD", 0x04),
    0xD6: ("UPDATE_BINARY", 0x04),
    0x20: ("VERIFY", 0x00),
    0x5E: ("CHANGE_PIN", 0x80),
    0x24: ("PIN_UNBLOCK", 0x84),
    0x84: ("GET_CHALLENGE", 0x00),
    0xC0: ("GET_RESPONSE", 0x00),
    0x88: ("INTERNAL_AUTHENTICATION", 0x00),
    0x82: ("EXTERNAL_AUTHENTICATION", 0x00),
    0x1E: ("APPLICATION_BLOCK", 0x84),
    0x16: ("CARD_BLOCK", 0x84),
}
"""ssc-card.md 4.1."""


def allowed(ins: int, sw: int) -> bool:
    names = [COMMANDS[ins][0], "other"] if ins in COMMANDS else ["other"]
    return any(f"{sw:04X}".startswith(each) for name in names for each in ERRORS[name].split())
