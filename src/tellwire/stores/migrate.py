"""Migrations (Alembic): explicit, and safe to run twice or by several processes at once.

A migration is one file in `migrations/versions`, named after its number and what it adds: `0002_labels.py`. That name
is also its revision, so the newest one is known without Alembic, and a start with an up-to-date database is quick.
"""

from __future__ import annotations

import ast
import re
import sqlite3
from contextlib import closing, suppress
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from runpy import run_path

from msgspec import Struct
from sqlalchemy import Connection

from tellwire import __version__
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


REVISION = "SELECT version_num FROM alembic_version"
WRITTEN_BY = "SELECT version FROM schema_revisions WHERE revision ="
"""The SQL for the version of Tellwire that brought a database to a revision; the revision follows, as a parameter."""


class FoundSchema(Struct, frozen=True):
    """The revision that a database has, "" for none; and the version of Tellwire that made it so, "" when unknown."""

    revision: str
    written_by: str = ""


class Migration(Struct, frozen=True):
    """A step that a database lacks, and what it does: the first line of its docstring."""

    revision: str
    does: str


def lacking(found: FoundSchema, database: str, remedy: str, migrations: Traversable = MIGRATIONS) -> list[str]:
    """Return the revisions that a database lacks, oldest first.

    Args:
        found: the schema that the database has.
        database: its name, for the error text.
        remedy: what to do with a database that no migration fits, for the error text.
        migrations: the folder of migrations.

    Raises:
        NotMigrated: this version has no such revision: a newer version wrote the schema, or one under development.
    """
    known = revisions(migrations)
    if not found.revision:
        return known
    if found.revision in known:
        return known[known.index(found.revision) + 1 :]
    if is_later(found.revision, migrations):
        version = f"Tellwire {found.written_by}" if found.written_by else "a newer Tellwire"
        raise NotMigrated(
            f"the database {database} has the schema {found.revision!r} of {version}, and this is Tellwire"
            f" {__version__}, which knows the schema up to {known[-1]!r}: start {version} or a later version, or"
            " restore a backup from before the upgrade"
        )
    raise NotMigrated(
        f"the database {database} has the schema {found.revision!r} of a version of Tellwire under development, which"
        f" cannot be migrated: {remedy}"
    )


def is_later(revision: str, migrations: Traversable = MIGRATIONS) -> bool:
    """Return whether a revision comes after every one of this version."""
    return re.match(r"\d{4}_", revision) is not None and revision[:4] > revisions(migrations)[-1][:4]


def what_they_do(chosen: list[str], migrations: Traversable = MIGRATIONS) -> list[Migration]:
    """Return these revisions with the first line of each one's docstring."""
    texts = [(migrations / "versions" / f"{revision}.py").read_text(encoding="utf-8") for revision in chosen]
    return [
        Migration(revision, (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0])
        for revision, text in zip(chosen, texts, strict=True)
    ]


def found_in_file(path: Path) -> FoundSchema:
    """Return the schema of an SQLite file, also of one that is not there."""
    if not path.exists():
        return FoundSchema("")
    with closing(sqlite3.connect(path, timeout=10)) as db, suppress(sqlite3.OperationalError):
        row = db.execute(REVISION).fetchone()
        if row is None:
            return FoundSchema("")
        with suppress(sqlite3.OperationalError):  # no such table in a schema of a version under development
            written = db.execute(f"{WRITTEN_BY} ?", row).fetchone()
            return FoundSchema(row[0], written[0] if written else "")
        return FoundSchema(row[0])
    return FoundSchema("")


def lacking_in_file(path: Path, migrations: Traversable = MIGRATIONS) -> list[str]:
    """Return the revisions that an SQLite file lacks, oldest first.

    Raises:
        NotMigrated: its schema is of a newer version, or of a version under development.
    """
    remedy = "move the file away, or name another one in TELLWIRE_DATABASE_URL, and a new database is made"
    return lacking(found_in_file(path), str(path), remedy, migrations)


def migrate_sqlite(path: Path, migrations: Traversable = MIGRATIONS) -> None:
    """Bring an SQLite file to the newest schema, making it when there is none.

    Raises:
        NotMigrated: its schema is of a newer version, or of a version under development.
    """
    if not lacking_in_file(path, migrations):
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
