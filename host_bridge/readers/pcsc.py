"""A reader that pcscd drives: `pcsc:NAME`."""

import threading

from host_bridge.readers.pcsc_service import MODIFY_PIN_DIRECT, VERIFY_PIN_DIRECT, PcscService, ReaderState
from host_bridge.readers.pin_requests import USUAL_DIGITS, fixed_change_request, part_10, verify_request
from host_bridge.readers.power_on import PowerOn
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderError, ReaderInUse
from host_bridge.readers.traffic import log_exchange
from protocols.iso7816.apdu import ApduError, CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr, AtrError
from protocols.sscard.pad import SW_NOT_CONFORMING, PadAnswer, PadLimits


class PcscConnection(PowerOn):
    """The card of one power-on, for nobody else. The first error ends it: every later call raises the same.

    `entering`: the holder is at the reader's keys. `most_digits` these take, None where the driver does not tell.
    """

    entering = False

    def __init__(self, service: PcscService, busy: threading.RLock, name: str) -> None:
        super().__init__(busy)
        self._service, self._name = service, name
        self._handle = service.connect(name)
        self._generation = service.generation
        try:
            self._features = service.features(self._handle)
            self.most_digits = service.most_digits(self._handle, self._features)
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

    @property
    def takes_pins(self) -> bool:
        """Whether the reader's driver lets the holder enter and change a PIN at the reader."""
        return {VERIFY_PIN_DIRECT, MODIFY_PIN_DIRECT} <= set(self._features)

    def enter_pin(self, feature: int, structure: bytes) -> PadAnswer:
        """As long as the holder takes."""
        with self._until_error():
            self.entering = True
            try:
                answer = self._service.control(self._handle, self._name, self._features[feature], structure)
                return PadAnswer(ResponseApdu.from_bytes(answer).sw)
            except ApduError:
                raise CardMute("no status word") from None
            finally:
                self.entering = False

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


class PcscPinPad:
    """The keys of a reader behind PC/SC (`host_bridge.card.pin_entry.PinPad`). It compares nothing."""

    def __init__(self, connection: PcscConnection) -> None:
        self._connection = connection

    def verify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        most = min(limits.max_digits, self._connection.most_digits or limits.max_digits)
        request = verify_request(header, limits._replace(max_digits=most))
        return self._connection.enter_pin(VERIFY_PIN_DIRECT, part_10(request))

    def modify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        """Old and new PIN of `USUAL_DIGITS`."""
        if not limits.min_digits <= USUAL_DIGITS <= limits.max_digits:
            return PadAnswer(SW_NOT_CONFORMING)
        return self._connection.enter_pin(MODIFY_PIN_DIRECT, part_10(fixed_change_request(header, limits)))

    def cancel(self) -> None:
        """PC/SC has no way: holder, card or time ends an entry."""


class PcscReader:
    """One reader of PC/SC, by its whole name."""

    def __init__(self, name: str) -> None:
        """`PcscMissing` where pyscard is not installed; pcscd is asked at the first call."""
        self.address = f"pcsc:{name}"
        self._name = name
        self._service = PcscService()
        self._busy = threading.RLock()
        self._connection: PcscConnection | None = None

    @property
    def pin_pad(self) -> PcscPinPad | None:
        """That of the card which is connected; None where the reader has none, or no card is."""
        connection = self._connection
        return PcscPinPad(connection) if connection is not None and connection.takes_pins else None

    def card_present(self) -> bool:
        """Disturbs nobody; `ReaderInUse` while another program has the reader for itself.

        While a PIN is entered it still is: PC/SC does not say anything else before that ends.
        """
        if self._connection is not None and self._connection.entering:
            return True
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
