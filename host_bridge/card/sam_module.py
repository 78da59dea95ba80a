"""A security module in a slot of its own: the card's keys stay in it (ssc-card.md 6.5, 9.6)."""

from collections.abc import Iterator

from host_bridge.card.security_module import (
    AlgorithmMissing,
    KeyRefused,
    KeyVersionMissing,
    NoSecurityModule,
    RootKeyMissing,
    Wanted,
)
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.readers.reader import CardConnection, Reader, ReaderError
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands, sam, security
from protocols.sscard.keys import Key

LEVELS = (3, 2, 1)
_ELSEWHERE = frozenset({status.SW_WRONG_DATA, status.SW_KEY_NOT_FOUND})
"""The module has this key with another usage byte, or not at all."""


class SamModule:
    """Powers the module on when it is first needed and again after trouble. `SecurityModule` says what calls do.

    How many levels its keys have is found by trying (ssc-card.md 6.5) and remembered. Its files say which version they
    have; where they do not, they count as the version that is wanted.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._connection: CardConnection | None = None
        self._usages: dict[tuple[int, str, int], int] = {}
        self._versions: dict[tuple[int, int], int | None] = {}

    def authentication_data(self, wanted: Wanted, challenge: bytes, source: bytes) -> bytes:
        self._deliver(wanted, challenge, sam.ENCRYPT)
        block = source.ljust(security.block_bytes(wanted.algorithm), b"\0")
        answer = self._cipher(wanted, sam.ENCRYPT_LAST, block, len(block))
        return security.folded(answer, security.AUTHENTICATION_BYTES)

    def unblock_mac(self, wanted: Wanted, challenge: bytes) -> bytes:
        return self.command_mac(wanted, challenge, commands.mac_message(commands.unblock_pin()))

    def command_mac(self, wanted: Wanted, challenge: bytes, message: bytes) -> bytes:
        """4 bytes over a command's header and data (ssc-card.md 6.3)."""
        self._deliver(wanted, challenge, sam.MAC)
        return self._mac(wanted, message)

    def encrypted(self, wanted: Wanted, challenge: bytes, data: bytes) -> bytes:
        """Data as they travel in a command with MAC."""
        self._deliver(wanted, challenge, sam.ENCRYPT)
        text = security.length_and_data(wanted.algorithm, data)
        return self._cipher(wanted, sam.ENCRYPT_LAST, text, len(text))

    def reset_data(self, wanted: Wanted, challenge: bytes, block: bytearray) -> bytes:
        self._deliver(wanted, challenge, sam.BOTH)
        text = security.length_and_data(wanted.algorithm, bytes(block))
        cipher = self._cipher(wanted, sam.ENCRYPT_MORE, text, len(text))
        return cipher + self._mac(wanted, commands.mac_message(commands.reset_pin(cipher)))

    def close(self) -> None:
        """Power the module off and let go of its reader."""
        self._power_off()
        self._reader.close()

    def _mac(self, wanted: Wanted, message: bytes) -> bytes:
        initial = bytes(security.block_bytes(wanted.algorithm))
        data = initial + security.padded(wanted.algorithm, message)
        return self._cipher(wanted, sam.MAC_SINGLE, data, security.MAC_BYTES)

    def _cipher(self, wanted: Wanted, mode: int, data: bytes, length: int) -> bytes:
        """The module's answer of this length; `KeyRefused` where it gives none."""
        sw, answer = self._transmit(wanted, sam.cipher_data(mode, data))
        if sw != status.SW_SUCCESS or len(answer) != length:
            raise KeyRefused("security_key_refused")
        return answer

    def _deliver(self, wanted: Wanted, challenge: bytes, kind: int) -> None:
        """A session key in the module, of a key that serves this kind."""
        if wanted.algorithm not in sam.ENVIRONMENTS:
            raise AlgorithmMissing(wanted.algorithm)
        if wanted.key.psam_id is None:
            raise RootKeyMissing(wanted.key.name)
        self._wake(wanted)
        if self._version(wanted, wanted.key.psam_id) not in {wanted.version, None}:
            raise KeyVersionMissing(wanted.key.name, wanted.version)
        padded = challenge.ljust(security.block_bytes(wanted.algorithm), b"\0")
        remembered = (wanted.algorithm, wanted.key.name, kind)
        for usage in self._candidates(wanted.key, kind, self._usages.get(remembered)):
            factors = b"".join(wanted.factors[::-1][: usage >> sam.LEVEL_SHIFT])
            command = sam.delivery_session_key(usage, wanted.key.psam_id, factors, padded)
            sw, _ = self._transmit(wanted, command)
            if sw == status.SW_SUCCESS:
                self._usages[remembered] = usage
                return
            if sw not in _ELSEWHERE:
                raise KeyRefused("security_key_refused")
        raise RootKeyMissing(wanted.key.name)

    def _version(self, wanted: Wanted, key_id: int) -> int | None:
        """The version in which the awake module has a key; None where it does not say."""
        try:
            file = sam.area_data(key_id)
        except KeyError:
            return None
        remembered = (wanted.algorithm, file)
        if remembered not in self._versions:
            sw, data = self._transmit(wanted, commands.read_binary_sfi(file, 0, sam.AREA_DATA_BYTES))
            try:
                self._versions[remembered] = sam.authentication_version(data) if sw == status.SW_SUCCESS else None
            except ValueError:
                raise NoSecurityModule(wanted.key.name) from None
        return self._versions[remembered]

    @staticmethod
    def _candidates(key: Key, kind: int, known: int | None) -> Iterator[int]:
        """Usage bytes to try: the one that has worked, then the types that serve, the table's first, at each level."""
        if known is not None:
            yield known
        listed = None if key.usage is None else key.usage & sam.TYPE_MASK
        for each in sorted({kind, sam.BOTH}, key=lambda each: each != listed):
            yield from (level << sam.LEVEL_SHIFT | each for level in LEVELS)

    def _wake(self, wanted: Wanted) -> None:
        """The environment of the card's algorithm and its application, ready for this card."""
        environment = commands.select_name(sam.ENVIRONMENTS[wanted.algorithm])
        sw, _ = self._transmit(wanted, environment)
        if sw == status.SW_FILE_NOT_FOUND:
            raise AlgorithmMissing(wanted.algorithm)
        ready = sam.initialize_environment(wanted.region), commands.select_name(sam.APPLICATION)
        if sw != status.SW_SUCCESS or any(self._transmit(wanted, each)[0] != status.SW_SUCCESS for each in ready):
            raise NoSecurityModule(wanted.key.name)

    def _transmit(self, wanted: Wanted, command: CommandApdu) -> tuple[int, bytes]:
        try:
            if self._connection is None:
                self._connection = T0FollowUp(self._reader.connect())
            answer = self._connection.transmit(command)
        except ReaderError as error:
            self._power_off()
            raise NoSecurityModule(wanted.key.name) from error
        return answer.sw, answer.data

    def _power_off(self) -> None:
        connection, self._connection = self._connection, None
        self._versions.clear()
        if connection is not None:
            try:
                connection.disconnect()
            except ReaderError:
                return
