"""APDUs and line time of what a counter asks of a card: `python -m tests.bench.card [--json]`.

Virtual time, exact for a card that answers at once: a character every 12 etu, the first after a change of direction
16 etu after the last before it (reader.md E.1). `record_by_record` are the sequences of ssc-card.md 9.1 and 9.3 and the
sixteen records of DF04 EF05, `ours` is what the session sends for the same, `no_ranges` that at a card that refuses
ranges; `ratio` is `ours` to `record_by_record`.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from host_bridge.card.session import CardSession
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardConnection
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard import commands
from protocols.sscard.files import card_files
from protocols.sscard.pin import pin_block

CHARACTER_ETU, TURN_ETU = 12, 4
HEADER, PROCEDURE, STATUS_WORD = 5, 1, 2
CLOCK_MHZ = 4.0
RATES = {"372/1": 372, "512/32": 16}
"""Clock cycles of one etu."""
ON = date(2026, 11, 22)
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


def _select(connection: CardConnection, df: str) -> None:
    connection.transmit(commands.select_name(bytes.fromhex(card_files("2.00").directory(df).df_name)))


def _old_identify(connection: CardConnection) -> None:
    _select(connection, "SSSE")
    _records(connection, "SSSE", "EF05")
    _records(connection, "SSSE", "EF06")


def _old_pin(connection: CardConnection) -> None:
    _select(connection, "SSSE")
    connection.transmit(commands.verify_pin(pin_block(_pin())))


def _old_insurance(connection: CardConnection) -> None:
    _select(connection, "DF04")
    _records(connection, "DF04", "EF05")


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


TASKS: dict[str, tuple[Callable[[CardSession], None], tuple[Callable[[CardConnection], None], ...]]] = {
    "identify": (_identify, (_old_identify,)),
    "identify_pin": (_identify_pin, (_old_identify, _old_pin)),
    "identify_pin_insurance": (_identify_pin_insurance, (_old_identify, _old_pin, _old_insurance)),
    "settle_a_bill": (_settle, (_old_identify, _old_pin, _old_insurance)),
}
"""By name: what a session does, and the sequences of the sheet for the same. A bill needs three items of DF04 EF05."""


@contextmanager
def metered(*, ranges: bool = True) -> Iterator[LineMeter]:
    """A new card of version 2.00 behind a meter."""
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder, "bench.card")
        make_card(load_person(DEFAULT_PERSON), card)
        reader = open_reader(f"virtual:{card}")
        yield LineMeter(reader.connect(), ranges=ranges)
        reader.close()


def measure() -> dict[str, dict[str, Any]]:
    """Every task: `record_by_record`, `ours`, `no_ranges`, `ratio`."""
    found: dict[str, dict[str, Any]] = {}
    for name, (ours, sequences) in TASKS.items():
        costs = {}
        with metered() as meter:
            for sequence in sequences:
                sequence(T0FollowUp(meter))
            costs["record_by_record"] = meter.cost
        for label, ranges in (("ours", True), ("no_ranges", False)):
            with metered(ranges=ranges) as meter:
                ours(CardSession(meter))
                costs[label] = meter.cost
        ratio = round(costs["ours"].etu / costs["record_by_record"].etu, 3)
        found[name] = {**{label: cost.facts() for label, cost in costs.items()}, "ratio": ratio}
    return found


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
