"""What can be wrong with a journal; `key` names the catalogue text, `facts` its placeholders."""

from typing import ClassVar


class JournalError(Exception):
    """The journal did not do what was asked; nothing that was acknowledged is lost."""

    key: ClassVar[str]

    def __init__(self, **facts: object) -> None:
        self.facts = {name: str(fact) for name, fact in facts.items()}
        super().__init__(", ".join([self.key, *(f"{name}={fact}" for name, fact in self.facts.items())]))


class NotEnrolled(JournalError):
    """There is no journal: the terminal has to be enrolled first."""

    key = "journal_not_enrolled"


class JournalInUse(JournalError):
    """Another process writes this journal."""

    key = "journal_in_use"

    def __init__(self, pid: str) -> None:
        super().__init__(pid=pid)


class AlreadyRefunded(JournalError):
    """The settlement has been taken back before, by the event `refund`."""

    key = "journal_already_refunded"

    def __init__(self, original: str, refund: str) -> None:
        super().__init__(original=original, refund=refund)


class JournalStopped(JournalError):
    """Nothing is written any more until the journal is opened again."""


class JournalFull(JournalStopped):
    """The disk is full."""

    key = "journal_full"


class JournalBroken(JournalStopped):
    """The file is damaged or the disk failed; `reason` is a short English phrase, `seq` the event."""

    key = "journal_broken"

    def __init__(self, reason: str, seq: int | None = None) -> None:
        self.reason, self.seq = reason, seq
        super().__init__(reason=reason if seq is None else f"{reason} at {seq}")


class JournalRolledBack(JournalStopped):
    """The centre's mark (`epoch`, `seq`) is not in this journal: an old copy, a clone, or an earlier epoch.

    Stays so after opening again; a new enrolment makes a new epoch.
    """

    key = "journal_old_copy"

    def __init__(self, epoch: int, seq: int, end: int) -> None:
        self.epoch, self.seq, self.end = epoch, seq, end
        super().__init__(epoch=epoch, seq=seq, end=end)
