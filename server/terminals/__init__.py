"""Enrolment, the broker's files, presence, and what pages ask about terminals."""
