"""Time as it is written into events: wall clock, monotonic clock and whether the wall clock is trusted."""

from datetime import datetime, timedelta, timezone
from typing import Protocol

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


class Clock(Protocol):
    """What a part may ask of time; given to it, never reached for."""

    def wall(self) -> datetime:
        """The wall clock, aware."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary point of this boot; never goes back."""
        ...

    def boot_id(self) -> str:
        """Names this boot of the machine."""
        ...

    def trusted(self) -> bool:
        """Whether the wall clock has been set since boot."""
        ...


def rfc3339(moment: datetime) -> str:
    """`2026-11-21T09:58:00.123+08:00`: milliseconds, always +08:00."""
    return moment.astimezone(SHANGHAI).isoformat(timespec="milliseconds")


def business_day(moment: datetime) -> str:
    """The day in Shanghai, `2026-11-21`."""
    return moment.astimezone(SHANGHAI).date().isoformat()
