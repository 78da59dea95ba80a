"""How many questions of whom wait for an answer."""

import msgspec

from hardware.virtual.processes import wait_until
from protocols.events.topics import bucket
from server.answers.desk import MOST_BYTES, PLACES, Desk
from server.inbox.relay import Question


class Told(msgspec.Struct, frozen=True):
    size: int


class Sizes(Desk):
    """Tells everyone how long the question is."""

    def __init__(self) -> None:
        super().__init__("sizes", self.note)
        self.told: list[str] = []

    def note(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None:
        self.told.append(f"{topic.split('/')[3]} {msgspec.json.decode(payload, type=Told).size}")

    def answer(self, terminal: str, payload: bytes) -> Told:
        return Told(len(payload))


def question(terminal: str, size: int = 1) -> Question:
    return Question(f"ssc/1/{bucket(terminal)}/{terminal}/query", bytes(size), None)


def test_one_terminal_leaves_room_for_the_others() -> None:
    desk = Sizes()
    for _ in range(PLACES + 5):
        desk.ask(question("T1"))
    desk.ask(question("T2"))
    desk.start()
    wait_until("T2 is answered", lambda: "T2 1" in desk.told)
    assert desk.told == ["T1 1"] * PLACES + ["T2 1"]
    desk.ask(question("T1", 2))
    desk.stop()
    assert desk.told[-1] == "T1 2"


def test_a_question_that_is_too_long_is_not_answered() -> None:
    desk = Sizes()
    desk.start()
    desk.ask(question("T1", MOST_BYTES + 1))
    desk.ask(question("T1", MOST_BYTES))
    desk.stop()
    assert desk.told == [f"T1 {MOST_BYTES}"]
