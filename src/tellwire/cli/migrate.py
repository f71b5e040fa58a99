"""Implement `tellwire migrate`: bring the database to this version's schema, or say what that would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tellwire.cli import DONE, FAILED, printing
from tellwire.cli.output import Json, print_json

if TYPE_CHECKING:
    from tellwire.stores.opening import MigrationPlan


def migrate(
    *,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Change nothing; print what would be done. Exit code 0: nothing, 1: something."),
    ] = False,
    json: Json = False,
) -> int:
    """Migrate the database, or make it. Safe to run twice, and by several processes at once.

    A database that a newer version migrated is refused, with the version that it needs.
    """
    import asyncio  # noqa: PLC0415 - `--help` does not need what follows

    from tellwire.cli import settings_in_force  # noqa: PLC0415
    from tellwire.cli.database import usable  # noqa: PLC0415
    from tellwire.cli.serving import log_to_stderr  # noqa: PLC0415
    from tellwire.stores.opening import migrate_store, plan_migration  # noqa: PLC0415

    loaded = settings_in_force.read()
    settings = loaded.settings
    log_to_stderr()
    if plan and (meant := settings_in_force.meant_dev(loaded)):
        printing.err(f"tellwire: {meant}\n")
    with usable(settings):
        if plan:
            return _show(
                asyncio.run(plan_migration(settings.database_url, pooled=settings.database_pooler)), as_json=json
            )
        name = asyncio.run(migrate_store(settings.database_url, pooled=settings.database_pooler))
    if json:
        print_json({"ok": True, "database": name})
    else:
        printing.out(f"{name} has the schema of this version\n")
    return DONE


def _show(plan: MigrationPlan, *, as_json: bool) -> int:
    steps = [{"revision": each.revision, "does": each.does} for each in plan.migrations]
    if as_json:
        print_json(
            {
                "up_to_date": not steps,
                "database": plan.database,
                "revision": plan.revision or None,
                "newest": plan.newest,
                "migrations": steps,
            }
        )
    elif not steps:
        printing.out(f"{plan.database} has the schema of this version ({plan.newest}): nothing is to be done\n")
    else:
        printing.out(f"{plan.database}: from {plan.revision or 'nothing'} to {plan.newest}\n")
        for each in plan.migrations:
            printing.out(f"  {each.revision}  {each.does}\n")
        printing.out("nothing was changed; `tellwire backup`, then `tellwire migrate`\n")
    return FAILED if steps else DONE
