"""Which part is killed where, and in which order: made from a seed, before anything runs. Pure."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from protocols.events.steps import INBOX_STEPS, TERMINAL_STEPS

BROKER, CENTRE = "broker", "centre"
LEAST_KILLS = len(TERMINAL_STEPS) + len(INBOX_STEPS) + 1
"""Every step once, and the broker."""
_EXTRA = {"step": 9, "terminal": 6, CENTRE: 1, BROKER: 2}
"""What the kills beyond these are, by weight; but for `step` at a random moment."""
_PASSES = 4
_LATEST_S = 2.0
_CENTRE_LATEST_S = 5.0
"""The centre takes longest to come back; it shall be there for a while before it goes again."""


class Kill(NamedTuple):
    """The end of one life of a part, due `after_s`: then, or at the `passes`-th passing of `step` from then on."""

    step: str | None
    passes: int
    after_s: float


def make_plan(kills: int, terminals: Sequence[str], seed: int) -> dict[str, list[Kill]]:
    """The kills of every part, in order; `ValueError` where there are too few for every step."""
    if kills < LEAST_KILLS:
        raise ValueError(f"at least {LEAST_KILLS} kills hit every step and the broker")
    random = Random(seed)
    lanes: dict[str, list[Kill]] = {part: [] for part in (*terminals, CENTRE, BROKER)}
    steps = (*TERMINAL_STEPS, *INBOX_STEPS)
    kinds = random.choices(list(_EXTRA), list(_EXTRA.values()), k=kills - LEAST_KILLS)
    wanted: list[tuple[str, str | None]] = [("step", step) for step in steps]
    wanted += [("step", steps[number % len(steps)]) for number in range(kinds.count("step"))]
    wanted += [(BROKER, None), *((kind, None) for kind in kinds if kind != "step")]
    for kind, step in wanted:
        part = CENTRE if step in INBOX_STEPS else kind
        if part in ("step", "terminal"):
            part = min(terminals, key=lambda terminal: len(lanes[terminal]))
        latest_s = _CENTRE_LATEST_S if part == CENTRE else _LATEST_S
        lanes[part].append(Kill(step, random.randint(1, _PASSES), random.uniform(0, latest_s)))
    for lane in lanes.values():
        random.shuffle(lane)
    return lanes
