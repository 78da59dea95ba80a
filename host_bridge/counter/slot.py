"""The slot at the counter: whether a card is in, whether a visit has used it up, and the session with it."""

from host_bridge.card.errors import CardError
from host_bridge.card.security_module import SecurityModule
from host_bridge.card.session import CardSession, Issuer
from host_bridge.readers.reader import CardConnection, Reader, ReaderError


class Slot:
    """Follows one reader. `there`: a card is in; `spent`: it belongs to a visit that has ended and must come out first;
    `trouble`: why the reader cannot be asked, None while it can.
    """

    def __init__(self, reader: Reader, module: SecurityModule | None = None) -> None:
        self._reader = reader
        self._module = module
        self._connection: CardConnection | None = None
        self._session: CardSession | None = None
        self.there = False
        self.spent = False
        self.trouble: ReaderError | None = None

    @property
    def session(self) -> CardSession:
        """The session of `open`; only while it is open."""
        if self._session is None:
            raise RuntimeError("no card is open")
        return self._session

    def look(self) -> bool:
        """Ask the reader; whether a card has arrived since the last look. A reader that is away has no card."""
        before = self.there
        try:
            self.there = self._reader.card_present()
            self.trouble = None
        except ReaderError as error:
            self.there, self.trouble = False, error
        if not self.there:
            self.close()
            self.spent = False
        return self.there and not before

    def emptied(self) -> bool:
        """Whether the card is out while somebody else uses the session, which stays; a reader that is away is not."""
        try:
            return not self._reader.card_present()
        except ReaderError:
            return False

    def open(self) -> None:
        """Power the card on; `ReaderError`."""
        self.close()
        self._connection = self._reader.connect()
        self._session = CardSession(self._connection, self._module)

    def same_card(self, issuer: Issuer) -> bool | None:
        """Whether the card that was read is still in, asked of its chip; None where there is no answer."""
        if not self._reader_answers() or self._session is None:
            return None
        try:
            return self._session.read_issuer().card_id == issuer.card_id
        except (CardError, ReaderError):
            return None

    def close(self) -> None:
        """Power off; harmless when there is nothing to."""
        connection, self._connection, self._session = self._connection, None, None
        if connection is not None:
            try:
                connection.disconnect()
            except ReaderError as error:
                self.trouble = error

    def use_up(self) -> None:
        """The visit has ended with the card still in."""
        self.close()
        self.spent = self.there

    def _reader_answers(self) -> bool:
        self.look()
        return self.there
