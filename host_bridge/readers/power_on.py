"""One power-on of a card: the first error ends it."""

import contextlib
import threading
from collections.abc import Iterator

from host_bridge.readers.reader import ReaderError, ReaderUnavailable


class PowerOn:
    """What connections have in common: `busy` holds one exchange at a time; after an error every call raises the same.

    A connection says in `_away` which reader it has lost, if any, and in `_power_off` how the card is let go.
    """

    def __init__(self, busy: threading.RLock) -> None:
        self._busy = busy
        self._ended: ReaderError | None = None

    def end(self, error: ReaderError) -> None:
        """Every later call raises this, unless an earlier error already does."""
        if self._ended is None:
            self._ended = error
            self._power_off()

    def _away(self) -> str | None:
        raise NotImplementedError

    def _power_off(self) -> None:
        """Nothing, where a command does it."""

    @contextlib.contextmanager
    def _until_error(self) -> Iterator[None]:
        with self._busy:
            away = self._away()
            if away is not None:
                self.end(ReaderUnavailable(f"{away} was away"))
            if self._ended is not None:
                raise self._ended.with_traceback(None)
            try:
                yield
            except ReaderError as error:
                self.end(error)
                raise
