"""Migrations (Alembic): explicit, safe to run twice and at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection

HEAD = "0003"
"""The newest revision; compared without importing Alembic, so that an up-to-date start stays quick."""


def is_current(path: Path) -> bool:
    """Whether an SQLite file has this version's schema, or a newer one, on which this version runs too."""
    if not path.exists():
        return False
    db = sqlite3.connect(path, timeout=10)
    try:
        row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        db.close()
    return row is not None and str(row[0]) >= HEAD


def migrate_sqlite(path: Path) -> None:
    """Bring an SQLite file to the newest schema, making it when there is none."""
    if is_current(path):
        return
    from sqlalchemy import Engine, create_engine, event  # noqa: PLC0415 - only when there is something to do

    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # people's messages: nobody else's to read; SQLite's other files take after it
    engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None, "timeout": 30})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection, connection.begin():
        upgrade(connection)
    engine.dispose()


def upgrade(connection: Connection) -> None:
    """Run the migrations that a database lacks, in the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - only when there is something to do
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
