"""Migrations from nothing make exactly the schema of `stores.tables`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, text

from tellwire.stores.migrate import is_current, migrate_sqlite
from tellwire.stores.tables import metadata

OBJECTS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"


def objects(path: Path) -> dict[tuple[str, str], str]:
    """Tables and indexes as SQLite keeps them, white space, quotes and the order of a table's lines aside."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.execute(text(OBJECTS)).all()
    engine.dispose()
    return {(kind, name): " ".join(sorted(sql.replace('"', "").replace(",", " ").split())) for kind, name, sql in rows}


def test_migrated_from_nothing_is_what_the_tables_say(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    migrate_sqlite(migrated)
    engine = create_engine(f"sqlite:///{made}")
    metadata.create_all(engine)
    engine.dispose()
    assert objects(migrated) == objects(made)
    assert is_current(migrated)
    migrate_sqlite(migrated)
