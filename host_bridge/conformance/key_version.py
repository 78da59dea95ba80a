"""KEY_VER: every key is taken, and the optional 17th byte selects its version (ssc-card.md 4.1, 6.1, 8)."""

from functools import partial

from host_bridge.conformance.card import OK, Card
from host_bridge.conformance.case import Case, Lacking, Unexpected
from host_bridge.conformance.challenge import global_key
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands
from protocols.sscard.files import CardFiles
from protocols.sscard.security import AUTHENTICATION_BYTES, FACTOR_BYTES, SOURCE_BYTES

NO_VERSION, NO_KEY = 0xFF, 0x7F


def every_key(directory: str, card: Card) -> None:
    """Every key of a directory that the tester has, without 17th byte."""
    keys = card.tester.keys
    names = [
        key.name
        for key in card.tables.keys.rows
        if (key.directory, key.external, key.absent) == (directory, True, False)
        and key.id is not None
        and keys is not None
        and keys.versions(key.name)
    ]
    if not names:
        raise Lacking(f"{directory} *")
    card.enter(directory)
    for name in names:
        if name in card.tester.rejected:
            raise Unexpected(f"EXTERNAL AUTHENTICATION {name}", "9000", "refused in a check before")
        proof = card.proof(name, card.challenge())
        answer = card.send(proof)
        if answer.sw != OK:
            card.tester.rejected.add(name)
        card.check(proof, answer, OK)


def version(key: str, number: int, card: Card) -> None:
    if number not in card.keys(key).versions(key):
        raise Lacking(f"{key} {number}")
    card.enter("SSSE")
    card.expect(card.proof(key, card.challenge(), number), OK)


def unknown_external(key: str, card: Card) -> None:
    card.enter("SSSE")
    proof = card.proof(key, card.challenge())
    command = CommandApdu(proof.cla, proof.ins, proof.p1, proof.p2, proof.data + bytes((NO_VERSION,)))
    card.expect(command, status.SW_KEY_NOT_FOUND)


def unknown_internal(card: Card) -> None:
    card.enter("SSSE")
    factor, source = card.tester.random(FACTOR_BYTES), card.tester.random(SOURCE_BYTES)
    card.expect(commands.internal_authentication(factor, source, NO_VERSION), status.SW_KEY_NOT_FOUND)


def unknown_key(card: Card) -> None:
    card.enter("SSSE")
    card.challenge()
    data = card.tester.random(AUTHENTICATION_BYTES), card.tester.random(SOURCE_BYTES)
    card.expect(commands.external_authentication(NO_KEY, *data), status.SW_KEY_NOT_FOUND)


def cases(tables: CardFiles) -> tuple[Case, ...]:
    key = global_key(tables)
    homes = dict.fromkeys(row.directory for row in tables.keys.rows if row.external and not row.absent)
    return (
        *(
            Case(
                f"KEY_VER.{home}",
                f"{home} 的每个密钥都可认证",
                f"Every key of {home} is taken",
                "6.1, 6.3",
                partial(every_key, home),
            )
            for home in homes
        ),
        *(
            Case(
                f"KEY_VER.{number}",
                f"{key} 版本 {number}",
                f"Version {number} of {key}",
                "6.1, 8",
                partial(version, key, number),
                (key,),
            )
            for number in tables.keys.versions
        ),
        Case(
            "KEY_VER.unknown_external",
            "外部认证：没有的版本为 6A88",
            "EXTERNAL AUTHENTICATION, unknown version: 6A88",
            "8",
            partial(unknown_external, key),
            (key,),
        ),
        Case(
            "KEY_VER.unknown_internal",
            "内部认证：没有的版本为 6A88",
            "INTERNAL AUTHENTICATION, unknown version: 6A88",
            "8",
            unknown_internal,
        ),
        Case("KEY_VER.unknown_key", "没有的密钥为 6A88", "Unknown key: 6A88", "4.4", unknown_key),
    )
