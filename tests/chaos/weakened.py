"""Run a module whose SQLite connections only say that they are durable: `-m tests.chaos.weakened MODULE ARGUMENTS`.

Every `PRAGMA synchronous` becomes NORMAL, and the parts that read it back are told to be content with that. What is
recorded of such a program must show lost settlements, or the instrument is blind.
"""

import re
import runpy
import sqlite3
import sys
from functools import partial
from typing import Any, Self

import host_bridge.journal.store
import server.store.store

NORMAL = 1
_FULL = re.compile(r"PRAGMA synchronous=\w+")


def weaken(sql: str) -> str:
    """The statement, asking for less."""
    return _FULL.sub(f"PRAGMA synchronous={NORMAL}", sql)


class WeakCursor(sqlite3.Cursor):
    """Passes statements on, weakened."""

    def execute(self, sql: str, *values: Any) -> Self:
        return super().execute(weaken(sql), *values)


class WeakConnection(sqlite3.Connection):
    """Passes statements on, weakened."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(weaken(sql), *values)

    def cursor(self, *_: Any) -> Any:
        return super().cursor(WeakCursor)


def main() -> None:
    weak = partial(sqlite3.connect, factory=WeakConnection)
    for module in (sqlite3, sqlite3.dbapi2):
        setattr(module, "connect", weak)  # noqa: B010 - the type of connect is another
    host_bridge.journal.store.FULL = server.store.store.FULL = NORMAL
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
