"""BLOCK: application and card are blocked for ever, and only by who may (ssc-card.md 4.1, 6.3)."""

from functools import partial

from host_bridge.conformance.card import OK, Card
from host_bridge.conformance.case import DESTRUCTIVE, Case
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands
from protocols.sscard.files import CardFiles

FIRST, SECOND = "DF04", "DF03"
"""Applications that have a key for it: one is blocked for each check."""
CARD_KEY, CARD_MAC = "BK", "STK"


def application_without_right(directory: str, card: Card) -> None:
    card.enter(directory)
    command = card.with_mac(commands.application_block(), _mac_key(card.tables, directory))
    card.expect(command, status.SW_SECURITY_STATUS)


def application_with_wrong_mac(directory: str, card: Card) -> None:
    card.gain((_key(card.tables, directory),), directory)
    command = card.with_wrong_mac(commands.application_block(), _mac_key(card.tables, directory))
    card.expect(command, status.SW_MAC_WRONG)


def card_without_right(card: Card) -> None:
    card.enter("SSSE")
    card.expect(card.with_mac(commands.card_block(), CARD_MAC), status.SW_SECURITY_STATUS)


def application(directory: str, card: Card) -> None:
    card.gain((_key(card.tables, directory),), directory)
    card.expect(card.with_mac(commands.application_block(), _mac_key(card.tables, directory)), OK)
    card.expect(_select(card, directory), status.SW_APPLICATION_BLOCKED)


def application_stays(directory: str, card: Card) -> None:
    card.gain((_key(card.tables, directory),), directory)
    card.require(card.with_mac(commands.application_block(), _mac_key(card.tables, directory)))
    card.require(_select(card, directory), status.SW_APPLICATION_BLOCKED)
    card.reset()
    card.expect(_select(card, directory), status.SW_APPLICATION_BLOCKED)


def whole_card(card: Card) -> None:
    card.gain((CARD_KEY,), "SSSE")
    card.expect(card.with_mac(commands.card_block(), CARD_MAC), OK)
    card.expect(_select(card, "SSSE"), status.SW_FUNCTION_NOT_SUPPORTED)
    card.reset()
    card.expect(_select(card, "SSSE"), status.SW_FUNCTION_NOT_SUPPORTED)


def _select(card: Card, directory: str) -> CommandApdu:
    return commands.select_name(bytes.fromhex(card.tables.directory(directory).df_name))


def _key(tables: CardFiles, directory: str) -> str:
    return tables.keys.of(directory, "blocking")[0].name


def _mac_key(tables: CardFiles, directory: str) -> str:
    return tables.keys.of(directory, "MAC")[0].name


def cases(tables: CardFiles) -> tuple[Case, ...]:
    """The refusals first, then what cannot be undone, the card last."""
    first, second = (
        (_key(tables, directory), _mac_key(tables, directory), DESTRUCTIVE) for directory in (FIRST, SECOND)
    )
    return (
        Case(
            "BLOCK.application_without_right",
            "未认证不可锁定应用",
            "No application block without its key",
            "4.4",
            partial(application_without_right, FIRST),
            first[1:],
        ),
        Case(
            "BLOCK.application_with_wrong_mac",
            "MAC 错误不可锁定应用",
            "No application block with a wrong MAC",
            "4.4",
            partial(application_with_wrong_mac, FIRST),
            first,
        ),
        Case(
            "BLOCK.card_without_right",
            "未认证不可锁定卡",
            "No card block without its key",
            "4.4",
            card_without_right,
            (CARD_MAC, DESTRUCTIVE),
        ),
        Case(
            "BLOCK.application",
            f"{FIRST} 锁定后为 9303",
            f"9303 after the block of {FIRST}",
            "4.1",
            partial(application, FIRST),
            first,
        ),
        Case(
            "BLOCK.application_stays",
            f"{SECOND} 复位后仍锁定",
            f"The block of {SECOND} outlasts a reset",
            "4.1",
            partial(application_stays, SECOND),
            second,
        ),
        Case(
            "BLOCK.card",
            "卡锁定后一律为 6A81",
            "6A81 to everything after the card block",
            "4.1",
            whole_card,
            (CARD_KEY, CARD_MAC, DESTRUCTIVE),
        ),
    )
