"""A simulated security module (PSAM) with T=0 semantics, kept in a JSON file (ssc-card.md 6.5).

It has an environment for 3DES cards and one for cards with 16-byte blocks. No source describes SM4 in a PSAM: the
second is taken for it, with blocks of 16 bytes and a MAC of four folded words (INF, 10 no. 14). So are the record of
CREATE KEY (id, usage, key) and who may do it: whoever has authenticated with the environment's own key 00. So are the
errors of INIT SAM FOR PURCHASE, and that it uses the terminal sequence up.
"""

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from hardware.virtual.card_file import CardFileError
from hardware.virtual.card_state import Refused
from hardware.virtual.sam_file import KEY_BYTES, OWN_TRIES, Environment, SamImage, SamKey, read_sam, write_sam
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard import commands, sam, security

SUCCESS = ResponseApdu(b"", status.SW_SUCCESS)
NAMES = {sam.ENVIRONMENTS[security.TRIPLE_DES]: security.TRIPLE_DES, sam.ENVIRONMENTS[security.SM4]: security.SM4}
FIDS = {bytes.fromhex("3F00"): security.TRIPLE_DES, bytes.fromhex("DDF1"): security.SM4}
APPLICATION_FID = bytes.fromhex("DF01")
PUBLIC_DATA, TERMINAL_NUMBER, TERMINAL_SEQUENCE = (bytes.fromhex(fid) for fid in ("0015", "0016", "0019"))
AREA_DATA = "01{:02X}2015010120991231"
"""National, province and city data: purchase key index, key version for authentication, first and last day (cn)."""
KEY_FILES = (0x11, 0x12, 0x13)
CHALLENGE_BYTES = (4, 8, 16)
KEY_ID_LIMIT = 0xC0
MAX_SEQUENCE = 0xFFFFFFFF
ENCIPHERING, MAKING_MACS = (sam.ENCRYPT, sam.BOTH), (sam.MAC, sam.BOTH)


class _Session(NamedTuple):
    """The session key that DELIVERY SESSION KEY left, and the type of its key."""

    key: bytes
    type: int


class VirtualSam:
    """One module, behaving as the chip behind a T=0 contact line.

    `command` raises `CardFileError` where its file cannot be written; then nothing was answered.
    """

    def __init__(self, path: Path, image: SamImage, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.path, self.image, self._random = path, image, random
        self._atr = _atr(path, image)
        self._power_on()

    @classmethod
    def open(cls, path: Path | str, random: Callable[[int], bytes] = secrets.token_bytes) -> "VirtualSam":
        """The module kept in a file; `CardFileError` where there is none or its content makes none."""
        return cls(Path(path), read_sam(Path(path)), random)

    @classmethod
    def create(cls, path: Path | str, image: SamImage) -> "VirtualSam":
        """A module in a new file, or in place of the one that was there."""
        module = cls(Path(path), image)
        write_sam(module.path, image)
        return module

    def reset(self) -> bytes:
        """Cold or warm reset: the ATR; what was selected and delivered is forgotten."""
        self._power_on()
        return self._atr.to_bytes()

    def takes_data(self, ins: int) -> bool:
        """T=0 direction: whether this instruction's P3 is Lc and data follow the header."""
        return self._knows(ins) and ins not in (commands.GET_CHALLENGE, commands.GET_RESPONSE, commands.READ_BINARY)

    def command(self, command: CommandApdu) -> ResponseApdu:
        """One T=0 command: case 4 answers `61xx`; there is no Le beside data."""
        if command.ins != commands.GET_RESPONSE:
            self._waiting = b""
        if command.ins != sam.CIPHER_DATA:
            self._mac_chain: bytes | None = None
        if command.ins not in (sam.CREDIT_FOR_PURCHASE, commands.GET_RESPONSE):
            self._purchase_mac2 = b""
        try:
            perform = self._commands().get((command.cla, command.ins))
            if perform is None:
                raise Refused(status.SW_CLA_UNKNOWN if self._knows(command.ins) else status.SW_INS_UNKNOWN)
            return perform(command)
        except Refused as refused:
            return ResponseApdu(b"", refused.sw)

    def _knows(self, ins: int) -> bool:
        return any(ins == known for _, known in self._commands())

    def _commands(self) -> dict[tuple[int, int], Callable[[CommandApdu], ResponseApdu]]:
        return {
            (commands.PLAIN, commands.SELECT): self._select,
            (commands.PLAIN, commands.READ_BINARY): self._read_binary,
            (commands.PLAIN, commands.GET_CHALLENGE): self._get_challenge,
            (commands.PLAIN, commands.GET_RESPONSE): self._get_response,
            (commands.PLAIN, commands.EXTERNAL_AUTHENTICATION): self._external_authentication,
            (commands.PROPRIETARY_WITH_MAC, sam.LOAD_KEY): self._load_key,
            (sam.CLASS, sam.INITIALIZE_ENVIRONMENT): self._initialize_environment,
            (sam.CLASS, sam.DELIVERY_SESSION_KEY): self._delivery_session_key,
            (commands.PROPRIETARY, sam.CIPHER_DATA): self._cipher_data,
            (commands.PROPRIETARY, sam.INIT_FOR_PURCHASE): self._init_for_purchase,
            (commands.PROPRIETARY, sam.CREDIT_FOR_PURCHASE): self._credit_for_purchase,
        }

    def _power_on(self) -> None:
        self._waiting = b""
        self._enter(security.TRIPLE_DES)

    def _enter(self, algorithm: int) -> None:
        """Make an environment current; what was got in another is forgotten."""
        self._algorithm = algorithm
        self._in_application = self._initialized = self._own_key_proven = False
        self._file = b""
        self._challenge = b""
        self._session: _Session | None = None
        self._mac_chain = None
        self._purchase_mac2 = b""

    # files

    def _select(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 not in (commands.BY_FID, commands.EF_BELOW_DF, commands.BY_NAME) or command.p2:
            raise Refused(status.SW_WRONG_P1P2)
        named = command.p1 == commands.BY_NAME
        algorithm = (NAMES if named else FIDS).get(command.data)
        if algorithm is not None and self._has(algorithm):
            self._enter(algorithm)
        elif command.data == (sam.APPLICATION if named else APPLICATION_FID):
            self._in_application, self._file = True, b""
        elif command.data in self._files() and not named:
            self._file = command.data
            return SUCCESS
        else:
            raise Refused(status.SW_FILE_NOT_FOUND)
        name = sam.APPLICATION if self._in_application else sam.ENVIRONMENTS[self._algorithm]
        return self._later(bytes((0x6F, len(name) + 2, 0x84, len(name))) + name)

    def _files(self) -> dict[bytes, bytes]:
        files = {
            PUBLIC_DATA: bytes.fromhex(self.image.public_data),
            TERMINAL_NUMBER: bytes.fromhex(self.image.terminal_number),
        }
        if self._in_application:
            files[TERMINAL_SEQUENCE] = self.image.terminal_sequence.to_bytes(4, "big")
            data = bytes.fromhex(AREA_DATA.format(self.image.key_version))
            files |= {bytes((0, sfi)): data for sfi in sam.AREA_KEYS}
        return files

    def _read_binary(self, command: CommandApdu) -> ResponseApdu:
        fid, offset = self._file, command.p1 << 8 | command.p2
        if command.p1 & commands.SFI_IN_P1:
            fid, offset = bytes((0, command.p1 & 0x1F)), command.p2
            if fid not in self._files():
                raise Refused(status.SW_FILE_NOT_FOUND)
        if not fid:
            raise Refused(status.SW_NO_CURRENT_EF)
        content = self._files()[fid]
        if offset >= len(content):
            raise Refused(status.SW_OFFSET_OUTSIDE)
        data = content[offset:]
        if command.to_tpdu()[4] != len(data):
            raise Refused(status.SW1_WRONG_LE << 8 | len(data))
        return ResponseApdu(data, status.SW_SUCCESS)

    def _get_response(self, command: CommandApdu) -> ResponseApdu:
        waiting, length = self._waiting, command.to_tpdu()[4]
        if not waiting:
            raise Refused(status.SW_INVALID_DATA)
        if length == 0 or length > len(waiting):
            raise Refused(status.SW1_WRONG_LE << 8 | len(waiting))
        self._waiting = waiting[length:]
        more = len(self._waiting)
        return ResponseApdu(waiting[:length], status.SW1_MORE_DATA << 8 | more if more else status.SW_SUCCESS)

    def _later(self, data: bytes) -> ResponseApdu:
        self._waiting = data
        return ResponseApdu(b"", status.SW1_MORE_DATA << 8 | len(data))

    # its own key, and loading of keys

    def _get_challenge(self, command: CommandApdu) -> ResponseApdu:
        length = command.to_tpdu()[4]
        if command.p1 or command.p2:
            raise Refused(status.SW_WRONG_P1P2)
        if length not in CHALLENGE_BYTES:
            raise Refused(status.SW_WRONG_LENGTH)
        self._challenge = self._random(length)
        return ResponseApdu(self._challenge, status.SW_SUCCESS)

    def _external_authentication(self, command: CommandApdu) -> ResponseApdu:
        environment = self._environment()
        if command.p1:
            raise Refused(status.SW_WRONG_P1P2)
        if command.p2 != sam.OWN_KEY:
            raise Refused(status.SW_KEY_NOT_FOUND)
        if len(command.data) != security.AUTHENTICATION_BYTES + security.SOURCE_BYTES:
            raise Refused(status.SW_WRONG_LENGTH)
        if environment.tries == 0:
            raise Refused(status.SW_AUTHENTICATION_BLOCKED)
        proof, source = command.data[:8], command.data[8:]
        own = bytes.fromhex(environment.own)
        session = security.session_key(self._algorithm, own, self._live_challenge(8))
        self._own_key_proven = False
        self._change(msgspec.structs.replace(environment, tries=environment.tries - 1))
        if not hmac.compare_digest(proof, security.authentication_data(self._algorithm, session, source)):
            raise Refused(status.SW_SECURITY_STATUS)
        self._change(msgspec.structs.replace(environment, tries=OWN_TRIES))
        self._own_key_proven = True
        return SUCCESS

    def _load_key(self, command: CommandApdu) -> ResponseApdu:
        """CREATE KEY and CHANGE KEY: cipher and MAC under the own key, the challenge as initial value (10 no. 13)."""
        environment = self._environment()
        if command.p1 not in (sam.CREATE, sam.CHANGE) or command.p2 not in KEY_FILES:
            raise Refused(status.SW_WRONG_P1P2)
        cipher, mac = command.data[: -security.MAC_BYTES], command.data[-security.MAC_BYTES :]
        if not cipher:
            raise Refused(status.SW_WRONG_LENGTH)
        if not self._own_key_proven:
            raise Refused(status.SW_SECURITY_STATUS)
        own, message = bytes.fromhex(environment.own), command.to_tpdu()[:5] + cipher
        initial = self._live_challenge(8)
        if not hmac.compare_digest(mac, sam.loading_mac(self._algorithm, own, initial, message)):
            raise Refused(status.SW_MAC_WRONG)
        try:
            record = security.decrypt_data(self._algorithm, own, cipher)
        except security.CipherTextError:
            raise Refused(status.SW_WRONG_DATA) from None
        key = _loaded(self._algorithm, record)
        others = tuple(each for each in environment.keys if each.id != key.id)
        if (len(others) < len(environment.keys)) is (command.p1 == sam.CREATE):
            raise Refused(status.SW_CONDITIONS_OF_USE)
        self._change(msgspec.structs.replace(environment, keys=(*others, key)))
        return SUCCESS

    # keys of cards

    def _initialize_environment(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 or command.p2:
            raise Refused(status.SW_WRONG_P1P2)
        if len(command.data) != 1:
            raise Refused(status.SW_WRONG_LENGTH)
        if not command.data.hex().isdecimal():
            raise Refused(status.SW_WRONG_DATA)
        self._initialized = True
        return SUCCESS

    def _delivery_session_key(self, command: CommandApdu) -> ResponseApdu:
        self._session = None
        if not self._in_application or not self._initialized:
            raise Refused(status.SW_CONDITIONS_OF_USE)
        block = security.block_bytes(self._algorithm)
        levels, odd = divmod(len(command.data) - block, security.FACTOR_BYTES)
        if odd or levels < 1:
            raise Refused(status.SW_WRONG_LENGTH)
        usage = command.p1
        keys = [each for each in self._environment().keys if each.id == command.p2]
        keys = [each for each in keys if each.usage & sam.TYPE_MASK == usage & sam.TYPE_MASK]
        if not keys:
            raise Refused(status.SW_KEY_NOT_FOUND)
        (key,) = keys
        if key.usage != usage:
            raise Refused(status.SW_WRONG_DATA)
        factors, challenge = command.data[:-block], command.data[-block:]
        card_key = self._card_key(key, factors)
        self._session = _Session(security.session_key(self._algorithm, card_key, challenge), usage & sam.TYPE_MASK)
        return SUCCESS

    def _cipher_data(self, command: CommandApdu) -> ResponseApdu:
        session, block = self._session, security.block_bytes(self._algorithm)
        if session is None:
            raise Refused(status.SW_STATE_NOT_ACCEPTED)
        if command.p2 or command.p1 not in sam.CIPHER_MODES:
            raise Refused(status.SW_WRONG_P1P2)
        encipher = command.p1 in (sam.ENCRYPT_LAST, sam.ENCRYPT_MORE)
        if session.type not in (ENCIPHERING if encipher else MAKING_MACS):
            raise Refused(status.SW_CONDITIONS_OF_USE)
        if not command.data or len(command.data) % block:
            raise Refused(status.SW_WRONG_LENGTH)
        blocks = [command.data[at : at + block] for at in range(0, len(command.data), block)]
        if encipher:
            if command.p1 == sam.ENCRYPT_LAST:
                self._session = None
            return self._later(b"".join(self._block(session, each) for each in blocks))
        return self._make_mac(session, command.p1, blocks)

    def _make_mac(self, session: _Session, mode: int, blocks: list[bytes]) -> ResponseApdu:
        if mode in (sam.MAC_SINGLE, sam.MAC_FIRST):
            chain, *blocks = blocks
        elif self._mac_chain is None:
            raise Refused(status.SW_CONDITIONS_OF_USE)
        else:
            chain = self._mac_chain
        for each in blocks:
            chain = self._block(session, security.xor(chain, each))
        if mode in (sam.MAC_FIRST, sam.MAC_NEXT):
            self._mac_chain = chain
            return SUCCESS
        self._session = self._mac_chain = None
        return self._later(security.mac_of(self._algorithm, chain))

    def _init_for_purchase(self, command: CommandApdu) -> ResponseApdu:
        """Terminal sequence and MAC1 (ssc-card.md 6.4); the next sequence is on disk before the answer."""
        if (command.p1, command.p2) != (0x01, 0x00):
            raise Refused(status.SW_WRONG_P1P2)
        if not self._in_application or not self._initialized:
            raise Refused(status.SW_CONDITIONS_OF_USE)
        purchase, factors = command.data[: sam.PURCHASE_BYTES], command.data[sam.PURCHASE_BYTES :]
        if not factors or len(factors) % security.FACTOR_BYTES:
            raise Refused(status.SW_WRONG_LENGTH)
        unpredictable, amounts, kind, time = purchase[:6], purchase[6:18], purchase[18:19], purchase[19:26]
        key_version, algorithm = purchase[26:]
        if algorithm != self._algorithm:
            raise Refused(status.SW_WRONG_DATA)
        keys = [each for each in self._environment().keys if each.id == key_version]
        keys = [each for each in keys if each.usage & sam.TYPE_MASK == sam.PURCHASE]
        if not keys:
            raise Refused(status.SW_KEY_NOT_FOUND)
        card_key = self._card_key(keys[0], factors)
        if self.image.terminal_sequence == MAX_SEQUENCE:
            raise Refused(status.SW_COUNTER_AT_MAXIMUM)
        sequence = self.image.terminal_sequence.to_bytes(4, "big")
        session = security.session_key(algorithm, card_key, unpredictable + sequence[2:])
        signed = amounts + kind + bytes.fromhex(self.image.terminal_number) + time
        self._keep(msgspec.structs.replace(self.image, terminal_sequence=self.image.terminal_sequence + 1))
        self._purchase_mac2 = security.command_mac(algorithm, session, amounts)
        return self._later(sequence + security.command_mac(algorithm, session, signed))

    def _credit_for_purchase(self, command: CommandApdu) -> ResponseApdu:
        """Whether the card's MAC2 is that of the purchase begun just before."""
        expected, self._purchase_mac2 = self._purchase_mac2, b""
        if command.p1 or command.p2:
            raise Refused(status.SW_WRONG_P1P2)
        if len(command.data) != security.MAC_BYTES:
            raise Refused(status.SW_WRONG_LENGTH)
        if not expected:
            raise Refused(status.SW_STATE_NOT_ACCEPTED)
        if not hmac.compare_digest(command.data, expected):
            raise Refused(status.SW_PAYMENT_MAC_INVALID)
        return SUCCESS

    def _card_key(self, key: SamKey, factors: bytes) -> bytes:
        """The card's key below this one; factors are card, city, province, as many as the key's levels."""
        size = security.FACTOR_BYTES
        if key.usage >> sam.LEVEL_SHIFT != len(factors) // size:
            raise Refused(status.SW_WRONG_DATA)
        each = [factors[at : at + size] for at in range(0, len(factors), size)]
        return security.diversify(self._algorithm, bytes.fromhex(key.value), *reversed(each))

    def _block(self, session: _Session, block: bytes) -> bytes:
        return security.session_key(self._algorithm, session.key, block)

    def _live_challenge(self, least: int) -> bytes:
        """The challenge, which serves once; `Refused` where there is none, or one too short."""
        challenge, self._challenge = self._challenge, b""
        if len(challenge) < least:
            raise Refused(status.SW_REFERENCED_DATA_INVALID)
        return challenge[:least]

    def _has(self, algorithm: int) -> bool:
        return any(each.algorithm == algorithm for each in self.image.environments)

    def _environment(self) -> Environment:
        """The current one; `Refused` where this module has none for the algorithm it woke up with."""
        for each in self.image.environments:
            if each.algorithm == self._algorithm:
                return each
        raise Refused(status.SW_CONDITIONS_OF_USE)

    def _change(self, environment: Environment) -> None:
        """Another content of the current environment, on disk when this returns."""
        others = tuple(each for each in self.image.environments if each.algorithm != environment.algorithm)
        self._keep(msgspec.structs.replace(self.image, environments=(*others, environment)))

    def _keep(self, image: SamImage) -> None:
        if not self.path.exists():
            raise CardFileError(self.path, "is gone")
        write_sam(self.path, image)
        self.image = image


def _atr(path: Path, image: SamImage) -> Atr:
    try:
        return Atr.from_bytes(bytes.fromhex(image.atr))
    except ValueError:
        raise CardFileError(path, "has a malformed ATR") from None


def _loaded(algorithm: int, record: bytes) -> SamKey:
    """The key of a loading record: id, usage, 16 bytes or for single DES 8."""
    if len(record) - 2 not in KEY_BYTES[algorithm] or not 0 < record[1] >> sam.LEVEL_SHIFT <= 3:
        raise Refused(status.SW_WRONG_DATA)
    is_for_purchases = record[1] & sam.TYPE_MASK == sam.PURCHASE
    if record[0] not in (sam.PURCHASE_VERSIONS if is_for_purchases else range(sam.OWN_KEYS_END, KEY_ID_LIMIT)):
        raise Refused(status.SW_WRONG_DATA)
    return SamKey(record[0], record[1], record[2:].hex().upper())
