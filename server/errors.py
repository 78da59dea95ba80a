"""What can go wrong at the centre, as facts; people read `key` through `protocols/texts`."""

import msgspec

from protocols.texts.catalogue import texts

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises on hostile JSON: wrong shape, bytes that are not UTF-8, endless nesting."""


class CentreError(Exception):
    """A failure with a catalogue key and the facts its text names."""

    def __init__(self, key: str, **facts: str) -> None:
        super().__init__(key)
        self.key = key
        self.facts = facts

    @property
    def number(self) -> str:
        """The catalogue number people quote."""
        return texts()[self.key].number


class ConfigWrong(CentreError):
    """The configuration cannot be used."""


class StoreUnusable(CentreError):
    """The store does not keep what it promises."""


class EnrolmentRefused(CentreError):
    """An enrolment request that gets no record."""


class LeaseLost(CentreError):
    """Another server works on the same store."""


def number(key: str) -> str:
    """The catalogue number of a key."""
    return texts()[key].number
