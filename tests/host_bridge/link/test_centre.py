import pytest

from host_bridge.link.backoff import Backoff
from host_bridge.link.centre import CentreWatch
from host_bridge.link.presence import PresenceNews
from protocols.events.frames import CentreState, Presence


def beat(incarnation: str = "a", lease: int = 1, time: str = "0") -> CentreState:
    return CentreState(state="listening", lease=lease, incarnation=incarnation, time=time)


def gone(incarnation: str = "a") -> CentreState:
    return CentreState(state="gone", lease=1, incarnation=incarnation)


@pytest.fixture
def watch() -> CentreWatch:
    return CentreWatch()


def test_nobody_listens_before_a_heartbeat(watch: CentreWatch) -> None:
    assert not watch.listening(0)


def test_a_heartbeat_counts_for_fifteen_seconds(watch: CentreWatch) -> None:
    watch.heard(beat(), retained=False, now_ms=1_000)
    assert watch.listening(15_999)
    assert not watch.listening(16_000)


def test_a_retained_copy_counts_once(watch: CentreWatch) -> None:
    watch.heard(beat(), retained=True, now_ms=0)
    assert watch.listening(14_999)
    watch.heard(beat(), retained=True, now_ms=20_000)
    assert not watch.listening(20_000)
    watch.heard(beat(time="5"), retained=False, now_ms=21_000)
    assert watch.listening(21_000)


def test_the_will_of_its_incarnation_ends_it(watch: CentreWatch) -> None:
    watch.heard(beat("a"), retained=False, now_ms=0)
    watch.gone(gone("b"))
    assert watch.listening(1)
    watch.gone(gone("a"))
    assert not watch.listening(1)
    watch.heard(beat("a", time="5"), retained=True, now_ms=2)
    assert not watch.listening(2)
    watch.heard(beat("a", time="6"), retained=False, now_ms=3)
    assert watch.listening(3)


def test_a_goodbye_on_the_bucket_s_topic_ends_it_too(watch: CentreWatch) -> None:
    watch.heard(beat(), retained=False, now_ms=0)
    watch.heard(gone(), retained=False, now_ms=1)
    assert not watch.listening(1)


def test_a_new_connection_needs_a_heartbeat_of_its_own(watch: CentreWatch) -> None:
    watch.heard(beat(), retained=False, now_ms=0)
    watch.connected()
    assert not watch.listening(1_000)
    watch.heard(beat(), retained=True, now_ms=2_000)
    assert watch.listening(2_000)
    assert not watch.listening(15_000)
    watch.connected()
    assert watch.heard(beat(time="5"), retained=False, now_ms=3_000)


def test_births(watch: CentreWatch) -> None:
    assert watch.heard(beat(), retained=False, now_ms=0)
    assert not watch.heard(beat(time="5"), retained=False, now_ms=5_000)
    assert watch.heard(beat(lease=2), retained=False, now_ms=6_000)
    assert watch.heard(beat("b", lease=2), retained=False, now_ms=7_000)
    assert watch.heard(beat("b", lease=2, time="9"), retained=False, now_ms=60_000)
    watch.gone(gone("b"))
    assert watch.heard(beat("b", lease=2, time="10"), retained=False, now_ms=60_001)


class Middle:
    """Random, always in the middle of its range."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


def test_pauses_double_and_brokers_take_turns() -> None:
    backoff = Backoff(Middle(), 2)  # type: ignore[arg-type]
    pauses, brokers = [], []
    for _ in range(8):
        brokers.append(backoff.broker)
        pauses.append(backoff.ended("link_no_broker", None))
    assert brokers == [0, 1] * 4
    assert pauses == [375, 750, 1_500, 3_000, 6_000, 11_250, 11_250, 11_250]
    assert backoff.ended("link_no_broker", 10_000) == 375


def test_a_refusal_is_tried_again_slowly() -> None:
    backoff = Backoff(Middle(), 1)  # type: ignore[arg-type]
    pauses = [backoff.ended("link_refused", None) for _ in range(10)]
    assert (pauses[0], pauses[1], pauses[-1]) == (1_500, 3_000, 225_000)


def test_connections_that_never_last_mean_a_second_device() -> None:
    backoff = Backoff(Middle(), 1)  # type: ignore[arg-type]
    troubles = []
    for held_ms in (1, None, 9_999, 1, 1, 10_000, 1):
        backoff.ended("link_no_broker", held_ms)
        troubles.append(backoff.trouble == "link_taken_over")
    assert troubles == [False, False, False, True, True, False, False]


def presence(end: int) -> Presence:
    return Presence(state="birth", incarnation="i", epoch=1, end=end)


def test_presence_is_said_at_birth_on_change_and_now_and_then() -> None:
    news = PresenceNews()
    assert news.worth(presence(1), 50_000)
    assert not news.worth(presence(1), 79_999)
    assert news.worth(presence(1), 80_000)
    assert not news.worth(presence(2), 81_000)
    assert news.due_ms == 82_000
    assert news.worth(presence(3), 82_000)
    news.forget()
    assert news.worth(presence(3), 82_001)
