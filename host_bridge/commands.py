"""Commands that the counter adds to `ssc`: split, card, reader, terminal."""

import json
import logging

import typer

from host_bridge.agency_commands import reset_pin, unblock_pin
from host_bridge.card.commands import app as card
from host_bridge.config import load_config
from host_bridge.conformance.commands import conformance
from host_bridge.conformance.reader.commands import conformance as reader_conformance
from host_bridge.readers.commands import app as reader
from host_bridge.split_command import split
from host_bridge.terminal_commands import ConfigOption, reported
from host_bridge.terminal_commands import app as terminal

__all__ = ["card", "reader", "split", "terminal"]

card.info.help = "读卡 · Read a card, verify its PIN, send APDUs"
reader.info.help = "读卡器 · Readers on this machine"
terminal.info.help = "终端 · Enrol and run this counter"


card.command("conformance")(conformance)
reader.command("conformance")(reader_conformance)
terminal.command("unblock-pin")(unblock_pin)
terminal.command("reset-pin")(reset_pin)


@terminal.command("run")
def run(config: ConfigOption) -> None:
    """运行本终端，直到被终止 · Run this counter; prints one JSON line with the clerk page's address when ready."""
    from host_bridge.daemon import run_terminal  # noqa: PLC0415 - half of all import time, and only needed here

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with reported(as_json=False):
        run_terminal(load_config(config), lambda web: typer.echo(json.dumps({"ready": True, "web": web})))
