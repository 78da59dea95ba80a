"""A chip may answer anything: the suite tells results and never breaks."""

import contextlib
import random
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_bridge.card.errors import CardError
from host_bridge.conformance import card as card_under_test
from host_bridge.conformance.keys import simulated_roots
from host_bridge.conformance.suite import Subject, all_cases, read_subject, run_cases
from host_bridge.readers.reader import CardConnection, Reader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard.files import card_files, versions
from tests.host_bridge.conformance.conftest import PIN, Make, Socket

ATR = Atr.from_bytes(bytes.fromhex("3B6D0000" + "00815431008660990101234567"))
STATUS_WORDS = (
    0x9000,
    0x9000,
    0x9000,
    0x63C0,
    0x63C1,
    0x63C3,
    0x6110,
    0x6C12,
    0x6700,
    0x6982,
    0x6983,
    0x6984,
    0x6A82,
    0x6A83,
)


class AnyConnection:
    """Answers drawn from a seed, often with as many bytes as were asked for."""

    atr = ATR

    def __init__(self, drawn: random.Random) -> None:
        self._drawn = drawn

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        sw = self._drawn.choice((*STATUS_WORDS, self._drawn.randrange(0x10000)))
        asked = command.le or 0
        length = self._drawn.choice((0, asked, asked, self._drawn.randrange(257)))
        return ResponseApdu(self._drawn.randbytes(length), sw)

    def reset(self) -> Atr:
        return self.atr

    def disconnect(self) -> None:
        pass


class AnyReader:
    address = "any"

    def __init__(self, seed: int) -> None:
        self._drawn = random.Random(seed)

    def card_present(self) -> bool:
        return True

    def connect(self) -> AnyConnection:
        return AnyConnection(self._drawn)

    def close(self) -> None:
        pass


class DoubtfulConnection(AnyConnection):
    """A right card, but for an answer in thirty."""

    def __init__(self, drawn: random.Random, right: CardConnection) -> None:
        super().__init__(drawn)
        self._right = right

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        answer = self._right.transmit(command)
        return super().transmit(command) if self._drawn.randrange(30) == 0 else answer

    def reset(self) -> Atr:
        return self._right.reset()


class DoubtfulReader(AnyReader):
    def __init__(self, seed: int, right: Reader) -> None:
        super().__init__(seed)
        self._right = right

    def connect(self) -> AnyConnection:
        return DoubtfulConnection(self._drawn, self._right.connect())


def outcomes(seed: int, version: str, reader: Reader) -> Iterator[str]:
    tables = card_files(version)
    subject = Subject(tables, "990101", bytes(ATR.historical_bytes), "")
    drawn = random.Random(seed)
    tester = card_under_test.Tester(
        bytearray(PIN), subject.keys(simulated_roots(tables)), destructive=True, random=drawn.randbytes
    )
    for result in run_cases(reader, tables, all_cases(tables), tester, lambda: 0.0):
        assert (result.finding is not None) == (result.outcome == "failed")
        assert (result.reason is not None) == (result.outcome == "skipped")
        yield result.outcome


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), version=st.sampled_from(versions()))
def test_every_case_ends_with_a_result(seed: int, version: str) -> None:
    found = list(outcomes(seed, version, AnyReader(seed)))
    assert len(found) == len(all_cases(card_files(version)))
    assert "failed" in found


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_card_that_errs_at_times_breaks_nothing(make: Make, seed: int) -> None:
    reader = DoubtfulReader(seed, Socket(str(make(version="3.00"))))
    found = list(outcomes(seed, "3.00", reader))
    assert len(found) == len(all_cases(card_files("3.00")))
    assert "passed" in found


@given(seed=st.integers(0, 2**32))
def test_who_it_is_may_be_anything(seed: int) -> None:
    with contextlib.suppress(CardError):
        read_subject(AnyReader(seed).connect())
