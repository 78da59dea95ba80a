"""What a test here cannot do without."""

import os

import pytest

from tests.chaos.trace import strace_trouble


def need_strace() -> None:
    """Skip where processes cannot be traced; in CI that is a failure."""
    trouble = strace_trouble()
    if trouble is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(trouble)
