"""What every test shares."""

import os
import tempfile

from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

# libpcsclite reads it once: no test process talks to the machine's own pcscd (`tests/pcscd.py`)
os.environ["PCSCLITE_CSOCK_NAME"] = f"{tempfile.gettempdir()}/ssc-pcscd-{os.getpid()}/pcscd.comm"
