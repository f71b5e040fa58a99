"""Implement `tellwire migrate`: bring the database to this version's schema."""

from __future__ import annotations

import asyncio
import sys

from tellwire.cli import settings_in_force
from tellwire.cli.database import usable
from tellwire.cli.output import Json, print_json
from tellwire.cli.serving import log_to_stderr
from tellwire.stores.opening import migrate_store


def migrate(*, json: Json = False) -> None:
    """Migrate the database, or make it. Safe to run twice, and by several processes at once."""
    settings = settings_in_force.load()
    log_to_stderr()
    with usable(settings):
        name = asyncio.run(migrate_store(settings.database_url, pooled=settings.database_pooler))
    if json:
        print_json({"ok": True, "database": name})
    else:
        sys.stdout.write(f"{name} has the schema of this version\n")
