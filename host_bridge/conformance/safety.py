"""SAFETY: who may read and update each file, and what ends a right (ssc-card.md 3.3-3.8, 4.1)."""

from functools import partial

from host_bridge.conformance.card import OK, Card, ways
from host_bridge.conformance.case import DESTRUCTIVE, Case, Unable, Unexpected
from host_bridge.conformance.record import as_table, read_first
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands
from protocols.sscard.files import CardFiles, File

REFUSED = (status.SW_SECURITY_STATUS,)
READ = (OK, status.SW_RECORD_NOT_FOUND)
"""A file that may be read; whether it has the record is for RECORD to check."""
NEVER = (
    status.SW_SECURITY_STATUS,
    status.SW_CONDITIONS_OF_USE,
    status.SW_FUNCTION_NOT_SUPPORTED,
    status.SW_FILE_STRUCTURE,
)


def closed(directory: str, ef: str, card: Card) -> None:
    """Without a right the file is not read."""
    file = card.tables.directory(directory).file(ef)
    if "PIN" in [right for way in ways(file.read) for right in way]:
        card.must_have_pin()
    card.enter(directory)
    card.expect(read_first(card.select(directory, ef)), *REFUSED)


def opens(directory: str, ef: str, way: tuple[str, ...], card: Card) -> None:
    """With all rights of one way the file is read, with only some of them it is not."""
    alone_refused = way if len(way) > 1 else ()
    if "PIN" in alone_refused:
        card.must_have_pin()
    for alone in alone_refused:
        card.gain((alone,), directory)
        card.expect(read_first(card.select(directory, ef)), *REFUSED)
        card.reset()
    card.gain(way, directory)
    card.expect(read_first(card.select(directory, ef)), *READ)


def free(directory: str, ef: str, card: Card) -> None:
    card.enter(directory)
    card.expect(read_first(card.select(directory, ef)), *READ)


def updates(directory: str, ef: str, card: Card) -> None:
    """A record is written with what it has already: refused without the right, done with it."""
    file = card.tables.directory(directory).file(ef)
    command = _update_first(card, directory, file)
    card.reset()
    card.enter(directory)
    card.select(directory, ef)
    card.expect(command, *REFUSED)
    card.acquire(file.update, directory)
    card.select(directory, ef)
    card.expect(command, OK)
    card.acquire(file.read, directory)
    card.select(directory, ef)
    read = read_first(file)
    if card.require(read).data != command.data[: read.le]:
        raise Unexpected(f"{directory} {ef}", "what was written", "other bytes")


def never_updates(directory: str, ef: str, card: Card) -> None:
    """With every right that the tester has for the directory, nothing is written."""
    rights, file = card.tester.rights(card.tables), card.tables.directory(directory).file(ef)
    command = _update_first(card, directory, file)
    keys = tuple(key.name for key in card.tables.keys.of(directory, "updating") if key.name in rights)
    card.gain(("PIN", *keys) if "PIN" in rights else keys, directory)
    card.select(directory, ef)
    card.expect(command, *NEVER)


def _update_first(card: Card, directory: str, file: File) -> CommandApdu:
    """The update that leaves a file as it is, but for a cyclic one, whose newest record it adds once more."""
    card.acquire(file.read, directory)
    card.select(directory, file.ef)
    answer = card.require(read_first(file), *READ)
    if file.structure == "transparent":
        return commands.update_binary(0, answer.data)
    if answer.data and not as_table(file, 1, answer.data):
        raise Unable("第一条记录与规范不符", "the first record is not as it should be")
    if file.structure == "cyclic":
        return commands.append_cyclic(answer.data or bytes(file.record_length))
    if not answer.data:
        raise Unable("第一条记录不存在", "there is no first record")
    return commands.update_record(1, answer.data)


# What ends a right


def pin_ends_at_reset(card: Card) -> None:
    card.must_have_pin()
    directory, file = _first_file(card.tables, "PIN")
    card.gain(("PIN",), directory)
    card.select(directory, file.ef)
    card.require(read_first(file), *READ)
    card.reset()
    card.enter(directory)
    card.select(directory, file.ef)
    card.expect(read_first(file), *REFUSED)


def key_ends_at_reset(key: str, card: Card) -> None:
    card.must_have_pin()
    directory, file = _first_file(card.tables, key)
    card.gain((key,), directory)
    card.select(directory, file.ef)
    card.require(read_first(file), *READ)
    card.reset()
    card.enter(directory)
    card.select(directory, file.ef)
    card.expect(read_first(file), *REFUSED)


def _first_file(tables: CardFiles, right: str) -> tuple[str, File]:
    """The first file that this right alone opens."""
    return next(
        (directory.name, file)
        for directory, file in tables.all_files()
        if not file.absent and (right,) in ways(file.read)
    )


def cases(tables: CardFiles) -> tuple[Case, ...]:
    """For each file: closed without right, open by each way, written with the right only."""
    found: list[Case] = []
    for directory, file in tables.all_files():
        if not file.absent:
            found += _cases_of(directory.name, file)
    key = next(key.name for key in tables.keys.of("DF04", "reading"))
    return (
        *found,
        Case(
            "SAFETY.pin_ends_at_reset",
            "复位后密码状态消失",
            "A reset ends what the PIN gave",
            "4.1, 8",
            pin_ends_at_reset,
            ("PIN",),
        ),
        Case(
            "SAFETY.key_ends_at_reset",
            "复位后密钥状态消失",
            "A reset ends what a key gave",
            "4.1, 8",
            partial(key_ends_at_reset, key),
            (key,),
        ),
    )


def _cases_of(directory: str, file: File) -> list[Case]:
    name, fact = f"SAFETY.{directory}_{file.ef}", file.source.removeprefix("ssc-card.md ")
    zh, en = f"{directory} {file.ef} {file.zh}", f"{directory} {file.ef} {file.en}"
    where = directory, file.ef
    found: list[Case] = []
    if file.read == "free":
        found.append(Case(f"{name}.free", f"{zh}：自由读", f"{en}: free to read", fact, partial(free, *where)))
    else:
        found.append(Case(f"{name}.closed", f"{zh}：无权不可读", f"{en}: closed", fact, partial(closed, *where)))
        for way in ways(file.read):
            rule = " and ".join(way)
            found.append(
                Case(
                    f"{name}.{'+'.join(way)}",
                    f"{zh}：凭 {rule} 可读",
                    f"{en}: opens with {rule}",
                    fact,
                    partial(opens, *where, way),
                    (rule,),
                )
            )
    never = file.update == "never"
    needs = (file.read,) if never else (file.read, file.update)
    found.append(
        Case(
            f"{name}.update",
            f"{zh}：{'外部不可写' if never else f'凭 {file.update} 才可写'}",
            f"{en}: {'never written from outside' if never else f'written with {file.update} only'}",
            fact,
            partial(never_updates if never else updates, *where),
            (*needs, DESTRUCTIVE),
        )
    )
    return found
