"""Implement `tellwire serve`: HTTP, ingest and delivery, in one process or each in processes of its own."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import nullcontext
from enum import StrEnum
from typing import Annotated

import structlog
import typer
from msgspec.structs import replace

from tellwire.app import App
from tellwire.cli import DONE, profiles, settings_in_force
from tellwire.cli.database import usable
from tellwire.cli.output import Json, print_json
from tellwire.cli.serving import GRACE_SECONDS, Site, bind, log_to_stderr, run, url_of
from tellwire.settings import Settings

log = structlog.get_logger("tellwire")


class Role(StrEnum):
    ALL = "all"
    INGEST = "ingest"
    DELIVER = "deliver"


def serve(
    *,
    role: Annotated[
        Role,
        typer.Option(
            help="all; or, on PostgreSQL, ingest (HTTP only) or deliver (deliveries, with /livez, /readyz, /metrics)."
        ),
    ] = Role.ALL,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Migrate the database first; SQLite is always migrated.")
    ] = False,
    json: Json = False,
) -> int:
    """Serve until SIGTERM or Ctrl-C, then finish what is under way.

    Settings come from TELLWIRE_* variables and tellwire.toml; `tellwire config` shows them.
    """
    settings = settings_in_force.load()
    log_to_stderr()
    return run(lambda stop: _serve(stop, settings, role, migrate=migrate, as_json=json))


async def _serve(stop: asyncio.Event, settings: Settings, role: Role, *, migrate: bool, as_json: bool) -> int:
    sock = bind(settings.host, settings.port)
    settings = replace(settings, port=sock.getsockname()[1])
    try:
        with usable(settings):
            app = await App.open(settings, role=role.value, migrate=migrate)
        try:
            await app.start()
            key = f"tw_{secrets.token_urlsafe(32)}"
            site = Site(app, sock, local_key=key)
            await site.start()
            url = url_of(sock)
            serves_api = role is not Role.DELIVER
            with profiles.left_by("serve", url=url, key=key, settings=settings) if serves_api else nullcontext():
                log.info("ready", url=url, role=role.value, database=str(settings.sqlite_path or "postgresql"))
                if as_json:
                    print_json({"event": "ready", "url": url})
                await stop.wait()
            log.info("stopping", grace_seconds=GRACE_SECONDS)
            await site.stop()
        finally:
            await app.stop(grace_seconds=GRACE_SECONDS)
    finally:
        sock.close()
    log.info("stopped")
    return DONE
