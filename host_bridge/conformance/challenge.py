"""CHALLENGE: random numbers, and what EXTERNAL and INTERNAL AUTHENTICATION do with them (ssc-card.md 4.1, 6.3)."""

from functools import partial

from host_bridge.conformance.card import ANY_TRIES, CHALLENGE_BYTES, OK, Card
from host_bridge.conformance.case import DESTRUCTIVE, Case, Unexpected, step_name
from protocols.iso7816 import status
from protocols.sscard import commands
from protocols.sscard.files import CardFiles
from protocols.sscard.security import FACTOR_BYTES, SOURCE_BYTES

LENGTHS, NO_LENGTHS = (4, 8, 16), (1, 5, 17)
INTERNAL = "IRK"


def lengths(card: Card) -> None:
    card.enter("SSSE")
    for length in LENGTHS:
        command = commands.get_challenge(length)
        answer = card.expect(command, OK)
        if len(answer.data) != length:
            raise Unexpected(step_name(command), f"{length} bytes", f"{len(answer.data)} bytes")


def other_lengths(card: Card) -> None:
    card.enter("SSSE")
    for length in NO_LENGTHS:
        card.expect(commands.get_challenge(length), status.SW_WRONG_LENGTH)


def fresh(card: Card) -> None:
    card.enter("SSSE")
    command = commands.get_challenge(CHALLENGE_BYTES)
    if card.require(command).data == card.require(command).data:
        raise Unexpected(step_name(command), "another challenge", "the same again")


def internal(card: Card) -> None:
    card.enter("SSSE")
    factor, source = card.tester.random(FACTOR_BYTES), card.tester.random(SOURCE_BYTES)
    command = commands.internal_authentication(factor, source)
    answer = card.expect(command, OK)
    if answer.data != card.keys(INTERNAL).authentication_data(INTERNAL, factor, source):
        raise Unexpected(step_name(command), f"authentication data of {INTERNAL}", "other data")


def absent(key: str, card: Card) -> None:
    card.gain((key,), "SSSE")
    card.reset()
    card.enter("SSSE")
    try:
        card.expect(card.proof(key, bytes(CHALLENGE_BYTES)), status.SW_REFERENCED_DATA_INVALID)
    finally:
        card.restore_tries(key)


def once(key: str, card: Card) -> None:
    card.enter("SSSE")
    proof = card.proof(key, card.challenge())
    card.require(proof)
    try:
        card.expect(proof, status.SW_REFERENCED_DATA_INVALID)
    finally:
        card.restore_tries(key)


def latest(key: str, card: Card) -> None:
    card.gain((key,), "SSSE")
    first, _ = card.challenge(), card.challenge()
    try:
        card.expect(card.proof(key, first), *ANY_TRIES)
    finally:
        card.restore_tries(key)


def global_key(tables: CardFiles) -> str:
    """The key of the SSSE that a tester is likeliest to have: the one for reading, where the version has it."""
    reading = [key.name for key in tables.keys.of("SSSE", "reading") if key.name == "RKSSSE"]
    return reading[0] if reading else "UKSSSE"


def cases(tables: CardFiles) -> tuple[Case, ...]:
    key = global_key(tables)
    return (
        Case("CHALLENGE.lengths", "4、8、16 字节", "4, 8 and 16 bytes", "4.1", lengths),
        Case("CHALLENGE.other_lengths", "其他 Le 为 6700", "Another Le: 6700", "4.4, 8", other_lengths),
        Case("CHALLENGE.fresh", "每次不同", "Another one each time", "4.1", fresh),
        Case("CHALLENGE.internal", "内部认证数据正确", "The card proves its IRK", "6.3, 9.2", internal, (INTERNAL,)),
        Case("CHALLENGE.absent", "没有随机数为 6984", "6984 without a challenge", "6.3", partial(absent, key), (key,)),
        Case("CHALLENGE.once", "随机数只用一次", "A challenge counts once", "4.1", partial(once, key), (key,)),
        Case(
            "CHALLENGE.latest",
            "只有最后一个随机数有效",
            "Only the latest challenge counts",
            "6.3",
            partial(latest, key),
            (key, DESTRUCTIVE),
        ),
    )
