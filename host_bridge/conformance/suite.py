"""The suite: every case for a card's version, each begun with the card just powered on."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from host_bridge.card.errors import CardIdMalformed, NotSupported, WrongCard
from host_bridge.card.sam_module import SamModule
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.conformance import atr, block, challenge, firewall, key_version, parameters, pin, record, safety
from host_bridge.conformance.atr import HISTORICAL_BYTES, REGION
from host_bridge.conformance.card import Card, Tester, missing_right
from host_bridge.conformance.case import Case, Finding, Lacking, Outcome, Reason, Result, Suite, Unable, Unexpected
from host_bridge.conformance.keys import DerivedKeys, Keys, Roots
from host_bridge.conformance.report import Fact
from host_bridge.conformance.sam_keys import SamKeys
from host_bridge.readers.reader import CardConnection, CardMute, Reader
from protocols.iso7816 import status
from protocols.sscard import commands
from protocols.sscard.files import CardFiles, card_files
from protocols.sscard.items import ItemError

SUITE = Suite(
    "card",
    "社会保障卡一致性检查",
    "Conformance of a social security card",
    {
        "ATR": ("复位应答", "Answer to reset"),
        "RECORD": ("文件与记录", "Files and records"),
        "SAFETY": ("存取条件", "Access conditions"),
        "PIN": ("密码", "PIN"),
        "CHALLENGE": ("随机数与认证", "Challenge and authentication"),
        "KEY_VER": ("密钥版本", "Key versions"),
        "PARAM": ("命令参数", "Command parameters"),
        "FIREWALL": ("应用间防火墙", "Firewall between applications"),
        "BLOCK": ("应用与卡锁定", "Blocking of application and card"),
    },
    "ssc-card.md",
)
"""Groups of ssc-card.md 8: what cannot be undone comes last."""
ISSUER = card_files("2.00").directory("SSSE")
"""The issuer's file is the same in every version and names it (ssc-card.md 3.3)."""
CARD_ID, VERSION = 0x01, 0x03
REGION_DIGITS = 6
CIPHERS = {1: "3DES", 3: "SM4"}

Clock = Callable[[], float]


class Subject(NamedTuple):
    """The card under test: its table, and what its keys are derived from. `atr` is shown without serial."""

    tables: CardFiles
    region: str
    historical_bytes: bytes
    atr: str

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What a report says of it."""
        return (
            Fact("version", "规范版本", "Version", self.tables.version),
            Fact("algorithm", "算法", "Algorithm", CIPHERS.get(self.tables.algorithm, "")),
            Fact("atr", "复位应答", "Answer to reset", self.atr),
        )

    def keys(self, source: Roots | SamModule) -> Keys | None:
        """The card's keys; None where it does not agree with itself about what they are derived from."""
        told = self.historical_bytes[REGION].hex()
        if len(self.historical_bytes) != HISTORICAL_BYTES or told != self.region[: len(told)]:
            return None
        if isinstance(source, SamModule):
            return SamKeys(source, self.tables, self.region, self.historical_bytes)
        return DerivedKeys(source, self.tables, self.region, self.historical_bytes)


def read_subject(connection: CardConnection) -> Subject:
    """The card in the reader; `WrongCard`, `CardIdMalformed` or `NotSupported` where the suite cannot know it."""
    whole = T0FollowUp(connection)
    if whole.transmit(commands.select_name(bytes.fromhex(ISSUER.df_name))).sw != status.SW_SUCCESS:
        raise WrongCard("no SSSE")
    whole.transmit(commands.select_ef(ISSUER.file("EF05").fid))
    found = {}
    for tag in (CARD_ID, VERSION):
        item = ISSUER.file("EF05").item(tag)
        answer = whole.transmit(commands.read_tag(tag, item.record_length))
        try:
            found[tag] = item.decode(answer.data[2:])
        except ItemError:
            raise NotSupported(tag) from None
    region = found[CARD_ID][:REGION_DIGITS]
    if not region.isdecimal():
        raise CardIdMalformed
    try:
        tables = card_files(found[VERSION])
    except KeyError:
        raise NotSupported(VERSION) from None
    raw, historical = connection.atr.to_bytes().hex().upper(), connection.atr.historical_bytes
    return Subject(tables, region, historical, raw[:26] + "*" * len(raw[26:]))


def all_cases(tables: CardFiles) -> tuple[Case, ...]:
    """Every case for a version, in the order of the groups."""
    return (
        *atr.CASES,
        *record.cases(tables),
        *safety.cases(tables),
        *pin.cases(tables),
        *challenge.cases(tables),
        *key_version.cases(tables),
        *parameters.CASES,
        *firewall.cases(tables),
        *block.cases(tables),
    )


def run_cases(
    reader: Reader, tables: CardFiles, cases: Sequence[Case], tester: Tester, clock: Clock
) -> Iterator[Result]:
    """The result of each case as it ends; `ReaderError` where the reader or the card goes away."""
    for case in cases:
        began = clock()
        outcome, finding, reason = _run(reader, tables, case, tester)
        yield Result(case, outcome, clock() - began, finding, reason)


def _run(
    reader: Reader, tables: CardFiles, case: Case, tester: Tester
) -> tuple[Outcome, Finding | None, Reason | None]:
    right = missing_right(case.needs, tester.rights(tables))
    if right is not None:
        return "skipped", None, Lacking(right).reason
    connection = reader.connect()
    try:
        case.check(Card(connection, tables, tester))
    except Unexpected as error:
        return "failed", error.finding, None
    except Unable as error:
        return "skipped", None, error.reason
    except CardMute:
        return "failed", Finding(case.id, "an answer", "none"), None
    finally:
        connection.disconnect()
    return "passed", None, None
