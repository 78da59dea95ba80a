"""The power goes at any byte of what a command writes: what the card is afterwards, and what was given away."""

import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from hardware.virtual.card import CardImage, Pin, Torn, VirtualCard
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands, security
from tests.hardware.virtual.key_terminal import PIN, SOURCE, KeyTerminal, image_of

FILES = ("SSSE EF05", "SSSE EF06", "SSSE EF07", "DF02 EF07", "DF04 EF05")
KEYS = ("STK", "UKSSSE", "BK", "PUK", "UK3DF02")
WRONG = "0020000003998877"
MUTE = ("0084000008", PIN, "00A40000023F00")

Prepare = Callable[[KeyTerminal], CommandApdu]


class Written(NamedTuple):
    """A command that writes: `prepare` does what comes before and returns it; `counter` is the PIN's or a key's."""

    prepare: Prepare
    answer: str
    counter: str = ""
    tries: int = 3


def plain(apdu: str) -> Prepare:
    return lambda _: CommandApdu.from_bytes(bytes.fromhex(apdu))


def after(name: str, command: CommandApdu) -> Prepare:
    """With the right of a key, in its directory."""

    def prepared(terminal: KeyTerminal) -> CommandApdu:
        terminal.enter(terminal.files.keys.key(name).directory)
        assert terminal.authenticate(name) == "9000"
        return command

    return prepared


def maced(name: str, command: CommandApdu, mac_key: str = "STK") -> Prepare:
    """The same with a MAC over a fresh challenge."""

    def prepared(terminal: KeyTerminal) -> CommandApdu:
        after(name, command)(terminal)
        session = terminal.session(terminal.key(mac_key))
        mac = security.command_mac(terminal.algorithm, session, commands.mac_message(command))
        return commands.with_mac(command, mac)

    return prepared


def new_pin(terminal: KeyTerminal) -> CommandApdu:
    """PIN CHANGE/UNBLOCK with another PIN."""
    assert terminal.authenticate("PUK") == "9000"
    session = terminal.session(terminal.key("STK"))
    command = commands.reset_pin(security.encrypt_data(terminal.algorithm, session, bytes.fromhex("654321")))
    mac = security.command_mac(terminal.algorithm, session, commands.mac_message(command))
    return commands.with_mac(command, mac)


def proof(name: str, *, wrong: bool = False) -> Prepare:
    """EXTERNAL AUTHENTICATION."""

    def prepared(terminal: KeyTerminal) -> CommandApdu:
        session = terminal.session(terminal.key(name))
        data = security.authentication_data(terminal.algorithm, session, SOURCE)
        return commands.external_authentication(
            terminal.files.keys.key(name).id or 0, bytes(8) if wrong else data, SOURCE
        )

    return prepared


WRITES: dict[str, Written] = {
    "VERIFY right": Written(plain(PIN), "9000", "PIN", 2),
    "VERIFY right, last try": Written(plain(PIN), "9000", "PIN", 1),
    "VERIFY wrong": Written(plain(WRONG), "63C2", "PIN"),
    "VERIFY wrong, last try": Written(plain(WRONG), "63C0", "PIN", 1),
    "CHANGE PIN": Written(plain("805E010007135790FF654321"), "9000", "PIN", 2),
    "CHANGE PIN wrong": Written(plain("805E010007998877FF654321"), "63C1", "PIN", 2),
    "CHANGE PIN to none": Written(plain("805E010004135790FF"), "9000", "PIN", 2),
    "EXTERNAL AUTHENTICATION right": Written(proof("PUK"), "9000", "PUK", 2),
    "EXTERNAL AUTHENTICATION wrong": Written(proof("PUK", wrong=True), "63C0", "PUK", 1),
    "PIN UNBLOCK": Written(maced("PUK", commands.unblock_pin()), "9000", tries=0),
    "PIN CHANGE": Written(new_pin, "9000", tries=0),
    "UPDATE RECORD": Written(after("UKSSSE", commands.update_tag(bytes.fromhex("0A0132"), sfi=6)), "9000"),
    "UPDATE RECORD, appended": Written(after("UKSSSE", commands.update_tag(bytes.fromhex("F10132"), sfi=6)), "9000"),
    "UPDATE RECORD, cyclic": Written(after("UK3DF02", commands.append_cyclic(bytes(range(1, 86)), sfi=7)), "9000"),
    "UPDATE RECORD, MAC": Written(maced("UKSSSE", commands.update_tag(bytes.fromhex("0A0132"), sfi=6)), "9000"),
    "UPDATE BINARY": Written(after("UKSSSE", commands.update_binary_sfi(7, 5, bytes(range(1, 90)))), "9000"),
    "UPDATE BINARY, MAC": Written(maced("UKSSSE", commands.update_binary_sfi(7, 5, bytes(range(1, 9)))), "9000"),
    "APPLICATION BLOCK": Written(maced("BK", commands.application_block()), "9000"),
    "CARD BLOCK": Written(maced("BK", commands.card_block()), "9000"),
}


def image_before(version: str, written: Written) -> CardImage:
    """A card with few files and keys, so that there is not much to cut."""
    image = image_of(version)
    keys = {name: msgspec.structs.replace(image.keys[name], values=image.keys[name].values[:1]) for name in KEYS}
    if written.counter in keys:
        keys[written.counter] = msgspec.structs.replace(keys[written.counter], tries=written.tries)
    return msgspec.structs.replace(
        image,
        pin=Pin("135790", 3, 3 if written.counter in keys else written.tries),
        files={name: image.files[name] for name in FILES},
        keys=keys,
    )


def one_try_less(image: CardImage, counter: str) -> CardImage:
    """What a command leaves that was stopped behind its counter."""
    if counter == "PIN" and image.pin is not None:
        return msgspec.structs.replace(image, pin=msgspec.structs.replace(image.pin, tries=image.pin.tries - 1))
    if counter:
        key = msgspec.structs.replace(image.keys[counter], tries=image.keys[counter].tries - 1)
        return msgspec.structs.replace(image, keys={**image.keys, counter: key})
    return image


class Bench:
    """One command on one version of the card, cut again and again."""

    def __init__(self, folder: Path, version: str, name: str) -> None:
        self._path, self._written = folder / "x.card", WRITES[name]
        self._image = image_before(version, self._written)
        self._compared = 0
        terminal, command = self._prepared()
        self._old = VirtualCard.open(self._path).image
        assert terminal.send(command) == self._written.answer
        self._new = VirtualCard.open(self._path).image
        assert self._new != self._old

    def cut_all(self, every: int) -> int:
        """Cut at every `every`-th byte until the command comes through; how often."""
        cut = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: None)  # for speed
            patch.setattr(hmac, "compare_digest", self._compare)
            while self._cut(cut * every):
                cut += 1
        return cut

    def _prepared(self) -> tuple[KeyTerminal, CommandApdu]:
        terminal = KeyTerminal(VirtualCard.create(self._path, self._image))
        return terminal, self._written.prepare(terminal)

    def _compare(self, *arguments: Any) -> bool:
        self._compared += 1
        return bool(arguments[0] == arguments[1])

    def _cut(self, after_bytes: int) -> bool:
        """Whether the power went; the card's file is then as before or as after, and a guess has cost its try."""
        terminal, command = self._prepared()
        self._compared = 0
        terminal.card.tear_after(after_bytes)
        try:
            answer = terminal.send(command)
        except Torn:
            compared = self._compared
        else:
            assert (answer, VirtualCard.open(self._path).image) == (self._written.answer, self._new)
            return False
        counted = one_try_less(self._old, self._written.counter)
        kept = VirtualCard.open(self._path).image
        assert kept in (self._old, counted, self._new), after_bytes
        if self._written.counter:
            assert (kept == self._old) is (compared == 0), f"a guess for nothing, cut after {after_bytes}"
        for apdu in MUTE:
            with pytest.raises(Torn):
                terminal.send(apdu)
        terminal.card.reset()
        assert terminal.card.image == kept
        self._again(terminal, kept)
        return True

    def _again(self, terminal: KeyTerminal, kept: CardImage) -> None:
        """The card works on from what it kept."""
        if kept == self._old:
            command = self._written.prepare(terminal)
            assert terminal.send(command) == self._written.answer
            assert VirtualCard.open(self._path).image == self._new
        else:
            assert len(terminal.send("00200000")) == len("9000")
