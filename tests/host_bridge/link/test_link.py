"""The link against a real broker and a small centre that signs real receipts."""

import threading
import time

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from host_bridge.journal.errors import JournalRolledBack
from host_bridge.journal.journal import Journal
from host_bridge.link.presence import Described
from protocols.events.clock import rfc3339
from protocols.events.frames import Broker, PersonQuery, Unknown, sign_receipt
from protocols.events.topics import CENTRE_GONE, bucket, centre_topic, topic
from tests.host_bridge.journal.samples import NOON, PERSON, TERMINAL, answer, receipt_at, settlement
from tests.host_bridge.link.broker import wait_for
from tests.host_bridge.link.conftest import Site

QUERY = PersonQuery(PERSON.certno, PERSON.card_no, "11")


def fill(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append(settlement(str(number)), PERSON)


def test_every_event_reaches_the_centre_byte_for_byte(site: Site) -> None:
    _, journal = site.add_desk()
    fill(journal, 105)
    centre = site.add_centre()
    steps: list[str] = []
    link = site.add_link(journal, steps.append)
    wait_for(lambda: journal.mark.seq == 105)
    entries = [entry for frame in centre.frames for entry in frame.entries]
    assert {bytes(entry.event) for entry in entries} == {stored.data for stored in journal.after(0, 200)}
    assert all(entry.person == PERSON for entry in entries)
    assert max(len(frame.entries) for frame in centre.frames) == 20
    journal.append(settlement("late"), PERSON)
    link.wake()
    wait_for(lambda: journal.mark.seq == 106, 5)
    assert journal.backlog().count == 0
    assert {"terminal.frame_sent", "terminal.receipt_arrived"} <= set(steps)
    assert site.changes > 0
    assert (link.faults, link.bad_receipts) == (0, 0)


def test_a_puback_means_nothing(site: Site) -> None:
    _, journal = site.add_desk()
    fill(journal, 100)
    centre = site.add_centre()
    centre.quiet = True
    link = site.add_link(journal)
    wait_for(lambda: len(centre.frames) >= 4)
    time.sleep(0.3)
    assert len(centre.frames) == 4
    assert journal.mark.seq == 0
    link.stop()
    centre.quiet = False
    site.add_link(journal)
    wait_for(lambda: journal.mark.seq == 100)


def test_receipts_that_the_centre_did_not_sign_are_counted_and_ignored(site: Site) -> None:
    _, journal = site.add_desk()
    fill(journal, 1)
    centre = site.add_centre()
    centre.quiet = True
    link = site.add_link(journal)
    wait_for(lambda: bool(centre.frames))
    forged = sign_receipt(Ed25519PrivateKey.generate(), receipt_at(journal.tail))
    late = sign_receipt(centre.receipt_key, msgspec.structs.replace(receipt_at(journal.tail), time="noon"))
    for payload in (b"", b"{}", b"\xff", forged, late):
        centre.client_publish(topic(TERMINAL, "receipt"), payload)
    wait_for(lambda: link.bad_receipts == 5)
    assert journal.mark.seq == 0
    centre.client_publish(topic(TERMINAL, "receipt"), sign_receipt(centre.receipt_key, receipt_at(journal.tail)))
    wait_for(lambda: journal.mark.seq == 1)


def test_a_mark_that_is_not_ours_stops_settling_and_sending(site: Site) -> None:
    _, journal = site.add_desk()
    fill(journal, 1)
    centre = site.add_centre()
    centre.quiet = True
    link = site.add_link(journal)
    wait_for(lambda: bool(centre.frames))
    changes = site.changes
    centre.receipt(seq=9, hash="00" * 32)
    wait_for(lambda: isinstance(journal.stopped, JournalRolledBack))
    wait_for(lambda: site.changes > changes)
    assert link.centre.connected
    assert link.ask(QUERY, 5) == Unknown("C-010")


def test_questions_and_answers(site: Site) -> None:
    _, journal = site.add_desk()
    centre = site.add_centre()
    centre.answer = answer()
    link = site.add_link(journal)
    wait_for(lambda: link.centre.listening)
    assert link.ask(QUERY, 5) == answer()
    assert msgspec.json.decode(centre.queries[0], type=PersonQuery) == QUERY
    assert link.centre.ms is not None
    centre.answer = None
    before = time.monotonic()
    assert link.ask(QUERY, 0.3) is None
    assert 0.3 <= time.monotonic() - before < 3
    for payload in (b"{}", msgspec.json.encode(answer())):
        centre.client_publish(topic(TERMINAL, "answer"), payload)
    wait_for(lambda: link.dropped_answers == 2)


def test_a_question_does_not_wait_for_a_centre_that_is_away(site: Site) -> None:
    _, journal = site.add_desk()
    link = site.add_link(journal)
    wait_for(lambda: link.centre.connected)
    before = time.monotonic()
    assert link.ask(QUERY, 10) is None
    assert not link.centre.listening
    site.broker.kill()
    wait_for(lambda: not link.centre.connected)
    assert link.ask(QUERY, 10) is None
    assert time.monotonic() - before < 10


def test_a_lost_connection_ends_open_questions(site: Site) -> None:
    _, journal = site.add_desk()
    centre = site.add_centre()
    centre.answer = None
    link = site.add_link(journal)
    wait_for(lambda: link.centre.listening)
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(link.ask(QUERY, 60)))
    asking.start()
    wait_for(lambda: bool(centre.queries))
    site.broker.kill()
    asking.join(20)
    assert answers == [None]


def test_birth_and_death_carry_one_incarnation(site: Site) -> None:
    _, journal = site.add_desk()
    centre = site.add_centre()
    link = site.add_link(journal)
    link.describe(Described(software="1", profile="p", catalogue="c", reader="ready", counter="idle"))
    fill(journal, 2)
    link.wake()
    wait_for(lambda: any(each.mark == 2 and each.reader == "ready" for each in centre.presences))
    link.stop()
    wait_for(lambda: centre.presences[-1].state == "death")
    assert len({each.incarnation for each in centre.presences}) == 1
    again = site.add_link(journal)
    wait_for(lambda: centre.presences[-1].state == "birth")
    assert centre.presences[-1].incarnation != centre.presences[0].incarnation
    assert again.centre.connected


def test_a_killed_broker_that_forgets_everything_loses_nothing(site: Site) -> None:
    _, journal = site.add_desk()
    fill(journal, 50)
    centre = site.add_centre()
    link = site.add_link(journal)
    wait_for(lambda: journal.mark.seq > 0)
    site.broker.kill()
    wait_for(lambda: not link.centre.connected)
    assert link.centre.trouble == "link_no_broker"
    fill(journal, 50)
    site.broker.start()
    wait_for(lambda: journal.mark.seq == 100, 10)
    assert centre.mark == 100
    wait_for(lambda: link.centre.listening)


def test_a_new_centre_gets_everything_at_once(site: Site) -> None:
    _, journal = site.add_desk()
    fill(journal, 3)
    first = site.add_centre()
    first.quiet = True
    link = site.add_link(journal)
    wait_for(lambda: bool(first.frames))
    first.quiet = False
    first.incarnation, first.lease = "centre-2", 2
    first.beat()
    wait_for(lambda: journal.mark.seq == 3, 3)
    assert link.centre.listening


def test_the_will_of_the_centre_is_noticed(site: Site) -> None:
    _, journal = site.add_desk()
    centre = site.add_centre()
    link = site.add_link(journal)
    wait_for(lambda: link.centre.listening)
    changes = site.changes
    centre.client_publish(CENTRE_GONE, centre.state("gone"))
    wait_for(lambda: not link.centre.listening)
    wait_for(lambda: site.changes > changes)
    assert link.centre.connected


def test_hostile_payloads_change_nothing(site: Site) -> None:
    _, journal = site.add_desk()
    centre = site.add_centre()
    link = site.add_link(journal)
    wait_for(lambda: link.centre.listening)
    for to in (topic(TERMINAL, "receipt"), topic(TERMINAL, "answer"), centre_topic(bucket(TERMINAL)), CENTRE_GONE):
        for payload in (b"", b"\x00" * 50_000, b"[" * 10_000, b'{"state":"gone"}', '"é"'.encode("utf-16")):
            centre.client_publish(to, payload)
    fill(journal, 1)
    link.wake()
    wait_for(lambda: journal.mark.seq == 1)
    assert link.faults == 0
    assert link.centre.listening


def test_the_next_broker_of_the_list_is_tried(site: Site) -> None:
    second = site.add_broker()
    site.brokers = (Broker("127.0.0.1", 1), Broker("127.0.0.1", second.port))
    _, journal = site.add_desk()
    fill(journal, 1)
    centre = site.add_centre(second)
    site.add_link(journal)
    wait_for(lambda: journal.mark.seq == 1)
    assert centre.mark == 1


def test_a_refusal_is_a_state(site: Site) -> None:
    locked = site.add_broker({TERMINAL: "another"})
    site.brokers = (Broker("127.0.0.1", locked.port),)
    _, journal = site.add_desk()
    link = site.add_link(journal)
    wait_for(lambda: link.centre.trouble == "link_refused")
    assert not link.centre.connected
    fill(journal, 1)


def test_the_right_password_gets_in(site: Site) -> None:
    locked = site.add_broker({TERMINAL: "secret"})
    site.brokers = (Broker("127.0.0.1", locked.port),)
    _, journal = site.add_desk()
    link = site.add_link(journal)
    wait_for(lambda: link.centre.connected)


def test_two_devices_of_one_name_notice_each_other(site: Site) -> None:
    _, journal = site.add_desk()
    first = site.add_link(journal)
    wait_for(lambda: first.centre.connected)
    second = site.add_link(journal)
    wait_for(lambda: "link_taken_over" in {first.centre.trouble, second.centre.trouble})


@pytest.mark.parametrize("port", [1, 0])
def test_stop_before_any_connection(site: Site, port: int) -> None:
    site.brokers = (Broker("127.0.0.1", port),)
    _, journal = site.add_desk()
    link = site.add_link(journal)
    link.stop()
    link.stop()
    assert not link.centre.connected
    assert not [thread for thread in threading.enumerate() if thread.name == "link"]


def test_presence_tells_the_time_and_the_oldest(site: Site) -> None:
    _, journal = site.add_desk()
    fill(journal, 1)
    centre = site.add_centre()
    centre.quiet = True
    site.add_link(journal)
    wait_for(lambda: bool(centre.presences))
    assert centre.presences[0].oldest == rfc3339(NOON)
    assert (centre.presences[0].end, centre.presences[0].epoch) == (1, 1)
