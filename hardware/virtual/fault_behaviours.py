"""How chips misbehave: answers that turn, are edited, replaced or repeated, and when."""

from collections.abc import Callable, Container

from hardware.virtual.faulty_card import Behaviour, FaultyCard, Step
from protocols.iso7816 import status
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard import commands

When = Callable[[FaultyCard, CommandApdu], bool]

OK = status.SW_SUCCESS
TRIES = range(0x63C0, 0x63D0)
ISSUER_FILE = bytes.fromhex("EF05")
LOCAL = 0x80
NO_VERSION = 0xFF


def turned(
    ins: int | Container[int],
    sws: int | Container[int],
    into: int,
    *,
    p1: int | None = None,
    p2: int | None = None,
    data: bytes | None = None,
    length: int | None = None,
    le: int | None = None,
    file: str = "",
    when: When = lambda _card, _command: True,
) -> Behaviour:
    """Answers to a command turn from one status word into another, success with as many 00 as were asked for."""
    instructions: Container[int] = (ins,) if isinstance(ins, int) else ins
    wanted: Container[int] = (sws,) if isinstance(sws, int) else sws

    def behave(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
        meant = (
            command.ins in instructions
            and p1 in (None, command.p1)
            and p2 in (None, command.p2)
            and data in (None, command.data)
            and length in (None, len(command.data))
            and le in (None, command.le)
            and file in ("", card.file_of(command))
            and when(card, command)
        )
        answer = card.perform(command)
        if not meant or answer.sw not in wanted:
            return answer
        return ResponseApdu(bytes(command.le or 0) if into == status.SW_SUCCESS else b"", into)

    return behave


def edited(ins: int, edit: Callable[[bytes], bytes], *, file: str = "", when: When) -> Behaviour:
    """Data of successful answers to a command are changed."""

    def behave(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
        meant = command.ins == ins and file in ("", card.file_of(command)) and when(card, command)
        answer = card.perform(command)
        if not meant or not answer.data:
            return answer
        return ResponseApdu(edit(answer.data), answer.sw)

    return behave


def replaced(ins: int, command_for: Callable[[CommandApdu], CommandApdu | None]) -> Behaviour:
    """The chip performs another command than it was given, where there is one for it."""

    def behave(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
        other = command_for(command) if command.ins == ins else None
        return card.perform(other or command)

    return behave


def replayed(ins: int, refused: int) -> Behaviour:
    """What was answered once since the reset is answered again where the chip now refuses the same command."""

    def behave(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
        answer = card.perform(command)
        if command.ins == ins and answer.sw == refused:
            for step in card.since_reset:
                if step.command == command and step.answer.sw == status.SW_SUCCESS:
                    return step.answer
        return answer

    return behave


def succeeded(steps: list[Step], ins: int) -> list[Step]:
    """The steps with an instruction that succeeded, VERIFY only with a PIN."""
    return [
        step
        for step in steps
        if step.command.ins == ins
        and step.answer.sw == status.SW_SUCCESS
        and (ins != commands.VERIFY or step.command.data)
    ]


def after(ins: int, p2: int | None = None) -> When:
    """Right after a command with this instruction."""

    def right_after(card: FaultyCard, _: CommandApdu) -> bool:
        step = card.previous
        return step is not None and step.command.ins == ins and p2 in (None, step.command.p2)

    return right_after


# Data


def inverted(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 0xFF,))


def other_tag(record: bytes) -> bytes:
    return b"\xc7" + record[1:]


def shorter(record: bytes) -> bytes:
    return record[:1] + bytes((record[1] - 1,)) + record[2:-1]


def spaces(record: bytes) -> bytes:
    text = record.rstrip(b"\0")
    return text + b" " * (len(record) - len(text))


def first_by_number(_: FaultyCard, command: CommandApdu) -> bool:
    return command.p1 == 1 and command.p2 & 0b111 == commands.NUMBER


# Files


def missing_record(file: str) -> Behaviour:
    return turned(commands.READ_RECORD, OK, status.SW_RECORD_NOT_FOUND, file=file, when=first_by_number)


def odd_record(file: str) -> Behaviour:
    def behave(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
        meant = command.ins == commands.READ_RECORD and card.file_of(command) == file and command.p1 == 1
        answer = card.perform(command)
        return ResponseApdu(bytes(5), OK) if meant and answer.sw == status.SW_RECORD_NOT_FOUND else answer

    return behave


def short_file(file: str) -> Behaviour:
    def ends_early(card: FaultyCard, command: CommandApdu) -> bool:
        directory, ef = file.split()
        return command.p1 << 8 | command.p2 == card.tables.directory(directory).file(ef).size - 1

    return turned(commands.READ_BINARY, OK, status.SW_OFFSET_OUTSIDE, file=file, when=ends_early)


def presenting(pin: bool, key: bool) -> When:
    """Whether a PIN and whether a key was presented since power-on."""

    def presented(card: FaultyCard, _: CommandApdu) -> bool:
        steps = card.since_power_on
        found = succeeded(steps, commands.VERIFY), succeeded(steps, commands.EXTERNAL_AUTHENTICATION)
        return (bool(found[0]), bool(found[1])) == (pin, key)

    return presented


def key_without_pin(card: FaultyCard, _: CommandApdu) -> bool:
    """A key was presented since the reset, and no PIN."""
    steps = card.since_reset
    return bool(succeeded(steps, commands.EXTERNAL_AUTHENTICATION)) and not succeeded(steps, commands.VERIFY)


# PIN


def first_tries(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
    """The tries that were told first are told again."""
    answer = card.perform(command)
    if command.ins == commands.VERIFY and answer.sw in TRIES:
        told = [step.answer.sw for step in card.since_reset if step.command.ins == commands.VERIFY]
        return ResponseApdu(b"", next((sw for sw in told if sw in TRIES), answer.sw))
    return answer


def fewest_tries(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
    """After the right PIN the fewest tries that were told are told again."""
    answer = card.perform(command)
    if command.ins == commands.VERIFY and not command.data and answer.sw in TRIES:
        steps = [step for step in card.since_reset if step.command.ins == commands.VERIFY]
        presented = [step for step in steps if step.command.data]
        if presented and presented[-1].answer.sw == OK:
            return ResponseApdu(b"", min([answer.sw, *(step.answer.sw for step in steps if step.answer.sw in TRIES)]))
    return answer


def status_costs(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
    answer, before = card.perform(command), card.previous
    again = command == commands.verify_status() and before is not None and before.command == command
    return ResponseApdu(b"", answer.sw - 1) if again and answer.sw in TRIES and answer.sw & 0xF else answer


def after_status(card: FaultyCard, command: CommandApdu) -> bool:
    before = card.previous
    return bool(command.data) and before is not None and before.command == commands.verify_status()


def verified_before(card: FaultyCard, command: CommandApdu) -> bool:
    return any(step.command == command for step in succeeded(card.since_reset, commands.VERIFY))


def changed_back(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
    answer = card.perform(command)
    if command.ins == commands.CHANGE_PIN and answer.sw == OK:
        old, _, new = command.data.partition(commands.PIN_SEPARATOR)
        card.perform(commands.change_pin(new, old))
    return answer


# Challenges and keys


def same_challenge(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
    answer, before = card.perform(command), card.previous
    again = command.ins == commands.GET_CHALLENGE and before is not None and before.command == command
    return before.answer if before is not None and again else answer


def without_challenge(card: FaultyCard, command: CommandApdu) -> bool:
    return not command.p2 & LOCAL and not succeeded(card.since_reset, commands.GET_CHALLENGE)


def after_two_challenges(card: FaultyCard, _: CommandApdu) -> bool:
    return [step.command.ins for step in card.since_reset[-2:]] == [commands.GET_CHALLENGE] * 2


def local(_: FaultyCard, command: CommandApdu) -> bool:
    return bool(command.p2 & LOCAL)


def in_directory(name: str) -> When:
    return lambda card, _: card.directory.name == name


def asking_version(version: int) -> When:
    return lambda _, command: len(command.data) % 2 == 1 and command.data[-1] == version


def without_version(command: CommandApdu) -> CommandApdu | None:
    if len(command.data) % 2 == 0 or command.data[-1] != NO_VERSION:
        return None
    return CommandApdu(command.cla, command.ins, command.p1, command.p2, command.data[:-1])


# Directories


def with_mode(mode: int, other: int) -> Callable[[CommandApdu], CommandApdu | None]:
    """READ RECORD with another mode."""

    def changed(command: CommandApdu) -> CommandApdu | None:
        if command.p2 & 0b111 != mode:
            return None
        return CommandApdu(command.cla, command.ins, command.p1, command.p2 & 0xF8 | other, command.data, command.le)

    return changed


def ef_with_data(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
    """SELECT of an EF announces two bytes and gives them."""
    answer, before = card.perform(command), card.previous
    select = commands.select_ef(ISSUER_FILE)
    if command == select and card.directory.name == "SSSE" and answer.sw == OK:
        return ResponseApdu(b"", status.SW1_MORE_DATA << 8 | 2)
    announced = before is not None and before.command == select and status.more_data(before.answer.sw) is not None
    return ResponseApdu(b"\x6f\x00", OK) if announced and command.ins == commands.GET_RESPONSE else answer


def key_of_another(card: FaultyCard, _: CommandApdu) -> bool:
    homes = {step.directory for step in succeeded(card.since_reset, commands.EXTERNAL_AUTHENTICATION)}
    return bool(homes) and card.directory.name not in homes


def far_from_pin(card: FaultyCard, _: CommandApdu) -> bool:
    """Two directories were entered since the PIN was presented."""
    steps = card.since_reset
    verified = succeeded(steps, commands.VERIFY)
    if not verified or succeeded(steps, commands.EXTERNAL_AUTHENTICATION):
        return False
    entered = {step.directory for step in steps[steps.index(verified[-1]) :]}
    return len(entered - {"SSSE"}) > 1


def outlasting(ins: int) -> When:
    """What succeeded before the reset."""
    return lambda card, _: bool(succeeded(card.before_reset, ins))
