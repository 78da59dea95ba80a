"""Durable steps on the write path, in order: where a process may die, and nothing may be lost or doubled."""

from collections.abc import Callable

TERMINAL_STEPS = (
    "terminal.before_event",
    "terminal.event_written",
    "terminal.event_committed",
    "terminal.result_shown",
    "terminal.receipt_printed",
    "terminal.frame_sent",
    "terminal.receipt_arrived",
    "terminal.mark_written",
    "terminal.mark_committed",
)
INBOX_STEPS = (
    "inbox.frame_arrived",
    "inbox.events_written",
    "inbox.ledger_written",
    "inbox.mark_written",
    "inbox.committed",
    "inbox.acknowledged",
    "inbox.receipt_sent",
)

OnStep = Callable[[str], None]
"""Called with a step's name right after the step was taken."""


def pass_by(step: str) -> None:
    """The `OnStep` of everyday life."""
