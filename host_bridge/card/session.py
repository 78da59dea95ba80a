"""The social security application on a card, read through its file table (ssc-card.md 9.1, 9.3)."""

import secrets
from collections.abc import Callable
from datetime import date
from typing import TypeVar

import msgspec

from host_bridge.card.authentication import PIN_KEY, Authentication, CardFacts, algorithm_of, keys_of
from host_bridge.card.errors import (
    AccessRefused,
    CardBlocked,
    CardError,
    CardIdMalformed,
    FileMissing,
    KeyMissing,
    MalformedFile,
    NotSupported,
    PinFormat,
    PinOutcomeUnknown,
    WrongCard,
    refusal,
    sending,
)
from host_bridge.card.security_module import NoSecurityModule, SecurityModule
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.card.values import Values
from host_bridge.readers.reader import CardConnection
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.iso7816.tlv import TlvError, parse_tlvs
from protocols.sscard import commands
from protocols.sscard.content import Content, FileDecoder
from protocols.sscard.files import CardFiles, Directory, File, card_files, granted
from protocols.sscard.identity import age_on, psn_type_of
from protocols.sscard.pin import PinFormatError, pin_block, wipe

ISSUER_VERSION = "2.00"
"""SSSE EF05 has the same items in every version and names the version (ssc-card.md 3.3, 9.2)."""
HISTORICAL_BYTES = 13
MAX_ANSWER = 256
RECORD_OVERHEAD = 9
"""What one READ RECORD costs on the line beside the record, in characters: header, procedure byte, status word and two
changes of direction (reader.md E.1)."""
LAST_RECORD = 0xFE
LAST_OFFSET = 0x7FFF
APPLICATION_ID = "D156000005"
FCI, DF_NAME = 0x6F, 0x84

_Found = TypeVar("_Found")

REFUSED = frozenset({status.SW_SECURITY_STATUS, status.SW_CONDITIONS_OF_USE, status.SW_APPLICATION_BLOCKED})
"""What a range of records and a single one are refused with alike."""
P1_REFUSED = frozenset({status.SW_FUNCTION_NOT_SUPPORTED, status.SW_WRONG_P1P2, status.SW_WRONG_LENGTH})
"""How a card refuses a form of SELECT that it does not know."""


class Issuer(msgspec.Struct, frozen=True):
    """SSSE EF05: `card_id` in hexadecimal, `version` as written, `expiry_date` None where blank."""

    card_id: str
    card_class: str
    version: str
    issue_date: date
    expiry_date: date | None
    card_no: str


class Holder(msgspec.Struct, frozen=True):
    """SSSE EF06: social security number, name with its extension, sex, ethnic group, date of birth."""

    certno: str
    name: str
    gend: str
    naty: str
    brdy: date


class Insurance(msgspec.Struct, frozen=True):
    """DF04 EF05: `psn_type` the national code, `person_class` tag 8C, `flags` characters 4 to 8 of tag 81."""

    insutype: str
    psn_type: str
    insuplc_admdvs: str
    person_class: str
    flags: str


def _refusal(sw: int, ins: int, file: File | None = None) -> CardError:
    if sw == status.SW_SECURITY_STATUS and file is not None and not granted(file.read, frozenset({"PIN"})):
        return KeyMissing(sw, file.read)
    return refusal(sw, ins)


def _value(path: str, tag: int, record: bytes) -> bytes:
    """The value of the one record that was asked for."""
    try:
        (item,) = parse_tlvs(record)
    except ValueError:
        raise MalformedFile(path, tag) from None
    if item.tag != tag:
        raise MalformedFile(path, tag)
    return item.value


def _df_name(fci: bytes) -> bytes | None:
    """Tag 84 of an FCI template (ssc-card.md 3.1)."""
    try:
        (template,) = parse_tlvs(fci)
        names = [item.value for item in parse_tlvs(template.value) if item.tag == DF_NAME]
    except ValueError:
        return None
    return names[0] if template.tag == FCI and len(names) == 1 else None


class CardSession:
    """One powered card; every step may raise a `CardError`, and reader errors pass through.

    It does the T=0 follow-up itself, so any `CardConnection` will do, also one that gives whole answers. An EF is
    selected with P1 = 02, and with 00 on a card that refuses this. Reset or reconnect means a new session.

    A file behind a key is opened through the terminal's security `module`, where there is one. `random` gives so many
    random bytes.
    """

    def __init__(
        self,
        connection: CardConnection,
        module: SecurityModule | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._connection = T0FollowUp(connection)
        self._module = module
        self._random = random
        self._algorithm: int | None = None
        self._region = ""
        self._authentication: Authentication | None = None
        self._select_ef = commands.select_ef
        self._tables: CardFiles | None = None
        self._directory: Directory | None = None
        self._file: File | None = None
        self._ranges = True
        self._brdy: date | None = None

    def read_issuer(self) -> Issuer:
        """SSSE EF05: who issued the card, until when, and the version that says how to read the rest.

        `WrongCard`; `CardIdMalformed` where there is no identification code or its region is not the chip's;
        `NotSupported` for a version without a table.
        """
        values = self._read(card_files(ISSUER_VERSION), "SSSE", "EF05", (0x01, 0x02, 0x03, 0x05, 0x06, 0x07))
        card_id = values.raw(0x01).hex().upper()
        chip_region = self._connection.atr.historical_bytes[7:9].hex()
        if not card_id[:6].isdecimal() or card_id[:4] != chip_region or card_id[6:16] != APPLICATION_ID:
            raise CardIdMalformed
        self._region = card_id[:6]
        version = values.text(0x03)
        try:
            self._tables = card_files(version)
        except KeyError:
            raise NotSupported(0x03) from None
        return Issuer(
            card_id=card_id,
            card_class=values.text(0x02),
            version=version,
            issue_date=values.date(0x05),
            expiry_date=None if values.blank(0x06) else values.date(0x06),
            card_no=values.text(0x07),
        )

    def read_holder(self) -> Holder:
        """SSSE EF06, behind a key on cards of version 3.00 (ssc-card.md 9.2, 10 no. 2).

        `KeyMissing` where there is no security module, otherwise `NotGenuine`, `KeyWrong` and the module's errors.
        """
        tables, tags = self._known_tables(), (0x08, 0x09, 0x4E, 0x0A, 0x0B, 0x0D)
        values = self._unlocked(lambda: self._read(tables, "SSSE", "EF06", tags))
        holder = Holder(
            certno=values.text(0x08),
            name=values.joined(0x09, extension=0x4E),
            gend=values.text(0x0A),
            naty=values.digits(0x0B),
            brdy=values.date(0x0D),
        )
        self._brdy = holder.brdy
        return holder

    def pin_tries(self) -> int | None:
        """Tries left, 0 when locked, None on a card without PIN; uses none (ssc-card.md 4.1)."""
        sw = self._in_ssse(commands.verify_status())
        if sw == status.SW_SUCCESS:
            return None
        if sw == status.SW_AUTHENTICATION_BLOCKED:
            return 0
        tries = status.tries_left(sw)
        if tries is None:
            raise refusal(sw, commands.VERIFY)
        return tries

    def verify_pin(self, digits: bytearray) -> None:
        """VERIFY 4 to 16 ASCII digits and wipe `digits`, whatever happens.

        `PinWrong` carries the tries left; `PinLocked` when this was the last one or none was left;
        `PinFormat` before the card is asked.
        """
        block = bytearray()
        try:
            block = pin_block(digits)
            # The command keeps a copy that cannot be wiped; it lives for this one exchange.
            sw = self._in_ssse(commands.verify_pin(block))
        except PinFormatError:
            raise PinFormat from None
        finally:
            wipe(digits)
            wipe(block)
        if sw != status.SW_SUCCESS:
            raise refusal(sw, commands.VERIFY)

    def change_pin(self, old: bytearray, new: bytearray) -> None:
        """CHANGE PIN from 4 to 16 ASCII digits to others; both are wiped, whatever happens (ssc-card.md 9.4).

        The tries are back to the maximum after it. `PinWrong` and `PinLocked` are about the old PIN; `PinFormat`
        before the card is asked; `PinOutcomeUnknown` where card or reader went before the answer. The new PIN is not
        verified by this.
        """
        blocks = bytearray(), bytearray()
        try:
            blocks = pin_block(old), pin_block(new)
            self.select_application()
            with sending(PinOutcomeUnknown):
                sw = self._connection.transmit(commands.change_pin(*blocks)).sw
        except PinFormatError:
            raise PinFormat from None
        finally:
            for secret in (old, new, *blocks):
                wipe(secret)
        if sw != status.SW_SUCCESS:
            raise refusal(sw, commands.CHANGE_PIN)

    def select_application(self) -> None:
        """Make the SSSE current, as a PIN command that a pad sends needs it."""
        self._enter(card_files(ISSUER_VERSION).directory("SSSE"))

    def read_insurance(self, on: date) -> Insurance:
        """DF04 EF05, after the PIN; `on` is today: a resident's person kind depends on the age.

        `AccessRefused` without the right; `NotSupported` for a person class that has no national code, and for a
        version 1.00 card whose items have not been rewritten with the meaning of 2.00 (ssc-card.md 3.9).
        """
        tables = self._known_tables()
        values = self._read(tables, "DF04", "EF05", (0x81, 0x84, 0x8C))
        if tables.rewritten:
            values = values.rewritten(card_files(tables.rewritten).directory("DF04").file("EF05"))
        kind, person_class = values.text(0x81), values.text(0x8C)
        brdy = self._brdy or self.read_holder().brdy
        try:
            psn_type = psn_type_of(person_class, kind[:3], age_on(brdy, on))
        except KeyError:
            raise NotSupported(0x8C) from None
        return Insurance(kind[:3], psn_type, values.digits(0x84), person_class, kind[3:])

    def read_file(self, df: str, ef: str) -> tuple[Content, ...]:
        """Everything in a file such as `DF04`, `EF05`, items that the table does not know included.

        `KeyError` where the table of the card's version has no such file, `FileMissing` where the card has not,
        `AccessRefused` before the PIN; where only a key opens it, as `read_holder`.
        """
        tables = self._known_tables()
        directory = tables.directory(df)
        file = directory.file(ef)
        return self._unlocked(lambda: self._contents(tables, directory, file))

    def unblock_pin(self) -> None:
        """Restore the tries of the PIN, with keys that an agency's terminal alone may use (ssc-card.md 9.5).

        `NoSecurityModule`, `KeyRefused` and the rest of the module's errors; `KeyWrong`, `KeyLocked`;
        `UnblockOutcomeUnknown` where card or reader went before the last answer.
        """
        self._maintenance().unblock_pin()

    def reset_pin(self, new: bytearray) -> None:
        """Set a PIN of 4 to 16 ASCII digits, which are wiped, and restore its tries; errors as `unblock_pin`.

        `PinFormat` before the card is asked; `PinOutcomeUnknown` for `UnblockOutcomeUnknown`.
        """
        try:
            self._maintenance().reset_pin(new)
        except PinFormatError:
            raise PinFormat from None
        finally:
            wipe(new)

    def _unlocked(self, read: Callable[[], _Found]) -> _Found:
        """What `read` gives; where only keys open it, after authentication with them, once."""
        try:
            return read()
        except KeyMissing as missing:
            keys = keys_of(missing.rule)
            if self._module is None or not keys:
                raise
            rule = missing.rule
        for key in keys:
            self._keys(self._module).external(key, "read")
        try:
            return read()
        except KeyMissing as missing:
            if "PIN" in rule.split():
                raise AccessRefused(missing.sw) from None
            raise

    def _maintenance(self) -> Authentication:
        if self._module is None:
            raise NoSecurityModule(PIN_KEY)
        keys = self._keys(self._module)
        self.select_application()
        return keys

    def _keys(self, module: SecurityModule) -> Authentication:
        if self._authentication is None:
            tables = self._known_tables()
            facts = CardFacts(tables, self._algorithm or tables.algorithm, self._region)
            self._authentication = Authentication(self._connection, module, facts, self._random)
        return self._authentication

    def _contents(self, tables: CardFiles, directory: Directory, file: File) -> tuple[Content, ...]:
        self._enter(directory)
        decoder = FileDecoder(tables, directory, file)
        if file.structure == "transparent":
            return decoder.binary(self._binary(file))
        records = None if file.structure == "cyclic" else self._range(file)
        return decoder.records(self._one_by_one(file) if records is None else records)

    def _range(self, file: File) -> tuple[bytes, ...] | None:
        """All records of a file at once, by SFI; None where the card or the length of an answer does not allow it."""
        expected = sum(item.record_length for item in file.records)
        if not self._ranges or not 0 < expected <= MAX_ANSWER:
            return None
        self._file = None
        by_sfi = commands.read_record(1, expected, sfi=file.sfi, mode=commands.TO_LAST)
        answer = self._connection.transmit(by_sfi)
        if answer.sw == status.SW_RECORD_NOT_FOUND:
            return ()
        if answer.sw in REFUSED:
            raise _refusal(answer.sw, commands.READ_RECORD, file)
        self._ranges = answer.sw == status.SW_SUCCESS
        try:
            found = parse_tlvs(answer.data)
        except TlvError:
            return None
        return tuple(each.to_bytes() for each in found) if self._ranges else None

    def _one_by_one(self, file: File) -> tuple[bytes, ...]:
        """The records of a file by number."""
        self._open(file)
        if file.structure == "cyclic":
            expected = [file.record_length] * file.capacity
        else:
            expected = [item.record_length for item in file.records]
        records: list[bytes] = []
        while len(records) < LAST_RECORD:
            length = expected[len(records)] if len(records) < len(expected) else MAX_ANSWER
            answer = self._connection.transmit(commands.read_record(len(records) + 1, length))
            if answer.sw == status.SW_RECORD_NOT_FOUND:
                break
            if answer.sw != status.SW_SUCCESS:
                raise _refusal(answer.sw, commands.READ_RECORD, file)
            records.append(answer.data)
        return tuple(records)

    def _binary(self, file: File) -> bytes:
        """All of a transparent file, however long the card's is (ssc-card.md 10 no. 3, 4)."""
        self._open(file)
        content = b""
        while len(content) <= LAST_OFFSET:
            answer = self._connection.transmit(commands.read_binary(len(content), MAX_ANSWER))
            if answer.sw == status.SW_OFFSET_OUTSIDE:
                break
            if answer.sw != status.SW_SUCCESS:
                raise _refusal(answer.sw, commands.READ_BINARY, file)
            content += answer.data
            if len(answer.data) < MAX_ANSWER:
                break
        return content

    def _known_tables(self) -> CardFiles:
        return self._tables or card_files(self.read_issuer().version)

    def _in_ssse(self, command: CommandApdu) -> int:
        self.select_application()
        return self._connection.transmit(command).sw

    def _read(self, tables: CardFiles, directory_name: str, ef: str, tags: tuple[int, ...]) -> Values:
        """The records with these tags: the whole file at once where that is shorter on the line, else by tag.

        Either way items that we do not know do not matter.
        """
        directory = tables.directory(directory_name)
        file = directory.file(ef)
        self._enter(directory)
        lengths = {item.tag: item.record_length for item in file.items}
        wanted = {tag: lengths[tag] for tag in tags if tag in lengths}  # version 1.00 has no name extension
        records = None
        if sum(wanted.values()) + RECORD_OVERHEAD * (len(wanted) - 1) > sum(
            item.record_length for item in file.records
        ):
            records = self._range(file)
        if records is None:
            return Values(f"{directory.name} {file.ef}", file, self._by_tag(directory, file, wanted))
        values = {record[0]: record[2:] for record in reversed(records) if record[0] in wanted}
        return Values(f"{directory.name} {file.ef}", file, values)

    def _by_tag(self, directory: Directory, file: File, lengths: dict[int, int]) -> dict[int, bytes]:
        """The values of these tags, as far as the card has them."""
        self._open(file)
        values: dict[int, bytes] = {}
        for tag, length in lengths.items():
            answer = self._connection.transmit(commands.read_tag(tag, length))
            if answer.sw == status.SW_RECORD_NOT_FOUND:
                continue
            if answer.sw != status.SW_SUCCESS:
                raise _refusal(answer.sw, commands.READ_RECORD, file)
            values[tag] = _value(f"{directory.name} {file.ef}", tag, answer.data)
        return values

    def _enter(self, directory: Directory) -> None:
        if self._directory is not None and self._directory.name == directory.name:
            return
        if len(self._connection.atr.historical_bytes) != HISTORICAL_BYTES:
            raise WrongCard("answer to reset")
        name = bytes.fromhex(directory.df_name)
        if not name:
            self._enter(card_files(ISSUER_VERSION).directory("SSSE"))
        self._directory = self._file = None
        by_fid = commands.select_fid(bytes.fromhex(directory.fid))
        answer = self._connection.transmit(commands.select_name(name) if name else by_fid)
        if answer.sw == status.SW_FILE_NOT_FOUND:
            raise WrongCard("no SSSE") if directory.name == "SSSE" else FileMissing(answer.sw, directory.name)
        if answer.sw == status.SW_FUNCTION_NOT_SUPPORTED:
            raise CardBlocked(answer.sw)
        if answer.sw != status.SW_SUCCESS:
            raise refusal(answer.sw, commands.SELECT)
        if name and answer.data and _df_name(answer.data) != name:
            raise WrongCard("DF name")
        if directory.name == "SSSE":
            self._algorithm = algorithm_of(answer.data)
        self._directory = directory

    def _open(self, file: File) -> None:
        if self._file is file:
            return
        sw = self._connection.transmit(self._select_ef(file.fid)).sw
        if sw in P1_REFUSED and self._select_ef is commands.select_ef:
            self._select_ef = commands.select_fid
            sw = self._connection.transmit(self._select_ef(file.fid)).sw
        if sw == status.SW_FILE_NOT_FOUND:
            raise FileMissing(sw, file.ef)
        if sw != status.SW_SUCCESS:
            raise refusal(sw, commands.SELECT)
        self._file = file
