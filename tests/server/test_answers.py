"""What the centre answers: read-only, to the asking terminal, with the correlation data it came with."""

from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from protocols.events.clock import SHANGHAI
from protocols.events.frames import Answer, PersonAnswer, PersonQuery, Unknown
from protocols.settlement.bill import Accumulators
from server.answers.answers import Answers, answer
from server.errors import CentreError, number
from server.inbox.relay import Question
from server.people.files import import_person, read_person
from server.store.tables import accounts, cards, people
from tests.server.chains import LI, NOTHING, line
from tests.server.conftest import NOW, Bench

PERSON = """
certno = "990101198802290036"
name = "李建华"
gend = "1"
naty = "01"
[card]
version = "2.00"
card_no = "A12345678"
region = "990101"
card_class = "3"
issue_date = "2024-03-01"
expiry_date = "2034-02-28"
pin = "135790"
pin_limit = 3
[insurance]
insutype = "310"
psn_type = "1101"
insuplc_admdvs = "110000"
[centre]
psn_insu_stas = "1"
psn_type = "1201"
balc = "80.00"
card_state = "active"
default_pin = true
year = 2026
inscope = "1650.35"
big = "12.00"
"""
QUERY = PersonQuery(LI.certno, LI.card_no, "11")


def take_in(bench: Bench, tmp_path: Path, text: str = PERSON) -> None:
    path = tmp_path / "person.toml"
    path.write_text(text)
    with bench.store.write() as connection:
        import_person(connection, read_person(path))


def ask(bench: Bench, query: PersonQuery = QUERY, now: datetime = NOW) -> Answer:
    with bench.store.read() as connection:
        return answer(connection, msgspec.json.encode(query), now)


def test_person_as_the_centre_knows_them(bench: Bench, tmp_path: Path) -> None:
    take_in(bench, tmp_path)
    assert ask(bench) == PersonAnswer(
        insutype="310",
        psn_type="1201",
        psn_insu_stas="1",
        insuplc_admdvs="110000",
        balc=8000,
        card_state="active",
        default_pin=True,
        year=2026,
        version=1,
        accumulators=Accumulators(165035, 1200),
    )


def test_psn_type_of_the_chip_where_the_centre_has_no_other(bench: Bench, tmp_path: Path) -> None:
    take_in(bench, tmp_path, PERSON.replace('psn_type = "1201"\n', "").replace('balc = "80.00"\n', ""))
    found = ask(bench)
    assert isinstance(found, PersonAnswer)
    assert (found.psn_type, found.balc) == ("1101", None)


def test_new_year_starts_at_nothing(bench: Bench, tmp_path: Path) -> None:
    take_in(bench, tmp_path)
    found = ask(bench, now=datetime(2026, 12, 31, 16, 0, tzinfo=SHANGHAI).replace(hour=23, minute=59))
    assert isinstance(found, PersonAnswer)
    assert found.year == 2026
    found = ask(bench, now=datetime(2027, 1, 1, 0, 0, tzinfo=SHANGHAI))
    assert isinstance(found, PersonAnswer)
    assert (found.year, found.version, found.accumulators) == (2027, 0, Accumulators(0, 0))


@pytest.mark.parametrize("state", ["picked_up", "pre_lost", "formal_lost", "exchanged", "void", "unknown"])
def test_card_state_is_carried(bench: Bench, tmp_path: Path, state: str) -> None:
    take_in(bench, tmp_path, PERSON.replace('"active"', f'"{state}"'))
    found = ask(bench)
    assert isinstance(found, PersonAnswer)
    assert found.card_state == state


def test_numbers_for_what_it_does_not_know(bench: Bench, tmp_path: Path) -> None:
    take_in(bench, tmp_path)
    assert ask(bench, PersonQuery(LI.certno, "B12345678", "11")) == Unknown(number("card_not_of_person"))
    assert ask(bench, PersonQuery("990101199001010015", LI.card_no, "11")) == Unknown(number("person_unknown"))


def test_someone_only_booked_for_is_not_insured(bench: Bench) -> None:
    chain = bench.enrol("T1")
    chain.settle([line("01", "5.00")], NOTHING, 0)
    bench.take(chain.topic("event"), chain.frame())
    assert ask(bench) == Unknown(number("person_unknown"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(max_size=200))
def test_any_bytes_get_a_number(bench: Bench, payload: bytes) -> None:
    with bench.store.read() as connection:
        assert answer(connection, payload, NOW) == Unknown(number("query_malformed"))


def test_import_again_updates_insurance_and_leaves_the_ledger(bench: Bench, tmp_path: Path) -> None:
    take_in(bench, tmp_path)
    chain = bench.enrol("T1")
    chain.settle([line("01", "100.00")], Accumulators(165035, 1200), 1)
    bench.take(chain.topic("event"), chain.frame())
    take_in(bench, tmp_path, PERSON.replace('"1201"', '"1202"').replace('"80.00"', '"1.00"'))
    found = ask(bench)
    assert isinstance(found, PersonAnswer)
    assert (found.psn_type, found.balc, found.version) == ("1202", 8000, 2)
    assert found.accumulators == Accumulators(175035, 1200)
    with bench.store.read() as connection:
        assert len(connection.execute(select(people)).all()) == 1
        assert len(connection.execute(select(cards)).all()) == 1
        assert connection.execute(select(accounts.c.balc_fen)).scalar_one() == 8000


def test_second_card_of_a_person(bench: Bench, tmp_path: Path) -> None:
    take_in(bench, tmp_path, PERSON.replace('"active"', '"exchanged"'))
    take_in(bench, tmp_path, PERSON.replace("A12345678", "B12345678"))
    states = [ask(bench, PersonQuery(LI.certno, card, "11")) for card in ("A12345678", "B12345678")]
    assert [found.card_state for found in states if isinstance(found, PersonAnswer)] == ["exchanged", "active"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = [",
        PERSON.replace('"80.00"', '"80.001"'),
        PERSON.replace('"12.00"', '"-1"'),
        PERSON.split("[centre]", maxsplit=1)[0],
    ],
)
def test_bad_person_file_is_named_without_what_is_in_it(bench: Bench, tmp_path: Path, text: str) -> None:
    with pytest.raises(CentreError) as raised:
        take_in(bench, tmp_path, text)
    assert raised.value.number == number("person_file_invalid")
    assert raised.value.facts["path"].endswith("person.toml")
    assert LI.certno not in str(raised.value.facts)


def test_answers_go_to_the_asking_terminal_only(bench: Bench, tmp_path: Path) -> None:
    take_in(bench, tmp_path)
    chain = bench.enrol("T1")
    replies: list[tuple[str, bytes, bytes | None]] = []

    def reply(topic: str, payload: bytes, correlation: bytes | None = None) -> None:
        replies.append((topic, payload, correlation))

    answers = Answers(bench.store, reply, now=lambda: NOW)
    answers.start()
    payload = msgspec.json.encode(QUERY)
    answers.ask(Question(chain.topic("query"), payload, b"7"))
    answers.ask(Question(chain.topic("query").replace("T1", "T9"), payload, b"8"))
    answers.ask(Question("ssc/1/0/T1/query" if chain.record.bucket else "ssc/1/1/T1/query", payload, b"9"))
    answers.ask(Question(chain.topic("query"), b"{", None))
    answers.stop()
    assert [(topic, correlation) for topic, _, correlation in replies] == [
        (chain.topic("answer"), b"7"),
        (chain.topic("answer"), None),
    ]
    assert msgspec.json.decode(replies[0][1], type=Answer).balc == 8000
    assert msgspec.json.decode(replies[1][1], type=Answer) == Unknown(number("query_malformed"))
