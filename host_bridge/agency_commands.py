"""`ssc terminal unblock-pin` and `reset-pin`: what an agency's terminal does for a holder."""

import hmac
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import SystemRandom
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import typer

from host_bridge.card.commands import fail, typed
from host_bridge.card.errors import CardError, PinMismatch, PinNotTyped
from host_bridge.card.security_module import CENTRE_S, SecurityModuleSilent
from host_bridge.card.session import CardSession
from host_bridge.clock import SystemClock
from host_bridge.config import Config, ConfigError, load_config
from host_bridge.enrol import open_journal
from host_bridge.readers.addresses import AddressError, open_reader
from host_bridge.readers.reader import ReaderError
from host_bridge.security import open_security_module
from host_bridge.terminal_commands import ConfigOption, JsonOption, reported
from protocols.events.keys import KeyAnswer, KeyStep
from protocols.sscard.pin import wipe

if TYPE_CHECKING:
    from host_bridge.link.link import Link


def unblock_pin(config: ConfigOption, as_json: JsonOption = False) -> None:
    """解锁密码（经办机构）· Restore the tries of the PIN: for an agency, once the centre has approved it."""
    with _session(config, as_json) as session:
        session.unblock_pin()
        tries = session.pin_tries()
    words = f"密码已解锁，可试 {tries} 次 · The PIN is unblocked; {tries} tries"
    _done({"unblocked": True, "tries": tries}, words, as_json)


def reset_pin(config: ConfigOption, as_json: JsonOption = False) -> None:
    """重置密码（经办机构）· Set a new PIN without the old one: for an agency, once the centre has approved it."""
    new = repeat = bytearray()
    try:
        new = typed("新密码 · New PIN")
        repeat = typed("再次输入新密码 · New PIN again")
        with _session(config, as_json) as session:
            if not hmac.compare_digest(new, repeat):
                raise PinMismatch
            session.reset_pin(new)
            tries = session.pin_tries()
    except PinNotTyped as error:
        fail(error, as_json)
    finally:
        wipe(new)
        wipe(repeat)
    words = f"密码已重置，可试 {tries} 次 · The PIN is reset; {tries} tries"
    _done({"reset": True, "tries": tries}, words, as_json)


@contextmanager
def _session(path: Path, as_json: bool) -> Iterator[CardSession]:
    """The card in the configured reader, with the configured keys; errors in the catalogue's words."""
    with reported(as_json), ExitStack() as stack:
        settings = load_config(path)
        try:
            reader = stack.enter_context(closing(open_reader(settings.terminal.reader)))
            module = open_security_module(settings.terminal.security, _Centre(settings, stack).ask)
        except AddressError as error:
            raise ConfigError(str(error)) from error
        if module is not None:
            stack.callback(module.close)
        try:
            connection = reader.connect()
            stack.callback(connection.disconnect)
            yield CardSession(connection, module)
        except (CardError, ReaderError) as error:
            fail(error, as_json)


class _Centre:
    """The link to the centre, made when the first step goes there."""

    def __init__(self, settings: Config, stack: ExitStack) -> None:
        self._settings, self._stack = settings, stack
        self._link: Link | None = None

    def ask(self, step: KeyStep, timeout_s: float) -> KeyAnswer | None:
        if self._link is None:
            self._link = self._open()
        return self._link.ask_key(step, timeout_s)

    def _open(self) -> "Link":
        from host_bridge.link.link import Link  # noqa: PLC0415 - MQTT takes time to import, and only this needs it

        clock, changed = SystemClock(self._settings.clock.trusted), Event()
        journal = self._stack.enter_context(closing(open_journal(self._settings.terminal.state, clock)))
        link = Link(journal, journal.record, clock=clock, random=SystemRandom(), on_change=changed.set)
        link.start()
        self._stack.callback(link.stop)
        end = monotonic() + CENTRE_S
        while not link.centre.listening:
            if not changed.wait(max(0.0, end - monotonic())):
                raise SecurityModuleSilent
            changed.clear()
        return link


def _done(facts: dict[str, object], words: str, as_json: bool) -> None:
    typer.echo(json.dumps(facts) if as_json else words)
