"""The PC/SC service of this machine, pcscd, through pyscard, which no other module knows and no other scheme needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from host_bridge.readers.reader import CardMute, CardRemoved, ReaderError, ReaderInUse, ReaderUnavailable
from protocols.iso7816.tlv import Tlv, TlvError, parse_tlvs

VERIFY_PIN_DIRECT, MODIFY_PIN_DIRECT, GET_TLV_PROPERTIES = 0x06, 0x07, 0x12
"""Features of PC/SC part 10, 2.3."""
MAX_PIN_SIZE = 0x07
"""Property bMaxPINSize (PC/SC part 10, 2.6.14)."""
GET_FEATURE_REQUEST = 3400
LEAVES_WITHIN_MS = 1000
"""pcscd looks for the card every 0.4 s (reader.md A.6)."""


class PcscMissing(ReaderUnavailable):
    """This Python has no pyscard: the extra `pcsc` is not installed."""

    key = "pcsc_missing"


class PcscAway(ReaderUnavailable):
    """pcscd does not run."""

    key = "pcsc_away"


class PcscRefused(ReaderUnavailable):
    """pcscd's polkit rules do not let this user in."""

    key = "pcsc_refused"


class ReaderState(NamedTuple):
    """What pcscd knows of a reader without asking its card; `exclusive`: somebody has it for himself alone."""

    name: str
    card_present: bool
    exclusive: bool


_ERRORS: dict[str, type[ReaderError]] = {
    "SCARD_E_NO_SMARTCARD": CardRemoved,
    "SCARD_W_REMOVED_CARD": CardRemoved,
    "SCARD_W_RESET_CARD": CardRemoved,
    "SCARD_E_NOT_TRANSACTED": CardMute,
    "SCARD_E_PROTO_MISMATCH": CardMute,
    "SCARD_W_UNPOWERED_CARD": CardMute,
    "SCARD_W_UNRESPONSIVE_CARD": CardMute,
    "SCARD_W_UNSUPPORTED_CARD": CardMute,
    "SCARD_E_NO_SERVICE": PcscAway,
    "SCARD_E_SERVICE_STOPPED": PcscAway,
    "SCARD_E_NO_ACCESS": PcscRefused,
    "SCARD_W_SECURITY_VIOLATION": PcscRefused,
}
"""Every other code is `ReaderUnavailable`."""
_CONTEXT_LOST = ("SCARD_E_NO_SERVICE", "SCARD_E_SERVICE_STOPPED", "SCARD_E_INVALID_HANDLE", "SCARD_F_COMM_ERROR")


def _load_pyscard() -> Any:
    try:
        from smartcard import scard  # noqa: PLC0415 - an extra that only this scheme needs
    except ImportError as error:
        raise PcscMissing(str(error)) from None
    return scard


class PcscService:
    """One client of pcscd. It comes back when pcscd does; `generation` counts how often it had to.

    Every call may raise `ReaderUnavailable`.
    """

    def __init__(self) -> None:
        """`PcscMissing`; pcscd is not asked yet."""
        self._scard = _load_pyscard()
        self._errors = {getattr(self._scard, name): kind for name, kind in _ERRORS.items()}
        self._context_lost = {getattr(self._scard, name) for name in _CONTEXT_LOST}
        self._context: int | None = None
        self.generation = 0

    def readers(self) -> tuple[ReaderState, ...]:
        """All readers, by name."""
        answer = self._scard.SCardListReaders(self._established(), [])
        if answer[0] == self._scard.SCARD_E_NO_READERS_AVAILABLE:
            return ()
        (names,) = self._checked(answer, "")
        return tuple(map(self.state, sorted(names)))

    def state(self, name: str) -> ReaderState:
        """Of the reader that is called exactly so."""
        word = self._state_word(name)
        scard = self._scard
        return ReaderState(name, bool(word & scard.SCARD_STATE_PRESENT), bool(word & scard.SCARD_STATE_EXCLUSIVE))

    def connect(self, name: str) -> int:
        """A handle for T=0 or T=1, which nobody else has, after a cold reset."""
        scard = self._scard
        arguments = (self._established(), name, scard.SCARD_SHARE_EXCLUSIVE, self._protocols)
        handle, _ = self._checked(scard.SCardConnect(*arguments), name)
        try:
            self._reset(handle, name, scard.SCARD_UNPOWER_CARD)
        except ReaderError:
            self.disconnect(handle)
            raise
        return int(handle)

    def reset(self, handle: int, name: str) -> None:
        """Warm reset."""
        self._reset(handle, name, self._scard.SCARD_RESET_CARD)

    def atr(self, handle: int, name: str) -> bytes:
        """The answer to the last reset."""
        return bytes(self._checked(self._scard.SCardStatus(handle), name)[-1])

    def speaks_t1(self, handle: int, name: str) -> bool:
        """Whether card and reader agreed on T=1."""
        protocol = self._checked(self._scard.SCardStatus(handle), name)[-2]
        return bool(protocol == self._scard.SCARD_PROTOCOL_T1)

    def transmit(self, handle: int, name: str, command: bytes, t1: bool = False) -> bytes:
        """The card's answer to a T=0 command, or to an APDU.

        `CardRemoved` where the card leaves the reader within a second of giving none.
        """
        pci = self._scard.SCARD_PCI_T1 if t1 else self._scard.SCARD_PCI_T0
        try:
            (answer,) = self._checked(self._scard.SCardTransmit(handle, pci, list(command)), name)
        except CardMute:
            if self._leaves(name):
                raise CardRemoved("pulled during a command") from None
            raise
        return bytes(answer)

    def escape(self, name: str, data: bytes) -> bytes | None:
        """The answer of reader and driver to an Escape; None where one of them does not do it. No card is touched."""
        scard = self._scard
        with self._direct(name) as handle:
            answer = scard.SCardControl(handle, scard.SCARD_CTL_CODE(1), list(data))
            return bytes(answer[1]) if answer[0] == scard.SCARD_S_SUCCESS else None

    def attributes(self, name: str) -> dict[str, str]:
        """What PC/SC itself tells of a reader: `vendor`, `type` and `version`, as far as the driver knows them."""
        scard = self._scard
        found: dict[str, str] = {}
        with self._direct(name) as handle:
            for key, number in (("vendor", scard.SCARD_ATTR_VENDOR_NAME), ("type", scard.SCARD_ATTR_VENDOR_IFD_TYPE)):
                answer = scard.SCardGetAttrib(handle, number)
                text = bytes(answer[1]).rstrip(b"\0") if answer[0] == scard.SCARD_S_SUCCESS else b""
                if text:
                    found[key] = text.decode(errors="replace")
            answer = scard.SCardGetAttrib(handle, scard.SCARD_ATTR_VENDOR_IFD_VERSION)
            if answer[0] == scard.SCARD_S_SUCCESS and len(answer[1]) == 4:
                build_low, build_high, minor, major = answer[1]
                found["version"] = f"{major}.{minor}.{build_low | build_high << 8}"
        return found

    @contextmanager
    def _direct(self, name: str) -> Iterator[int]:
        """A handle to the reader itself, whether a card is in or not."""
        scard = self._scard
        self._state_word(name)
        handle, _ = self._checked(scard.SCardConnect(self._established(), name, scard.SCARD_SHARE_DIRECT, 0), name)
        try:
            yield int(handle)
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def features(self, handle: int) -> dict[int, int]:
        """Control codes of the features that this reader's driver has; none where it does not say."""
        code = self._scard.SCARD_CTL_CODE(GET_FEATURE_REQUEST)
        return {feature.tag: int.from_bytes(feature.value, "big") for feature in self._told(handle, code)}

    def most_digits(self, handle: int, features: dict[int, int]) -> int | None:
        """Of a PIN at the reader's keys, where its driver tells."""
        told = self._told(handle, features[GET_TLV_PROPERTIES]) if GET_TLV_PROPERTIES in features else ()
        return next((int.from_bytes(each.value, "little") for each in told if each.tag == MAX_PIN_SIZE), None)

    def _told(self, handle: int, code: int) -> tuple[Tlv, ...]:
        answer = self._scard.SCardControl(handle, code, [])
        try:
            return parse_tlvs(bytes(answer[1])) if answer[0] == self._scard.SCARD_S_SUCCESS else ()
        except TlvError:
            return ()

    def control(self, handle: int, name: str, code: int, data: bytes) -> bytes:
        """What the reader's driver answers. `CardRemoved` as for `transmit`."""
        try:
            (answer,) = self._checked(self._scard.SCardControl(handle, code, list(data)), name)
        except (CardMute, ReaderUnavailable):
            if self._leaves(name):
                raise CardRemoved("pulled during a PIN entry") from None
            raise
        return bytes(answer)

    def disconnect(self, handle: int) -> None:
        """Power off; harmless when pcscd or the card is gone."""
        self._scard.SCardDisconnect(handle, self._scard.SCARD_UNPOWER_CARD)

    def close(self) -> None:
        """Leave pcscd; harmless when that is done."""
        context, self._context = self._context, None
        if context is not None:
            self._scard.SCardReleaseContext(context)

    @property
    def _protocols(self) -> int:
        return int(self._scard.SCARD_PROTOCOL_T0 | self._scard.SCARD_PROTOCOL_T1)

    def _established(self) -> int:
        if self._context is None:
            (self._context,) = self._checked(self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM), "")
            self.generation += 1
        return self._context

    def _state_word(self, name: str) -> int:
        scard = self._scard
        asked = [(name, scard.SCARD_STATE_UNAWARE)]
        ((found,),) = self._checked(scard.SCardGetStatusChange(self._established(), 0, asked), name)
        state = int(found[1])
        if state & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE):
            raise ReaderUnavailable(f"the PC/SC reader {name!r} went away")
        return state

    def _leaves(self, name: str) -> bool:
        scard = self._scard
        state = self._state_word(name) & ~scard.SCARD_STATE_CHANGED
        if state & scard.SCARD_STATE_PRESENT:
            answer = scard.SCardGetStatusChange(self._established(), LEAVES_WITHIN_MS, [(name, state)])
            if answer[0] == scard.SCARD_E_TIMEOUT:
                return False
            self._checked(answer, name)
            state = self._state_word(name)
        return not state & scard.SCARD_STATE_PRESENT

    def _reset(self, handle: int, name: str, how: int) -> None:
        scard = self._scard
        self._checked(scard.SCardReconnect(handle, scard.SCARD_SHARE_EXCLUSIVE, self._protocols, how), name)

    def _checked(self, answer: Any, name: str) -> list[Any]:
        """What follows the code in pyscard's answer; the code's error where it is one."""
        code: int = answer[0]
        if code == self._scard.SCARD_S_SUCCESS:
            return list(answer[1:])
        if code in self._context_lost:
            self.close()
        if code == self._scard.SCARD_E_SHARING_VIOLATION:
            raise ReaderInUse(name, None, "")
        raise self._errors.get(code, ReaderUnavailable)(f"PC/SC {name!r}: {self._scard.SCardGetErrorMessage(code)}")
