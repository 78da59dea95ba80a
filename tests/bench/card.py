"""APDUs and line time of what a counter asks of a card: `python -m tests.bench.card [--json]`.

Virtual time, exact for a card that answers at once: a character every 12 etu, the first after a change of direction
16 etu after the last before it (reader.md E.1). `record_by_record` are the sequences of ssc-card.md 9.1 and 9.3, the
sixteen records of DF04 EF05, and the trace of 9.2; `ours` is what the session sends for the same, `no_ranges` that at a
card that refuses ranges, `least` the commands that cannot be spared; `ratio` is `ours` to `record_by_record`.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from host_bridge.card.sam_module import SamModule
from host_bridge.card.session import CardSession
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardConnection
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.iso7816.status import SW_SUCCESS
from protocols.sscard import commands, security
from protocols.sscard.files import card_files
from protocols.sscard.pin import pin_block
from protocols.sscard.simulated import simulated_root

CHARACTER_ETU, TURN_ETU = 12, 4
HEADER, PROCEDURE, STATUS_WORD = 5, 1, 2
CLOCK_MHZ = 4.0
RATES = {"372/1": 372, "512/32": 16}
"""Clock cycles of one etu."""
ON = date(2026, 11, 22)
BILL_TAGS = (0x81, 0x84, 0x8C)
"""What a bill needs of DF04 EF05."""
CHALLENGE_BYTES = 8
LIMIT = 0.65
"""Aim for the ratio of `identify_pin_insurance`."""


class Cost(msgspec.Struct):
    """What has gone over the contact line."""

    apdus: int = 0
    etu: int = 0

    def facts(self) -> dict[str, float]:
        """`apdus`, `etu`, and milliseconds by rate at 4 MHz."""
        times = {f"ms_{name}": round(self.etu * cycles / CLOCK_MHZ / 1000, 2) for name, cycles in RATES.items()}
        return {"apdus": self.apdus, "etu": self.etu, **times}


class Task(NamedTuple):
    """What a session does, the sequences of the sheet for the same, and the commands that cannot be spared."""

    ours: Callable[[CardSession], None]
    record_by_record: tuple[Callable[[CardConnection], None], ...]
    least: tuple[Callable[[CardConnection], None], ...]
    version: str = "2.00"


class LineMeter:
    """A connection that counts; `ranges` off, it refuses READ RECORD of more than one."""

    def __init__(self, connection: CardConnection, *, ranges: bool) -> None:
        self._connection, self._ranges = connection, ranges
        self.cost = Cost()

    @property
    def atr(self) -> Atr:
        return self._connection.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        ranged = command.ins == commands.READ_RECORD and command.p2 & 7 == commands.TO_LAST
        refused = ranged and not self._ranges
        answer = ResponseApdu(b"", 0x6A81) if refused else self._connection.transmit(command)
        moved = len(command.data) + len(answer.data)
        characters = HEADER + (PROCEDURE + moved if moved else 0) + STATUS_WORD
        turns = 3 if command.data else 1
        between = 1 if self.cost.apdus else 0
        self.cost.apdus += 1
        self.cost.etu += characters * CHARACTER_ETU + (turns + between) * TURN_ETU
        return answer

    def reset(self) -> Atr:
        return self._connection.reset()

    def disconnect(self) -> None:
        self._connection.disconnect()


def _records(connection: CardConnection, df: str, ef: str) -> None:
    """SELECT the EF, then every record by number."""
    file = card_files("2.00").directory(df).file(ef)
    connection.transmit(commands.select_ef(file.fid))
    for number, item in enumerate(file.records, 1):
        connection.transmit(commands.read_record(number, item.record_length))


def _tags(connection: CardConnection, ef: str, *tags: int) -> None:
    """SELECT an EF of the SSSE, then these records by tag."""
    file = card_files("3.00").directory("SSSE").file(ef)
    connection.transmit(commands.select_ef(file.fid))
    for tag in tags:
        connection.transmit(commands.read_tag(tag, file.item(tag).record_length))


def _range(connection: CardConnection, df: str, ef: str) -> None:
    """All records of a file at once, by SFI."""
    file = card_files("2.00").directory(df).file(ef)
    length = sum(item.record_length for item in file.records)
    connection.transmit(commands.read_record(1, length, sfi=file.sfi, mode=commands.TO_LAST))


def _select(connection: CardConnection, df: str) -> None:
    connection.transmit(commands.select_name(bytes.fromhex(card_files("2.00").directory(df).df_name)))


def _verify(connection: CardConnection) -> None:
    connection.transmit(commands.verify_pin(pin_block(_pin())))


def _challenge(connection: CardConnection) -> bytes:
    return connection.transmit(commands.get_challenge(CHALLENGE_BYTES)).data


def _prove(connection: CardConnection, challenge: bytes, source: bytes) -> None:
    """EXTERNAL AUTHENTICATION with RKSSSE, from the published roots of simulated cards."""
    files, region = card_files("3.00"), load_person(DEFAULT_PERSON).card.region
    factors = security.factors(region, connection.atr.historical_bytes)
    key = files.keys.key("RKSSSE")
    card_key = security.diversify(files.algorithm, simulated_root(files.algorithm, key, 1), *factors)
    session = security.session_key(files.algorithm, card_key, challenge)
    proof = security.authentication_data(files.algorithm, session, source)
    answer = connection.transmit(commands.external_authentication(key.id or 0, proof, source))
    if answer.sw != SW_SUCCESS:
        raise ValueError(f"the card refused the proof: {answer.sw:04X}")


def _old_identify(connection: CardConnection) -> None:
    _select(connection, "SSSE")
    _records(connection, "SSSE", "EF05")
    _records(connection, "SSSE", "EF06")


def _old_pin(connection: CardConnection) -> None:
    _select(connection, "SSSE")
    _verify(connection)


def _old_insurance(connection: CardConnection) -> None:
    _select(connection, "DF04")
    _records(connection, "DF04", "EF05")


def _old_identify_3(connection: CardConnection) -> None:
    _select(connection, "SSSE")
    _tags(connection, "EF05", 0x01, 0x03, 0x07)
    _select(connection, "SSSE")
    source, challenge = _challenge(connection), _challenge(connection)
    connection.transmit(commands.internal_authentication(challenge, source))
    source, challenge = _challenge(connection), _challenge(connection)
    _prove(connection, challenge, source)
    _tags(connection, "EF05", 0x03, 0x05, 0x06)
    _tags(connection, "EF06", 0x08, 0x09, 0x4E)


def _least_identify(connection: CardConnection) -> None:
    _select(connection, "SSSE")
    _range(connection, "SSSE", "EF05")
    _range(connection, "SSSE", "EF06")


def _least_insurance(connection: CardConnection) -> None:
    _select(connection, "DF04")
    _range(connection, "DF04", "EF05")


def _least_bill(connection: CardConnection) -> None:
    _select(connection, "DF04")
    file = card_files("2.00").directory("DF04").file("EF05")
    for tag in BILL_TAGS:
        connection.transmit(commands.read_tag(tag, file.item(tag).record_length, sfi=file.sfi))


def _least_identify_3(connection: CardConnection) -> None:
    _select(connection, "SSSE")
    _range(connection, "SSSE", "EF05")
    connection.transmit(commands.internal_authentication(bytes(CHALLENGE_BYTES), bytes(CHALLENGE_BYTES)))
    _prove(connection, _challenge(connection), bytes(CHALLENGE_BYTES))
    _range(connection, "SSSE", "EF06")


def _pin() -> bytearray:
    return bytearray(b"135790")


def _identify(session: CardSession) -> None:
    session.read_issuer()
    session.read_holder()


def _identify_pin(session: CardSession) -> None:
    _identify(session)
    session.verify_pin(_pin())


def _identify_pin_insurance(session: CardSession) -> None:
    _identify_pin(session)
    session.read_file("DF04", "EF05")


def _settle(session: CardSession) -> None:
    _identify_pin(session)
    session.read_insurance(ON)


TASKS = {
    "identify": Task(_identify, (_old_identify,), (_least_identify,)),
    "identify_pin": Task(_identify_pin, (_old_identify, _old_pin), (_least_identify, _verify)),
    "identify_pin_insurance": Task(
        _identify_pin_insurance,
        (_old_identify, _old_pin, _old_insurance),
        (_least_identify, _verify, _least_insurance),
    ),
    "settle_a_bill": Task(_settle, (_old_identify, _old_pin, _old_insurance), (_least_identify, _verify, _least_bill)),
    "identify_3.00_with_keys": Task(_identify, (_old_identify_3,), (_least_identify_3,), version="3.00"),
}


@contextmanager
def metered(version: str, *, ranges: bool = True) -> Iterator[tuple[LineMeter, SamModule]]:
    """A new card behind a meter, and a security module, whose line is not counted."""
    person = load_person(DEFAULT_PERSON)
    card = msgspec.structs.replace(person.card, version=version)
    with tempfile.TemporaryDirectory() as folder:
        make_card(msgspec.structs.replace(person, card=card), Path(folder, "bench.card"))
        VirtualSam.create(Path(folder, "bench.sam"), sam_image(person.card.region, 3, "counter"))
        reader = open_reader(f"virtual:{folder}/bench.card")
        module = SamModule(open_reader(f"virtual:{folder}/bench.sam"))
        yield LineMeter(reader.connect(), ranges=ranges), module
        module.close()
        reader.close()


def measure() -> dict[str, dict[str, Any]]:
    """Every task: `record_by_record`, `ours`, `no_ranges`, `least`, `ratio`."""
    return {name: _measured(task) for name, task in TASKS.items()}


def _measured(task: Task) -> dict[str, Any]:
    costs = {}
    for label, sequences in (("record_by_record", task.record_by_record), ("least", task.least)):
        with metered(task.version) as (meter, _):
            for sequence in sequences:
                sequence(T0FollowUp(meter) if label == "record_by_record" else meter)
            costs[label] = meter.cost
    for label, ranges in (("ours", True), ("no_ranges", False)):
        with metered(task.version, ranges=ranges) as (meter, module):
            task.ours(CardSession(meter, module))
            costs[label] = meter.cost
    ratio = round(costs["ours"].etu / costs["record_by_record"].etu, 3)
    return {**{label: cost.facts() for label, cost in costs.items()}, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    found = measure()
    if parser.parse_args().json:
        print(json.dumps(found))
        return
    for name, facts in found.items():
        print(name, *(f"{label} {each}" for label, each in facts.items()), sep="\n  ")


if __name__ == "__main__":
    main()
