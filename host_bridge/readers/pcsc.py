"""A reader that pcscd drives: `pcsc:NAME`."""

import threading

from host_bridge.readers.pcsc_service import PcscService, ReaderState
from host_bridge.readers.power_on import PowerOn
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderError, ReaderInUse
from host_bridge.readers.traffic import log_exchange
from protocols.iso7816.apdu import ApduError, CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr, AtrError


class PcscConnection(PowerOn):
    """The card of one power-on, for nobody else. The first error ends it: every later call raises the same."""

    def __init__(self, service: PcscService, busy: threading.RLock, name: str) -> None:
        super().__init__(busy)
        self._service, self._name = service, name
        self._handle = service.connect(name)
        self._generation = service.generation
        try:
            self._atr = self._read_atr()
        except ReaderError:
            service.disconnect(self._handle)
            raise

    @property
    def atr(self) -> Atr:
        return self._atr

    @property
    def alive(self) -> bool:
        """Whether the reader is still held for it."""
        return self._ended is None and self._service.generation == self._generation

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        """In T=0 as its command, which readers of every CCID exchange level take."""
        sent = command.to_bytes() if self._t1 else command.to_tpdu()
        with self._until_error():
            try:
                response = ResponseApdu.from_bytes(self._service.transmit(self._handle, self._name, sent, self._t1))
            except ApduError:
                raise CardMute("no status word") from None
        log_exchange(command, response)
        return response

    def reset(self) -> Atr:
        with self._until_error():
            self._service.reset(self._handle, self._name)
            self._atr = self._read_atr()
        return self._atr

    def disconnect(self) -> None:
        with self._busy:
            self.end(CardMute("powered off"))

    def _away(self) -> str | None:
        return None if self._service.generation == self._generation else self._name

    def _power_off(self) -> None:
        self._service.disconnect(self._handle)

    def _read_atr(self) -> Atr:
        self._t1 = self._service.speaks_t1(self._handle, self._name)
        try:
            return Atr.from_bytes(self._service.atr(self._handle, self._name))
        except AtrError as error:
            raise CardMute(str(error)) from None


class PcscReader:
    """One reader of PC/SC, by its whole name."""

    def __init__(self, name: str) -> None:
        """`PcscMissing` where pyscard is not installed; pcscd is asked at the first call."""
        self.address = f"pcsc:{name}"
        self._name = name
        self._service = PcscService()
        self._busy = threading.RLock()
        self._connection: PcscConnection | None = None

    def card_present(self) -> bool:
        """Disturbs nobody; `ReaderInUse` while another program has the reader for itself."""
        with self._busy:
            return self._state().card_present

    def connect(self) -> PcscConnection:
        """Cold reset. A connection made before ends."""
        with self._busy:
            if self._connection is not None:
                self._connection.end(CardRemoved("connected anew"))
            state = self._state()
            if not state.card_present:
                raise NoCard(state.name)
            try:
                self._connection = PcscConnection(self._service, self._busy, state.name)
            except CardRemoved:
                raise NoCard(state.name) from None
            return self._connection

    def close(self) -> None:
        """The card is powered off where pcscd still runs."""
        with self._busy:
            if self._connection is not None:
                self._connection.disconnect()
            self._service.close()

    def _state(self) -> ReaderState:
        state = self._service.state(self._name)
        if state.exclusive and not (self._connection is not None and self._connection.alive):
            raise ReaderInUse(state.name, None, "")
        return state
