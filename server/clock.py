"""The machine's clocks."""

import time
from datetime import datetime
from pathlib import Path

from protocols.events.clock import SHANGHAI

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """`protocols.events.clock.Clock` of a server, whose wall clock somebody keeps."""

    def wall(self) -> datetime:
        """Now, in Shanghai."""
        return datetime.now(SHANGHAI)

    def monotonic_ms(self) -> int:
        """Milliseconds since boot."""
        return time.monotonic_ns() // 1_000_000

    def boot_id(self) -> str:
        """The kernel's name for this boot."""
        return BOOT_ID.read_text(encoding="ascii").strip()

    def trusted(self) -> bool:
        """A server's clock is trusted."""
        return True
