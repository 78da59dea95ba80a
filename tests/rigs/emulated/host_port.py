"""The host's end of an emulated Pico's USB port, in the same process."""

import errno

from tests.rigs.emulated.pico import EmulatedPico


class HostPort:
    """The chip runs while the host waits, and at no other time."""

    def __init__(self, pico: EmulatedPico) -> None:
        self._pico = pico
        self.sent = self.answered = 0
        """System clocks of the host's last write, and of the last first byte after it."""

    @property
    def in_waiting(self) -> int:
        if not self._pico.heard:
            self._pico.run()
            self._look()
            if self._pico.heard:
                self.answered = self._pico.now
        return len(self._pico.heard)

    def read(self, size: int = 1) -> bytes:
        data = bytes(self._pico.heard[: min(size, self.in_waiting)])
        del self._pico.heard[: len(data)]
        return data

    def write(self, data: bytes, /) -> int:
        self._look()
        self.sent = self._pico.now
        self._pico.send(data)
        return len(data)

    def _look(self) -> None:
        if not self._pico.connected:
            raise OSError(errno.ENODEV, "unplugged")

    def reset_input_buffer(self) -> None:
        self._pico.heard.clear()

    def close(self) -> None:
        """Nothing is kept."""
