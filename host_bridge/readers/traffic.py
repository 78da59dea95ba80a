"""The only place where APDUs are logged: level `TRAFFIC`, below DEBUG, data masked.

Data of SELECT are names of files and are shown; all others may be a PIN, a key or a person.
"""

import logging

from protocols.iso7816.apdu import CommandApdu, ResponseApdu

TRAFFIC = 5
INS_SELECT = 0xA4

logging.addLevelName(TRAFFIC, "TRAFFIC")
logger = logging.getLogger(__name__)


def log_exchange(command: CommandApdu, response: ResponseApdu) -> None:
    """`SEND 00 20 00 00 03 **` and `RECV ** (32 bytes) 9000`."""
    if not logger.isEnabledFor(TRAFFIC):
        return
    header = command.to_tpdu()[:5].hex(" ").upper()
    shown = command.data.hex().upper() if command.ins == INS_SELECT else "**"
    logger.log(TRAFFIC, "SEND %s%s", header, f" {shown}" if command.data else "")
    masked = f"** ({len(response.data)} bytes) " if response.data else ""
    logger.log(TRAFFIC, "RECV %s%04X", masked, response.sw)
