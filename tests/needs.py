"""What a test cannot do without."""

import os

import pytest


def need(trouble: str | None) -> None:
    """Skip where something is the matter; in CI that is a failure."""
    if trouble is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(trouble)
