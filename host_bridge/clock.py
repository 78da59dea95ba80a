"""The machine's clocks, as `protocols.events.clock.Clock`."""

import time
from datetime import datetime
from pathlib import Path
from typing import Literal

from protocols.events.clock import SHANGHAI

Trusted = Literal["system", "always"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")


class SystemClock:
    """Linux: `system` trusts the wall clock once systemd-timesyncd has set it, `always` from the start."""

    def __init__(self, trust: Trusted = "system") -> None:
        self._trust = trust
        self._boot_id = _BOOT_ID.read_text("ascii").strip()

    def wall(self) -> datetime:
        return datetime.now(SHANGHAI)

    def monotonic_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def boot_id(self) -> str:
        return self._boot_id

    def trusted(self) -> bool:
        return self._trust == "always" or _SYNCHRONIZED.exists()
