"""Run as a process: the whole server, killed at the first occurrence of a named step. Arguments: config file, step."""

import os
import signal
import sys
from pathlib import Path

from server.config import load_config
from server.run import run_server


def main() -> None:
    path, doomed = sys.argv[1:]

    def on_step(step: str) -> None:
        if step == doomed:
            os.kill(os.getpid(), signal.SIGKILL)

    run_server(load_config(Path(path)), on_step)


if __name__ == "__main__":
    main()
