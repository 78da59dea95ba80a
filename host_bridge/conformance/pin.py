"""PIN: verification, change, locking, unblocking and reset (ssc-card.md 4.1, 5). The PIN is afterwards what it was."""

import contextlib

from host_bridge.conformance.card import ANY_TRIES, OK, SAFE_TRIES, Card
from host_bridge.conformance.case import DESTRUCTIVE, Case, Unable, Unexpected
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands
from protocols.sscard.files import CardFiles

SHORT, LONG = b"\x12", bytes.fromhex("123456781234567812")
"""One byte and nine: no length of a PIN."""
TRIES = 0x63C0
MOST_TRIES = 15
WRONG, OTHER = 1, 2
"""How the last digit of another PIN differs: one that is only tried, and one that is set."""


def status_without_try(card: Card) -> None:
    card.enter("SSSE")
    tries = card.safe_tries()
    for _ in range(2):
        card.expect(commands.verify_status(), TRIES | tries)


def right(card: Card) -> None:
    if "PIN" in card.tester.rejected:
        raise Unexpected("VERIFY", f"{OK:04X}", "refused in a check before")
    card.enter("SSSE")
    card.safe_tries()
    card.expect(commands.verify_pin(card.pin_block()), OK)


def wrong(card: Card) -> None:
    card.enter("SSSE")
    tries = card.safe_tries(spare=1)
    try:
        card.expect(commands.verify_pin(card.pin_block(WRONG)), TRIES | tries - 1)
        card.expect(commands.verify_status(), TRIES | tries - 1)
    finally:
        _restore_tries(card)


def counter_restored(card: Card) -> None:
    card.enter("SSSE")
    tries = card.safe_tries(spare=1)
    card.require(commands.verify_pin(card.pin_block(WRONG)), *ANY_TRIES)
    card.require(commands.verify_pin(card.pin_block()))
    card.expect(commands.verify_status(), TRIES | tries)


def length(card: Card) -> None:
    card.enter("SSSE")
    card.safe_tries(spare=1)
    try:
        for block in (SHORT, LONG):
            card.expect(commands.verify_pin(block), status.SW_WRONG_LENGTH)
    finally:
        _restore_tries(card)


def change(card: Card) -> None:
    card.enter("SSSE")
    card.safe_tries()
    try:
        card.expect(commands.change_pin(card.pin_block(), card.pin_block(OTHER)), OK)
        card.expect(commands.verify_pin(card.pin_block(OTHER)), OK)
    finally:
        _restore(card)


def change_with_wrong(card: Card) -> None:
    card.enter("SSSE")
    tries = card.safe_tries(spare=1)
    try:
        card.expect(commands.change_pin(card.pin_block(WRONG), card.pin_block(OTHER)), TRIES | tries - 1)
    finally:
        _restore(card)


def change_to_short(card: Card) -> None:
    card.enter("SSSE")
    card.safe_tries(spare=1)
    try:
        card.expect(commands.change_pin(card.pin_block(), SHORT), status.SW_WRONG_DATA, status.SW_WRONG_LENGTH)
    finally:
        _restore(card)


def change_length(card: Card) -> None:
    card.enter("SSSE")
    card.safe_tries(spare=1)
    try:
        for old, new in ((b"", SHORT), (card.pin_block() + LONG, LONG)):
            card.expect(commands.change_pin(old, new), status.SW_WRONG_LENGTH)
    finally:
        _restore(card)


def lock(card: Card) -> None:
    _lock(card)
    try:
        card.expect(commands.verify_pin(card.pin_block()), status.SW_AUTHENTICATION_BLOCKED)
    finally:
        _restore(card)


def unblock(card: Card) -> None:
    tries = _lock(card)
    try:
        card.gain(("PUK",), "SSSE")
        card.expect(card.with_mac(commands.unblock_pin(), card.tables.keys.pin_mac.name), OK)
        card.expect(commands.verify_status(), TRIES | tries)
    finally:
        _restore(card)


def reset(card: Card) -> None:
    card.enter("SSSE")
    card.safe_tries()
    try:
        card.gain(("PUK",), "SSSE")
        card.expect(_reset(card, card.pin_block(OTHER)), OK)
        card.expect(commands.verify_pin(card.pin_block(OTHER)), OK)
    finally:
        _restore(card)


def unblock_without_right(card: Card) -> None:
    card.must_have_pin()
    card.expect(card.with_mac(commands.unblock_pin(), card.tables.keys.pin_mac.name), status.SW_SECURITY_STATUS)


def unblock_with_wrong_mac(card: Card) -> None:
    card.must_have_pin()
    card.gain(("PUK",), "SSSE")
    card.expect(card.with_wrong_mac(commands.unblock_pin(), card.tables.keys.pin_mac.name), status.SW_MAC_WRONG)


def wrong_puk(card: Card) -> None:
    card.gain(("PUK",), "SSSE")
    try:
        card.expect(card.wrong_proof("PUK", card.challenge()), *ANY_TRIES)
    finally:
        card.restore_tries("PUK")


def _lock(card: Card) -> int:
    """Use up every try; how many the PIN has."""
    card.enter("SSSE")
    card.verify()
    tries = card.safe_tries()
    for _ in range(MOST_TRIES):
        answer = card.send(commands.verify_pin(card.pin_block(WRONG)))
        if not status.tries_left(answer.sw):
            return tries
    raise Unable("密码锁不住", "the PIN does not lock")


def _restore_tries(card: Card) -> None:
    """All tries again by the right PIN, unless that would use the last."""
    with contextlib.suppress(Unable):
        if (card.tries() or 0) >= SAFE_TRIES and card.send(commands.verify_pin(card.pin_block())).sw != OK:
            card.tester.rejected.add("PIN")


def _restore(card: Card) -> None:
    """All tries and the tester's PIN again, by whatever way is open; a PIN that stays another is not used again."""
    with contextlib.suppress(Unable):
        if card.tries() == 0:
            card.gain(("PUK",), "SSSE")
            card.send(card.with_mac(commands.unblock_pin(), card.tables.keys.pin_mac.name))
        if card.tries() == 0:
            card.gain(("PUK",), "SSSE")
            card.send(_reset(card, card.pin_block()))
        if card.send(commands.verify_pin(card.pin_block())).sw == OK:
            return
        if card.send(commands.change_pin(card.pin_block(OTHER), card.pin_block())).sw == OK:
            return
    card.tester.rejected.add("PIN")


def _reset(card: Card, block: bytes) -> CommandApdu:
    """PIN CHANGE/UNBLOCK with another PIN: cipher and MAC over one challenge."""
    name, challenge = card.tables.keys.pin_mac.name, card.challenge()
    keys = card.keys(name)
    command = commands.reset_pin(keys.encrypted(name, challenge, block))
    return commands.with_mac(command, keys.command_mac(name, challenge, command))


def cases(tables: CardFiles) -> tuple[Case, ...]:
    """What only reads and restores first, what locks last."""
    mac = tables.keys.pin_mac.name
    return (
        Case(
            "PIN.status",
            "空 VERIFY 报告次数而不用次数",
            "Empty VERIFY tells the tries and uses none",
            "4.1",
            status_without_try,
        ),
        Case("PIN.right", "正确密码为 9000", "The right PIN: 9000", "5, 9.3", right),
        Case("PIN.wrong", "错误密码少一次", "A wrong PIN: one try less", "5", wrong, ("PIN",)),
        Case(
            "PIN.counter_restored",
            "正确密码恢复次数",
            "The right PIN restores the tries",
            "5",
            counter_restored,
            ("PIN",),
        ),
        Case("PIN.length", "1 或 9 字节为 6700", "1 or 9 bytes: 6700", "4.1", length, ("PIN",)),
        Case(
            "PIN.unblock_without_right",
            "未认证 PUK 不可解锁",
            "No unblocking without PUK",
            "5",
            unblock_without_right,
            (mac,),
        ),
        Case(
            "PIN.change",
            "修改后新密码有效",
            "After a change the new PIN counts",
            "5, 9.4",
            change,
            ("PIN", DESTRUCTIVE),
        ),
        Case(
            "PIN.change_with_wrong",
            "旧密码错误不可修改",
            "No change with a wrong old PIN",
            "4.4",
            change_with_wrong,
            ("PIN", DESTRUCTIVE),
        ),
        Case(
            "PIN.change_to_short",
            "新密码少于 4 位不可",
            "No new PIN shorter than 4 digits",
            "4.1",
            change_to_short,
            ("PIN", DESTRUCTIVE),
        ),
        Case("PIN.change_length", "Lc 不符为 6700", "Wrong Lc: 6700", "4.1, 4.4", change_length, ("PIN", DESTRUCTIVE)),
        Case("PIN.wrong_puk", "PUK 认证错误为 63Cx", "A wrong PUK: 63Cx", "6.3", wrong_puk, ("PUK", DESTRUCTIVE)),
        Case(
            "PIN.unblock_with_wrong_mac",
            "MAC 错误不可解锁",
            "No unblocking with a wrong MAC",
            "4.4",
            unblock_with_wrong_mac,
            ("PUK", mac, DESTRUCTIVE),
        ),
        Case(
            "PIN.lock",
            "用完次数后锁定",
            "Locked when the tries are used up",
            "5",
            lock,
            ("PIN", "PUK", mac, DESTRUCTIVE),
        ),
        Case(
            "PIN.unblock",
            "解锁恢复次数",
            "Unblocking restores the tries",
            "5, 9.5",
            unblock,
            ("PIN", "PUK", mac, DESTRUCTIVE),
        ),
        Case("PIN.reset", "重置为新密码", "A reset sets a new PIN", "5, 9.5", reset, ("PIN", "PUK", mac, DESTRUCTIVE)),
    )
