"""`tellwire migrate`: bring the database to this version's schema."""

from __future__ import annotations

import sys

from tellwire import settings as settings_room
from tellwire.cli.database import usable
from tellwire.cli.output import Json, print_json
from tellwire.errors import BadSettings
from tellwire.stores.migrate import migrate_sqlite


def migrate(*, json: Json = False) -> None:
    """Migrate the database, or make it. Safe to run twice, and by several processes at once."""
    settings = settings_room.load()
    path = settings.sqlite_path
    if path is None:
        raise BadSettings("TELLWIRE_DATABASE_URL: this version migrates sqlite:///FILE only; postgresql:// comes next")
    with usable(settings):
        migrate_sqlite(path)
    if json:
        print_json({"ok": True, "database": str(path)})
    else:
        sys.stdout.write(f"{path} has the schema of this version\n")
