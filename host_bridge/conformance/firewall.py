"""FIREWALL: what was gained in one application does not count in another (ssc-card.md 4.1, 8)."""

from functools import partial

from host_bridge.conformance.card import OK, Card
from host_bridge.conformance.case import Case
from host_bridge.conformance.record import read_first
from protocols.iso7816 import status
from protocols.sscard.files import CardFiles

INSURANCE = ("DF04", "EF05")
"""The PIN or the reading key of its directory opens it, in every version (ssc-card.md 3.7)."""
OTHER = "DF03"
PASSED_ON_THE_WAY = ("DF03", "DF02")
READ = (OK, status.SW_RECORD_NOT_FOUND)


def key_of_other(key: str, card: Card) -> None:
    """A key of DF03 with the same id opens nothing in DF04."""
    card.must_have_pin()
    card.gain((key,), OTHER)
    card.enter(INSURANCE[0])
    card.expect(read_first(card.select(*INSURANCE)), status.SW_SECURITY_STATUS)


def left(key: str, card: Card) -> None:
    """A directory that was left and entered again is closed."""
    card.must_have_pin()
    card.gain((key,), INSURANCE[0])
    card.require(read_first(card.select(*INSURANCE)), *READ)
    card.enter(OTHER)
    card.enter(INSURANCE[0])
    card.expect(read_first(card.select(*INSURANCE)), status.SW_SECURITY_STATUS)


def pin_stays(card: Card) -> None:
    card.gain(("PIN",), INSURANCE[0])
    card.require(read_first(card.select(*INSURANCE)), *READ)
    card.reset()
    card.gain(("PIN",), "SSSE")
    for directory in (*PASSED_ON_THE_WAY, INSURANCE[0]):
        card.enter(directory)
    card.expect(read_first(card.select(*INSURANCE)), *READ)


def challenge(key: str, card: Card) -> None:
    """A challenge fetched in the SSSE proves nothing in DF04."""
    card.enter("SSSE")
    fetched = card.challenge()
    card.enter(INSURANCE[0])
    try:
        card.expect(card.proof(key, fetched), status.SW_REFERENCED_DATA_INVALID)
    finally:
        card.restore_tries(key)


def cases(tables: CardFiles) -> tuple[Case, ...]:
    key, other = tables.keys.of(INSURANCE[0], "reading")[0].name, tables.keys.of(OTHER, "reading")[0].name
    return (
        Case(
            "FIREWALL.key_of_other",
            f"{OTHER} 的密钥在 {INSURANCE[0]} 无效",
            f"A key of {OTHER} opens nothing in {INSURANCE[0]}",
            "4.1, 8",
            partial(key_of_other, other),
            (other,),
        ),
        Case(
            "FIREWALL.left",
            "离开应用后密钥状态消失",
            "Leaving an application ends what a key gave",
            "4.1, 8",
            partial(left, key),
            (key,),
        ),
        Case(
            "FIREWALL.pin_stays",
            "换应用后密码状态保留",
            "What the PIN gave stays with another application",
            "4.1",
            pin_stays,
            ("PIN",),
        ),
        Case(
            "FIREWALL.challenge",
            "随机数只在本应用内有效",
            "A challenge counts in its application only",
            "4.1",
            partial(challenge, key),
            (key,),
        ),
    )
