"""Everything that `dev` runs, in one event loop: the server, the catcher with its endpoints, and Meta's end."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tellwire import settings as settings_room
from tellwire.app import App
from tellwire.catcher import Catcher
from tellwire.cli.database import usable
from tellwire.cli.dev.home import Home
from tellwire.cli.dev.journeys import Journeys
from tellwire.cli.dev.registration import create_account, register
from tellwire.cli.dev.rest import Rest
from tellwire.cli.serving import Site, bind, url_of
from tellwire.errors import TellwireError
from tellwire.sender import open_sender
from tellwire.settings import DEV_DEFAULTS, LOOPBACK, AppSecret, Settings
from tellwire.simulator import BUSINESS, Poster

FORMATS = ("row", "chat")
_GRACE_SECONDS = 3
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
CATCHER_PORT = 8701


class Ports(Struct, frozen=True):
    """Where to listen; a taken port gives way to the next free one."""

    server: int
    catcher: int


class Stack(Struct, frozen=True, kw_only=True):
    """What runs, and how to reach it."""

    url: str
    catcher_url: str
    catcher: Catcher
    poster: Poster


def dev_settings(home: Home, database: Path, *, keep_database: bool) -> Settings:
    """The settings in force, with what `dev` adds: the catcher and the simulator must get through.

    Args:
        database: the file to use; one that the settings name goes before it only if `keep_database`.
    """
    ours: dict[str, object] = {
        "database_url": f"sqlite:///{database}",
        "admin_key": home.admin_key,
        "meta_verify_token": home.verify_token,
    }
    given = settings_room.load(defaults={**DEV_DEFAULTS, **ours})
    return replace(
        given,
        database_url=given.database_url if keep_database else f"sqlite:///{database}",
        meta_app_secret=(*given.meta_app_secret, AppSecret(home.app_secret)),
        delivery_allow_cidrs=tuple(dict.fromkeys((*given.delivery_allow_cidrs, *LOOPBACK))),
        allowed_hosts=(*given.allowed_hosts, *_LOOPBACK_NAMES) if given.allowed_hosts else (),
    )


@asynccontextmanager
async def running(
    settings: Settings, home: Home, ports: Ports, journeys: Journeys, formats: dict[str, str], *, anew: bool
) -> AsyncIterator[Stack]:
    """Start everything, and stop it in the reverse order.

    Deliveries begin only when the endpoints lead to this catcher: an earlier one may have listened elsewhere.

    Args:
        formats: filled with endpoint id → format.
        anew: endpoints that are there already were given other secrets.

    Raises:
        TellwireError: something cannot start, with the reason.
    """
    async with AsyncExitStack() as stack:
        sock = bind(settings.host, ports.server, move=True)
        stack.callback(sock.close)
        settings = replace(settings, port=sock.getsockname()[1])
        catching = bind("127.0.0.1", ports.catcher, move=True)
        stack.callback(catching.close)
        catcher = Catcher(home.secrets, on_catch=journeys.caught)
        await catcher.start(catching)
        stack.push_async_callback(catcher.stop)  # after the app, whose deliveries may be under way
        with usable(settings):
            app = await App.open(settings, on_attempt=journeys.attempted)
        stack.push_async_callback(app.stop, grace_seconds=_GRACE_SECONDS)
        site = Site(app, sock, grace_seconds=_GRACE_SECONDS)
        await site.start()
        stack.push_async_callback(site.stop)
        url, catcher_url = url_of(sock), url_of(catching)
        rest = Rest(url, settings.admin_key)
        formats |= await register(rest, {name: f"{catcher_url}/{name}" for name in FORMATS}, home.secrets, anew=anew)
        if not settings.auto_accounts:
            await create_account(rest, BUSINESS.phone_number_id)
        sender = open_sender(allow=LOOPBACK)
        stack.push_async_callback(sender.close)
        poster = Poster(sender, f"{url}/meta/webhook", home.app_secret)
        if not await poster.handshake(settings.meta_verify_token, secrets.token_hex(8)):
            raise TellwireError("the server did not pass Meta's handshake on /meta/webhook")
        await app.start()
        yield Stack(url=url, catcher_url=catcher_url, catcher=catcher, poster=poster)
