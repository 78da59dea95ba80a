"""A simulated social security card with T=0 semantics: the file table brought to life, kept in a JSON file.

Commands and status words: ssc-card.md 4. The try counter is on disk before the answer leaves.
"""

import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard import commands
from protocols.sscard.files import CardFiles, Directory, File, card_files, granted
from protocols.sscard.pin import pin_block

DIR_FILE = "EF1E"
IN_USE = ("SSSE EF05", "SSSE EF06")
"""Files that every card has (ssc-card.md 3.3)."""
MAX_TRIES = 15
MAX_ANSWER = 256
SELECT_MODES = (commands.BY_FID, commands.EF_BELOW_DF, commands.BY_NAME)
FIRST, NEXT = 0x00, 0x02
PIN_BYTES = range(2, 9)
NAME_BYTES = range(5, 17)
RECORD_SEARCHES = (commands.FIRST_TAG, commands.LAST_TAG, commands.NEXT_TAG, commands.PREVIOUS_TAG)
RECORD_MODES = (commands.NUMBER, commands.TO_LAST, commands.FROM_LAST, *RECORD_SEARCHES)


class CardFileError(Exception):
    """A card file that cannot be read, written or understood; names the file, never its content."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`digits` as entered, `limit` tries after a right one, `tries` left."""

    digits: str
    limit: int
    tries: int


class CardImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a card file holds: `files` are records in hexadecimal under `SSSE EF05`; no `pin`, no PIN.

    Records of cyclic files begin with the newest; a transparent file is one entry without trailing 00, or none. A file
    that is not named is not on the card. `choices` answer open questions of the version's table.
    """

    format: Literal[1] = 1
    version: str
    atr: str
    pin: Pin | None
    files: dict[str, tuple[str, ...]]
    choices: dict[str, str] = {}


def file_key(directory: Directory, file: File) -> str:
    """How a card file names an EF: `SSSE EF05`."""
    return f"{directory.name} {file.ef}"


def _on_card(tables: CardFiles, image: CardImage) -> CardFiles:
    """The table without what the card lacks: files, and directories that have none left."""
    directories = []
    for directory in tables.directories:
        files = tuple(file for file in directory.files if file_key(directory, file) in image.files)
        if files:
            directories.append(msgspec.structs.replace(directory, files=files))
    return msgspec.structs.replace(tables, directories=tuple(directories))


def _check(path: Path, file: File, records: tuple[str, ...]) -> None:
    """`CardFileError` where a file's content cannot be its; hexadecimal digits are checked elsewhere."""
    if not all(records):
        raise CardFileError(path, "has an empty record")
    if file.structure == "transparent" and (len(records) > 1 or len("".join(records)) > 2 * file.size):
        raise CardFileError(path, f"has more than {file.size} bytes in {file.ef}")
    if file.structure == "cyclic" and not {len(record) // 2 for record in records} <= {file.record_length, file.short}:
        raise CardFileError(path, f"has a record of another length in {file.ef}")


def _refuse(sw: int) -> ResponseApdu:
    return ResponseApdu(b"", sw)


def _p3(command: CommandApdu) -> int:
    return command.to_tpdu()[4]


def _expected(command: CommandApdu) -> bool:
    """Whether an instruction that takes data got what its P3 announces; P3 = 00 announces none."""
    return bool(command.data) or _p3(command) == 0


def _answer(data: bytes, command: CommandApdu) -> ResponseApdu:
    """Case 2: the data where P3 is their exact length, else `6Cxx` (ssc-card.md 2)."""
    length = len(data) & 0xFF
    if _p3(command) != length:
        return _refuse(status.SW1_WRONG_LE << 8 | length)
    return ResponseApdu(data, status.SW_SUCCESS)


def _fci(directory: Directory, algorithm: int) -> bytes:
    """FCI of a DF; the SSSE's also names the DIR file and the algorithm (ssc-card.md 3.1)."""
    # DF05 and DF06 have a label and no name (ssc-card.md 3.1).
    content = _tlv(b"\x84", bytes.fromhex(directory.df_name) or directory.zh.encode("gbk"))
    if directory.name == "SSSE":
        issuer = _tlv(b"\x9f\x0c", _tlv(b"\x86", bytes((algorithm,))))
        listed = b"".join(_tlv(b"\x88", bytes((file.sfi,))) for file in directory.files if file.ef == DIR_FILE)
        content += _tlv(b"\xa5", listed + issuer)
    return _tlv(b"\x6f", content)


def _tlv(tag: bytes, value: bytes) -> bytes:
    return tag + bytes((len(value),)) + value


class VirtualCard:
    """One card, behaving as the chip behind a T=0 contact line.

    `command` raises `CardFileError` where the card file cannot be written; then nothing was answered.
    """

    def __init__(self, path: Path, image: CardImage, tables: CardFiles) -> None:
        self.path, self._image = path, image
        self._tables = _on_card(tables, image)
        self._atr = Atr.from_bytes(bytes.fromhex(image.atr))
        self._pin_block = b"" if image.pin is None else bytes(pin_block(bytearray(image.pin.digits, "utf-8")))
        self._files = {key: tuple(map(bytes.fromhex, records)) for key, records in image.files.items()}
        self._power_on()

    @classmethod
    def open(cls, path: Path | str) -> "VirtualCard":
        """The card kept in a file; `CardFileError` where there is none or its content makes no card."""
        path = Path(path)
        try:
            image = msgspec.json.decode(path.read_bytes(), type=CardImage)
        except OSError as error:
            raise CardFileError(path, error.strerror or "cannot be read") from None
        except msgspec.MsgspecError:
            raise CardFileError(path, "is no card file") from None
        return cls._checked(path, image)

    @classmethod
    def create(cls, path: Path | str, image: CardImage) -> "VirtualCard":
        """A card in a new file, or in place of the one that was there."""
        card = cls._checked(Path(path), image)
        card.save()
        return card

    @classmethod
    def _checked(cls, path: Path, image: CardImage) -> "VirtualCard":
        try:
            tables = card_files(image.version)
        except KeyError:
            raise CardFileError(path, "has a card version without file table") from None
        try:
            tables = tables.answered(image.choices)
        except KeyError:
            raise CardFileError(path, "has a choice that its version does not leave open") from None
        known = {file_key(directory, file): file for directory, file in tables.all_files()}
        if not image.files.keys() <= known.keys() or not image.files.keys() >= set(IN_USE):
            raise CardFileError(path, "has other files than its version")
        for key, records in image.files.items():
            _check(path, known[key], records)
        if image.pin is not None and not 0 <= image.pin.tries <= image.pin.limit <= MAX_TRIES:
            raise CardFileError(path, "has a wrong try counter")
        try:
            return cls(path, image, tables)
        except ValueError:
            raise CardFileError(path, "has a malformed ATR, PIN or record") from None

    @property
    def image(self) -> CardImage:
        """The card's content as it is on disk."""
        return self._image

    @property
    def tables(self) -> CardFiles:
        return self._tables

    def records(self, directory: Directory, file: File) -> tuple[bytes, ...]:
        """An EF's records, tag and length included; a cyclic file's newest is the first."""
        return self._files[file_key(directory, file)]

    def binary(self, directory: Directory, file: File) -> bytes:
        """A transparent EF's content, as long as its size."""
        return b"".join(self._files[file_key(directory, file)]).ljust(file.size, b"\0")

    def save(self) -> None:
        """Write the card file, whole and durably; `CardFileError` where that fails."""
        self._write(self._image)

    def reset(self) -> bytes:
        """Cold or warm reset: the ATR; what was selected and verified is forgotten."""
        self._power_on()
        return self._atr.to_bytes()

    def takes_data(self, ins: int) -> bool:
        """T=0 direction: whether this instruction's P3 is Lc and data follow the header."""
        return ins in (commands.SELECT, commands.VERIFY)

    def command(self, command: CommandApdu) -> ResponseApdu:
        """One T=0 command: case 4 answers `61xx`, a wrong Le `6Cxx`; there is no Le beside data."""
        if command.ins != commands.GET_RESPONSE:
            self._waiting = b""
        if command.cla != 0x00:
            return _refuse(status.SW_CLA_UNKNOWN)
        perform = self._commands().get(command.ins)
        return _refuse(status.SW_INS_UNKNOWN) if perform is None else perform(command)

    def _commands(self) -> dict[int, Callable[[CommandApdu], ResponseApdu]]:
        return {
            commands.SELECT: self._select,
            commands.READ_RECORD: self._read_record,
            commands.READ_BINARY: self._read_binary,
            commands.VERIFY: self._verify,
            commands.GET_RESPONSE: self._get_response,
        }

    def _power_on(self) -> None:
        self._waiting = b""
        self._pin_verified = False
        self._enter(self._tables.directories[0])

    def _enter(self, directory: Directory) -> None:
        self._directory = directory
        self._file: File | None = None
        self._record: int | None = None

    # SELECT

    def _select(self, command: CommandApdu) -> ResponseApdu:
        p1, data = command.p1, command.data
        if p1 not in SELECT_MODES or command.p2 not in (FIRST, NEXT):
            return _refuse(status.SW_WRONG_P1P2)
        if command.p2 == NEXT:  # going on by partial name is optional (ssc-card.md 3.1)
            return _refuse(status.SW_FUNCTION_NOT_SUPPORTED)
        if not _expected(command):
            return _refuse(status.SW_WRONG_LENGTH)
        if p1 == commands.BY_NAME:
            return self._select_name(data) if len(data) in NAME_BYTES else _refuse(status.SW_WRONG_LENGTH)
        if len(data) != 2 and (data or p1 != commands.BY_FID):
            return _refuse(status.SW_WRONG_LENGTH)
        directory = self._directory_of(data) if p1 == commands.BY_FID else None
        return self._select_ef(data) if directory is None else self._select_directory(directory)

    def _select_name(self, name: bytes) -> ResponseApdu:
        for directory in self._tables.directories:
            if directory.df_name and bytes.fromhex(directory.df_name) == name:
                return self._select_directory(directory)
        return _refuse(status.SW_FILE_NOT_FOUND)

    def _directory_of(self, fid: bytes) -> Directory | None:
        if not fid:
            return self._tables.directories[0]
        return next((each for each in self._tables.directories if bytes.fromhex(each.fid) == fid), None)

    def _select_directory(self, directory: Directory) -> ResponseApdu:
        self._enter(directory)
        self._waiting = _fci(directory, self._tables.algorithm)
        return _refuse(status.SW1_MORE_DATA << 8 | len(self._waiting))

    def _select_ef(self, fid: bytes) -> ResponseApdu:
        for file in self._directory.files:
            if file.fid == fid:
                self._file, self._record = file, None
                return ResponseApdu(b"", status.SW_SUCCESS)
        return _refuse(status.SW_FILE_NOT_FOUND)

    # READ RECORD

    def _read_record(self, command: CommandApdu) -> ResponseApdu:
        sfi, mode = command.p2 >> 3, command.p2 & 0b111
        if mode not in RECORD_MODES:
            return _refuse(status.SW_WRONG_P1P2)
        file = self._readable(sfi, transparent=False)
        if isinstance(file, ResponseApdu):
            return file
        records = self.records(self._directory, file)
        if mode in RECORD_SEARCHES:
            chosen = [] if file.structure == "cyclic" else self._search(records, command.p1, mode)
        else:
            chosen = self._count(records, command.p1, mode)
        if not chosen:
            return _refuse(status.SW_RECORD_NOT_FOUND)
        data = b"".join(records[index] for index in chosen)
        if len(data) > MAX_ANSWER:
            return _refuse(status.SW_FUNCTION_NOT_SUPPORTED)
        return _answer(data, command)

    def _readable(self, sfi: int, *, transparent: bool) -> File | ResponseApdu:
        """The current file or that of the SFI, which becomes the current one; or the status word that refuses it."""
        file = self._file_of(sfi) if sfi else self._file
        if file is None:
            return _refuse(status.SW_FILE_NOT_FOUND if sfi else status.SW_NO_CURRENT_EF)
        if sfi:
            self._file, self._record = file, None
        if (file.structure == "transparent") is not transparent:
            return _refuse(status.SW_FILE_STRUCTURE)
        if not granted(file.read, self._rights()):
            return _refuse(status.SW_SECURITY_STATUS)
        return file

    def _file_of(self, sfi: int) -> File | None:
        return next((file for file in self._directory.files if file.sfi == sfi), None)

    def _count(self, records: tuple[bytes, ...], p1: int, mode: int) -> list[int]:
        """Indexes by record number; 00 is the current record. The pointer stays (ssc-card.md 4.1)."""
        index = p1 - 1 if p1 else self._record
        if index is None or index >= len(records):
            return []
        if mode == commands.NUMBER:
            return [index]
        rest = list(range(index, len(records)))
        return rest if mode == commands.TO_LAST else rest[::-1]

    def _search(self, records: tuple[bytes, ...], tag: int, mode: int) -> list[int]:
        """The index of a record by tag; moves the pointer."""
        found = [index for index, record in enumerate(records) if record[0] == tag]
        if mode == commands.NEXT_TAG and self._record is not None:
            found = [index for index in found if index > (self._record or 0)]
        if mode == commands.PREVIOUS_TAG and self._record is not None:
            found = [index for index in found if index < (self._record or 0)]
        if not found:
            return []
        self._record = found[0 if mode in (commands.FIRST_TAG, commands.NEXT_TAG) else -1]
        return [self._record]

    def _rights(self) -> frozenset[str]:
        return frozenset({"PIN"} if self._pin_verified or self._image.pin is None else ())

    # READ BINARY

    def _read_binary(self, command: CommandApdu) -> ResponseApdu:
        sfi, offset = 0, command.p1 << 8 | command.p2
        if command.p1 & commands.SFI_IN_P1:
            sfi, offset = command.p1 & 0x1F, command.p2
            if command.p1 & 0x60 or not sfi:
                return _refuse(status.SW_WRONG_P1P2)
        file = self._readable(sfi, transparent=True)
        if isinstance(file, ResponseApdu):
            return file
        rest = self.binary(self._directory, file)[offset:]
        if not rest:
            return _refuse(status.SW_OFFSET_OUTSIDE)
        length = _p3(command) or min(MAX_ANSWER, len(rest))  # Le 00 asks for what there is (ssc-card.md 4.1)
        if length > len(rest):
            return _refuse(status.SW1_WRONG_LE << 8 | len(rest))
        return ResponseApdu(rest[:length], status.SW_SUCCESS)

    # VERIFY

    def _verify(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 or command.p2:
            return _refuse(status.SW_WRONG_P1P2)
        if not _expected(command) or (command.data and len(command.data) not in PIN_BYTES):
            return _refuse(status.SW_WRONG_LENGTH)
        pin = self._image.pin
        if pin is None:
            return _refuse(0x63C0) if command.data else ResponseApdu(b"", status.SW_SUCCESS)
        if pin.tries == 0:
            return _refuse(status.SW_AUTHENTICATION_BLOCKED)
        if not command.data:
            return _refuse(0x63C0 | pin.tries)
        self._pin_verified = False
        # One try is gone for good before the comparison, so that pulling the card in between gives none back.
        self._set_tries(pin.tries - 1)
        if not hmac.compare_digest(command.data, self._pin_block):
            return _refuse(0x63C0 | (pin.tries - 1))
        self._set_tries(pin.limit)
        self._pin_verified = True
        return ResponseApdu(b"", status.SW_SUCCESS)

    def _set_tries(self, tries: int) -> None:
        if self._image.pin is None or not self.path.exists():
            raise CardFileError(self.path, "is gone")
        pin = msgspec.structs.replace(self._image.pin, tries=tries)
        image = msgspec.structs.replace(self._image, pin=pin)
        self._write(image)
        self._image = image

    # GET RESPONSE

    def _get_response(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 or command.p2:
            return _refuse(status.SW_WRONG_P1P2)
        waiting, length = self._waiting, _p3(command)
        if not waiting:
            return _refuse(status.SW_INVALID_DATA)
        if length == 0 or length > len(waiting):
            return _refuse(status.SW1_WRONG_LE << 8 | len(waiting))
        self._waiting = waiting[length:]
        sw = status.SW1_MORE_DATA << 8 | len(self._waiting) if self._waiting else status.SW_SUCCESS
        return ResponseApdu(waiting[:length], sw)

    def _write(self, image: CardImage) -> None:
        text = msgspec.json.format(msgspec.json.encode(image), indent=2)
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            with new.open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise CardFileError(self.path, error.strerror or "cannot be written") from None
