"""`ssc terminal unblock-pin` and `reset-pin`: what an agency's terminal does for a holder."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host_bridge.card.commands import fail, typed
from host_bridge.card.errors import CardError
from host_bridge.config import load_config
from host_bridge.readers.reader import ReaderError
from host_bridge.terminal_commands import ConfigOption, JsonOption, reported
from protocols.sscard.pin import wipe

if TYPE_CHECKING:
    from host_bridge.agency import Agency


def unblock_pin(config: ConfigOption, as_json: JsonOption = False) -> None:
    """解锁密码（经办机构）· Restore the tries of the PIN: for an agency, once the centre has approved it."""
    with _agency(config, as_json) as agency:
        tries = agency.unblock()
    words = f"密码已解锁，可试 {tries} 次 · The PIN is unblocked; {tries} tries"
    _done({"unblocked": True, "tries": tries}, words, as_json)


def reset_pin(config: ConfigOption, as_json: JsonOption = False) -> None:
    """重置密码（经办机构）· Set a new PIN without the old one: for an agency, once the centre has approved it."""
    new = repeat = bytearray()
    try:
        with _agency(config, as_json) as agency:
            new = typed("新密码 · New PIN")
            repeat = typed("再次输入新密码 · New PIN again")
            tries = agency.reset(new, repeat)
    finally:
        wipe(new)
        wipe(repeat)
    words = f"密码已重置，可试 {tries} 次 · The PIN is reset; {tries} tries"
    _done({"reset": True, "tries": tries}, words, as_json)


@contextmanager
def _agency(path: Path, as_json: bool) -> Iterator["Agency"]:
    """This terminal as an agency's; errors in the catalogue's words."""
    from host_bridge.agency import Agency  # noqa: PLC0415 - MQTT takes time to import, and only this needs it

    with reported(as_json), ExitStack() as stack:
        agency = Agency(load_config(path), stack)
        try:
            yield agency
        except (CardError, ReaderError) as error:
            fail(error, as_json)


def _done(facts: dict[str, object], words: str, as_json: bool) -> None:
    typer.echo(json.dumps(facts) if as_json else words)
