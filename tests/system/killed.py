"""A terminal or centre that kills itself at a durable step: `killed.py PART STEP --config FILE`.

It does so once a file `armed` lies beside the configuration.
"""

import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    part, wanted, _, config = sys.argv[1:]
    armed = Path(config).with_name("armed")

    def on_step(step: str) -> None:
        if step == wanted and armed.exists():
            os.kill(os.getpid(), signal.SIGKILL)

    if part == "terminal":
        from host_bridge.config import load_config
        from host_bridge.daemon import run_terminal

        run_terminal(load_config(Path(config)), lambda web: print(json.dumps({"web": web}), flush=True), on_step)
    else:
        from server.config import load_config as load_centre
        from server.run import run_server

        run_server(load_centre(Path(config)), on_step)


if __name__ == "__main__":
    main()
