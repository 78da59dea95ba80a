"""What can be wrong with a card. Errors carry facts, never card data; `key` names their catalogue text."""

from typing import ClassVar

from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderError, ReaderInUse


class CardError(Exception):
    """The card, or what is on it, does not allow the step."""

    key: ClassVar[str] = "card_unexpected_status"

    @property
    def facts(self) -> dict[str, str]:
        """The placeholders of the text."""
        return {}


class WrongCard(CardError):
    """No social security card: its answer to reset, its selection or its name is another's."""

    key = "card_wrong"


class CardIdMalformed(CardError):
    """The card identification code is not one, or its region is not the chip's (-20)."""

    key = "card_id_malformed"


class MalformedFile(CardError):
    """A file on the card is not as the table of its version says; `tag` where one item is to blame."""

    key = "card_file_malformed"

    def __init__(self, file: str, tag: int | None = None) -> None:
        self.file, self.tag = file, tag
        super().__init__(f"{file}{'' if tag is None else f' item {tag:02X}'} is malformed")

    @property
    def facts(self) -> dict[str, str]:
        return {"file": self.file}


class NotSupported(CardError):
    """A value this terminal does not know: a version of the file structure (tag 03), a person class (8C)."""

    key = "card_not_supported"

    def __init__(self, tag: int) -> None:
        self.tag = tag
        super().__init__(f"the value of item {tag:02X} is not supported")

    @property
    def facts(self) -> dict[str, str]:
        return {"tag": f"{self.tag:02X}"}


class PinFormat(CardError):
    """Not 4 to 16 digits; the card was not asked and no try is used (-33)."""

    key = "pin_format"


class StatusError(CardError):
    """The card refused by status word `sw`."""

    def __init__(self, sw: int, detail: str = "") -> None:
        self.sw = sw
        super().__init__(f"{sw:04X}{detail and f' {detail}'}")

    @property
    def facts(self) -> dict[str, str]:
        return {"sw": f"{self.sw:04X}"}


class PinWrong(StatusError):
    """The PIN was wrong; `tries` are left, at least one (-51)."""

    key = "pin_wrong"

    def __init__(self, tries: int) -> None:
        self.tries = tries
        super().__init__(0x63C0 | tries)

    @property
    def facts(self) -> dict[str, str]:
        return {**super().facts, "tries": str(self.tries)}


class PinLocked(StatusError):
    """No try is left (-52)."""

    key = "pin_locked"
    tries: ClassVar[int] = 0


class AccessRefused(StatusError):
    """The right to read or do this is missing."""

    key = "card_access_refused"


class KeyMissing(AccessRefused):
    """The file opens with a key that this terminal has not got; `rule` is that of the table, the PIN is not enough."""

    key = "card_key_missing"

    def __init__(self, sw: int, rule: str) -> None:
        self.rule = rule
        super().__init__(sw, f"needs {rule}")

    @property
    def facts(self) -> dict[str, str]:
        return {**super().facts, "rule": self.rule}


class FileMissing(StatusError):
    """The card has no such directory or file, `file` (-27266)."""

    key = "card_file_missing"

    def __init__(self, sw: int, file: str) -> None:
        self.file = file
        super().__init__(sw, f"no {file}")

    @property
    def facts(self) -> dict[str, str]:
        return {**super().facts, "file": self.file}


class ApplicationBlocked(StatusError):
    """The social security application is blocked for good."""

    key = "card_application_blocked"


class CardBlocked(StatusError):
    """The card is blocked for good."""

    key = "card_blocked"


class UnexpectedStatus(StatusError):
    """A status word that this command should not give; `ins` is its instruction."""

    key = "card_unexpected_status"

    def __init__(self, sw: int, ins: int) -> None:
        self.ins = ins
        super().__init__(sw, f"to INS {ins:02X}")


def text_key(error: CardError | ReaderError) -> tuple[str, dict[str, str]]:
    """Key and facts of the catalogue text for what went wrong with card or reader."""
    match error:
        case CardError():
            return error.key, error.facts
        case NoCard():
            return "card_absent", {}
        case CardRemoved():
            return "card_removed", {}
        case CardMute():
            return "card_mute", {}
        case ReaderInUse():
            facts = {"port": error.port, "pid": str(error.pid or "?"), "command": error.command or "?"}
            return "card_reader_in_use", facts
        case _:
            return "card_reader_away", {}
