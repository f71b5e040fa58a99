"""Migrations (Alembic): explicit, and safe to run twice or by several processes at once.

A migration is one file in `migrations/versions`, named after its number and what it adds: `0002_labels.py`. That name
is also its revision, so the newest one is known without Alembic, and a start with an up-to-date database is quick.
"""

from __future__ import annotations

import re
import sqlite3
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from runpy import run_path

from sqlalchemy import Connection

from tellwire.errors import NotMigrated

MIGRATIONS = files("tellwire.stores") / "migrations"
"""The folder of this version's migrations."""

_LONGEST = 32
"""The most characters of a revision: the width of Alembic's column."""


def revisions(migrations: Traversable = MIGRATIONS) -> list[str]:
    """Return the revisions of a folder of migrations, oldest first."""
    names = sorted(file.name for file in (migrations / "versions").iterdir())
    return [name.removesuffix(".py") for name in names if name.endswith(".py") and not name.startswith((".", "_"))]


HEAD = revisions()[-1]
"""The newest revision."""


def is_newest(revision: str, database: str, remedy: str, migrations: Traversable = MIGRATIONS) -> bool:
    """Return whether a database of this revision lacks no migration.

    A database of a later version lacks none, because migrations only add.

    Args:
        revision: the revision that the database has.
        database: its name, for the error text.
        remedy: what to do with a database that no migration fits, for the error text.
        migrations: the folder of migrations.

    Raises:
        NotMigrated: neither this version nor a later one has this revision.
    """
    known = revisions(migrations)
    if revision in known:
        return revision == known[-1]
    if re.match(r"\d{4}_", revision) and revision[:4] > known[-1][:4]:
        return True
    raise NotMigrated(
        f"the database {database} has the schema {revision!r} of a version of Tellwire under development, which cannot"
        f" be migrated: {remedy}"
    )


def is_current(path: Path, migrations: Traversable = MIGRATIONS) -> bool:
    """Return whether an SQLite file has this version's schema, or a newer one (this version runs on that too).

    Raises:
        NotMigrated: its schema is of a version under development.
    """
    if not path.exists():
        return False
    db = sqlite3.connect(path, timeout=10)
    try:
        row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        db.close()
    remedy = "move the file away, or name another one in TELLWIRE_DATABASE_URL, and a new database is made"
    return row is not None and is_newest(row[0], str(path), remedy, migrations)


def migrate_sqlite(path: Path, migrations: Traversable = MIGRATIONS) -> None:
    """Bring an SQLite file to the newest schema, making it when there is none.

    Raises:
        NotMigrated: its schema is of a version under development.
    """
    if is_current(path, migrations):
        return
    from sqlalchemy import Engine, create_engine, event  # noqa: PLC0415 - imported only when there is something to do

    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(
        mode=0o600
    )  # it holds people's messages, so only this user may read it; SQLite's other files copy the mode
    engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None, "timeout": 30})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection, connection.begin():
            upgrade(connection, migrations)
    finally:
        engine.dispose()


def upgrade(connection: Connection, migrations: Traversable = MIGRATIONS) -> None:
    """Run the migrations that a database lacks, in the connection's transaction.

    Raises:
        NotMigrated: the migrations are not one chain.
    """
    from alembic import command  # noqa: PLC0415 - imported only when there is something to do
    from alembic.config import Config  # noqa: PLC0415

    with as_file(migrations) as folder:
        check_chain(folder)
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))  # ConfigParser interpolates
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_chain(migrations: Path) -> None:
    """Check that every migration follows the one before, by its number and by its `down_revision`.

    Raises:
        NotMigrated: one does not; the text names it and says what is expected.
    """
    before = None
    for number, revision in enumerate(revisions(migrations), 1):
        file = f"{revision}.py"
        if not re.fullmatch(rf"{number:04}_\w+", revision):
            raise NotMigrated(
                f"the migration {file} stands where {number:04}_<what it adds>.py is expected: the numbers have no gap,"
                " and none is given twice"
            )
        if len(revision) > _LONGEST:
            raise NotMigrated(
                f"the migration {file} has too long a name: {_LONGEST} characters before .py are the most"
            )
        variables = run_path(str(migrations / "versions" / file))
        if (variables.get("revision"), variables.get("down_revision")) != (revision, before):
            raise NotMigrated(
                f"the migration {file} must say revision = {revision!r} and down_revision = {before!r}: each follows"
                " the one before it"
            )
        before = revision
