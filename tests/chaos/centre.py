"""The centre of the soak: the real server, which dies at a step and whose clock jumps; its folder has `centre.toml`."""

from datetime import timedelta
from random import Random
from unittest.mock import patch

import server.run
from server.clock import SystemClock
from server.config import load_config
from tests.chaos.faults import Doom, JumpyClock, part_arguments

JUMPS = (
    timedelta(),
    timedelta(),
    timedelta(hours=-1),
    timedelta(hours=2),
    timedelta(days=-1),
    timedelta(days=-400),
)
RATE = 0.02


def main() -> None:
    given = part_arguments("The centre, run until SIGTERM or its step.")
    clock = JumpyClock(SystemClock(), Random(given.seed), JUMPS, RATE)
    on_step = Doom(given.folder, given.step, given.passes)
    with patch.object(server.run, "SystemClock", return_value=clock):
        server.run.run_server(load_config(given.folder / "centre.toml"), on_step)


if __name__ == "__main__":
    main()
