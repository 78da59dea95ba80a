"""The card under test as a check sees it: steps that must succeed first, and steps that are what is checked."""

import contextlib
from collections.abc import Callable

from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.conformance.case import DESTRUCTIVE, Lacking, Unable, Unexpected, answer_name, status_names, step_name
from host_bridge.conformance.keys import Keys
from host_bridge.readers.reader import CardConnection
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard import commands
from protocols.sscard.files import CardFiles, Directory, File, granted
from protocols.sscard.keys import LOCAL
from protocols.sscard.pin import pin_block
from protocols.sscard.security import SOURCE_BYTES

OK = status.SW_SUCCESS
ANY_TRIES = tuple(range(0x63C0, 0x63D0))
SAFE_TRIES = 2
"""A PIN is presented only while so many tries are left: never the last one."""
CHALLENGE_BYTES = 8
NO_PIN = "这张卡没有密码", "the card has no PIN"

Random = Callable[[int], bytes]


class Tester:
    """Who checks: what they know and what they allow. `rights` are PIN, key names and DESTRUCTIVE.

    What the card did not take is `rejected` and not tried again.
    """

    def __init__(self, pin: bytearray | None, keys: Keys | None, *, destructive: bool, random: Random) -> None:
        self.pin, self.keys, self.destructive, self.random = pin, keys, destructive, random
        self.rejected: set[str] = set()

    def rights(self, tables: CardFiles) -> frozenset[str]:
        """What the tester has for a card of this version."""
        held = {key.name for key in tables.keys.rows if self.keys is not None and self.keys.versions(key.name)}
        if self.pin is not None:
            held.add("PIN")
        if self.destructive:
            held.add(DESTRUCTIVE)
        return frozenset(held - self.rejected)


class Card:
    """One card from power-on to power-off."""

    def __init__(self, connection: CardConnection, tables: CardFiles, tester: Tester) -> None:
        self._connection, self._whole = connection, T0FollowUp(connection)
        self.tables, self.tester = tables, tester

    @property
    def atr(self) -> Atr:
        return self._connection.atr

    # Steps

    def send(self, command: CommandApdu) -> ResponseApdu:
        """The whole answer."""
        return self._whole.transmit(command)

    def send_once(self, command: CommandApdu) -> ResponseApdu:
        """The answer as the card gives it, `61xx` and `6Cxx` included, where the reader lets it."""
        return self._connection.transmit(command)

    def select_alone(self) -> int:
        """SELECT of the SSSE: how many bytes it announces. `Unable` where the reader fetches them by itself."""
        select = commands.select_name(bytes.fromhex(self.tables.directory("SSSE").df_name))
        waiting = status.more_data(self.send_once(select).sw)
        if waiting is None:
            raise Unable("读卡器不交出 61xx", "the reader does not hand 61xx on")
        return waiting

    def expect(self, command: CommandApdu, *sws: int) -> ResponseApdu:
        """The step that is checked: `Unexpected` where it ends otherwise."""
        return self.check(command, self.send(command), *sws)

    def check(self, command: CommandApdu, answer: ResponseApdu, *sws: int) -> ResponseApdu:
        if answer.sw not in sws:
            raise Unexpected(step_name(command), status_names(sws), answer_name(answer))
        return answer

    def require(self, command: CommandApdu, *sws: int) -> ResponseApdu:
        """A step on the way there: `Unable` where it ends otherwise."""
        answer = self.send(command)
        if answer.sw not in (sws or (OK,)):
            step = f"{step_name(command)} → {answer_name(answer)}"
            raise Unable(f"前提步骤不成立：{step}", f"a step before it failed: {step}")
        return answer

    def reset(self) -> None:
        self._connection.reset()

    # Selection

    def enter(self, name: str) -> Directory:
        """SELECT a directory, by way of the SSSE where it has no name; `Unable` where the card lacks it."""
        directory = self.tables.directory(name)
        df_name = bytes.fromhex(directory.df_name)
        if not df_name:
            self.enter("SSSE")
        select = commands.select_name(df_name) if df_name else commands.select_fid(bytes.fromhex(directory.fid))
        if self.require(select, OK, status.SW_FILE_NOT_FOUND).sw != OK:
            raise Unable(f"卡上没有目录 {name}", f"the card has no directory {name}")
        return directory

    def select(self, directory: str, ef: str) -> File:
        """SELECT a file of the directory that is the current one; `Unable` where the card lacks it."""
        file = self.tables.directory(directory).file(ef)
        if self.require(commands.select_ef(file.fid), OK, status.SW_FILE_NOT_FOUND).sw != OK:
            raise Unable(f"卡上没有文件 {directory} {ef}", f"the card has no file {directory} {ef}")
        return file

    # Rights

    def pin_block(self, changed: int = 0) -> bytes:
        """The PIN as it goes to the card; `changed` 1 to 9 gives another PIN of the same length."""
        if self.tester.pin is None or "PIN" in self.tester.rejected:
            raise Lacking("PIN")
        digits = bytearray(self.tester.pin)
        digits[-1] = (digits[-1] - 0x30 + changed) % 10 + 0x30
        return bytes(pin_block(digits))

    def tries(self) -> int | None:
        """Tries left, None where the card has no PIN."""
        answer = self.require(commands.verify_status(), OK, status.SW_AUTHENTICATION_BLOCKED, *ANY_TRIES)
        if answer.sw == status.SW_AUTHENTICATION_BLOCKED:
            return 0
        return status.tries_left(answer.sw)

    def must_have_pin(self) -> None:
        """`Unable` where the card has no PIN: what a PIN opens is then open."""
        self.enter("SSSE")
        if self.tries() is None:
            raise Unable(*NO_PIN)

    def safe_tries(self, spare: int = 0) -> int:
        """Tries left, enough to present the PIN after `spare` wrong ones; `Unable` otherwise."""
        tries = self.tries()
        if tries is None:
            raise Unable(*NO_PIN)
        if tries < SAFE_TRIES + spare:
            raise Unable(f"密码只剩 {tries} 次可试", f"only {tries} PIN tries are left")
        return tries

    def verify(self) -> None:
        """Present the PIN where the card has one; `Unable` where it does not take it."""
        tries = self.tries()
        if tries is not None and tries < SAFE_TRIES:
            raise Unable(f"密码只剩 {tries} 次可试", f"only {tries} PIN tries are left")
        if tries is None:
            return
        answer = self.send(commands.verify_pin(self.pin_block()))
        if answer.sw != OK:
            self.tester.rejected.add("PIN")
            raise Unable(f"卡不接受密码（{answer.sw:04X}）", f"the card does not take the PIN ({answer.sw:04X})")

    def challenge(self) -> bytes:
        """A fresh challenge; `Unable` where the card gives none of this length."""
        found = self.require(commands.get_challenge(CHALLENGE_BYTES)).data
        if len(found) != CHALLENGE_BYTES:
            raise Unable(f"随机数不是 {CHALLENGE_BYTES} 字节", f"the challenge has not {CHALLENGE_BYTES} bytes")
        return found

    def keys(self, name: str) -> Keys:
        """Where this key is; `Unable` where the tester has not got it or the card refused it before."""
        if self.tester.keys is None or not self.tester.keys.versions(name):
            raise Lacking(name)
        if name in self.tester.rejected:
            raise Unable(f"卡不接受密钥 {name}", f"the card does not take key {name}")
        return self.tester.keys

    def proof(self, name: str, challenge: bytes, version: int | None = None) -> CommandApdu:
        """EXTERNAL AUTHENTICATION with a key over a challenge."""
        key, source = self.tables.keys.key(name), self.tester.random(SOURCE_BYTES)
        if key.id is None:
            raise Unable(f"密钥 {name} 没有标识", f"key {name} has no id")
        data = self.keys(name).authentication_data(name, challenge, source, version)
        return commands.external_authentication(key.id, data, source, version)

    def wrong_proof(self, name: str, challenge: bytes) -> CommandApdu:
        """The same with wrong authentication data: uses a try of the key."""
        right = self.proof(name, challenge)
        data = bytes((right.data[0] ^ 0xFF,)) + right.data[1:]
        return CommandApdu(right.cla, right.ins, right.p1, right.p2, data)

    def authenticate(self, name: str) -> None:
        """EXTERNAL AUTHENTICATION in the current directory; `Unable` where the card does not take the key."""
        self.keys(name)
        answer = self.send(self.proof(name, self.challenge()))
        if answer.sw != OK:
            self.tester.rejected.add(name)
            raise Unable(
                f"卡不接受密钥 {name}（{answer.sw:04X}）", f"the card does not take key {name} ({answer.sw:04X})"
            )

    def restore_tries(self, name: str) -> None:
        """All tries of a key again by the right proof, after a check that may have used some."""
        with contextlib.suppress(Unable):
            self.send(self.proof(name, self.challenge()))

    def acquire(self, rule: str, directory: str) -> None:
        """Enter a directory with what an access rule asks for, by the first of its ways that the tester can go."""
        if rule == "free":
            self.enter(directory)
            return
        rights = self.tester.rights(self.tables)
        way = next((way for way in ways(rule) if rights.issuperset(way)), None)
        if way is None:
            raise Lacking(rule)
        self.gain(way, directory)

    def gain(self, rights: tuple[str, ...], directory: str) -> None:
        """Enter a directory with PIN and keys presented, each where it counts."""
        self.enter("SSSE")
        if "PIN" in rights:
            self.verify()
        for name in rights:
            if name != "PIN" and not (self.tables.keys.key(name).id or 0) & LOCAL:
                self.authenticate(name)
        if directory != "SSSE":
            self.enter(directory)
        for name in rights:
            if name != "PIN" and (self.tables.keys.key(name).id or 0) & LOCAL:
                self.authenticate(name)

    def with_mac(self, command: CommandApdu, name: str) -> CommandApdu:
        """A command with the MAC of a key over a fresh challenge."""
        mac = self.keys(name).command_mac(name, self.challenge(), command)
        return commands.with_mac(command, mac)

    def with_wrong_mac(self, command: CommandApdu, name: str) -> CommandApdu:
        """The same with a MAC that is not the key's."""
        right = self.with_mac(command, name)
        data = right.data[:-1] + bytes((right.data[-1] ^ 0xFF,))
        return CommandApdu(right.cla, right.ins, right.p1, right.p2, data)


def ways(rule: str) -> tuple[tuple[str, ...], ...]:
    """The alternatives of an access rule, each the rights it takes together."""
    return tuple(tuple(way.split(" and ")) for way in rule.split(" or "))


def missing_right(needs: tuple[str, ...], rights: frozenset[str]) -> str | None:
    """The last need that the tester's rights do not satisfy: DESTRUCTIVE rather than a key."""
    return next((need for need in reversed(needs) if not granted(need, rights)), None)
