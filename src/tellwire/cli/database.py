"""Report what is wrong with the database's file in one line instead of a traceback."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tellwire.errors import TellwireError
from tellwire.settings import Settings


@contextmanager
def usable(settings: Settings) -> Iterator[None]:
    """Turn errors of opening the database, within the block, into one readable error.

    Raises:
        TellwireError: the file cannot be opened, because of the file system or because it is no database.
    """
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps the error of SQLite
        if not isinstance(cause, OSError | sqlite3.Error):
            raise
        raise TellwireError(f"the database {settings.sqlite_path} cannot be opened: {cause}") from None
