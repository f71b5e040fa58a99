"""Run everything of `dev` in one event loop: the server, the catcher with its endpoints, and a simulated Meta."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tellwire.app import App
from tellwire.cli import settings_in_force
from tellwire.cli.database import usable
from tellwire.cli.dev.catcher import Catch, Catcher
from tellwire.cli.dev.home import Home
from tellwire.cli.dev.journeys import Journeys
from tellwire.cli.dev.phone import DevPhone
from tellwire.cli.dev.registration import DevAgents, register, settle_account, settle_agents
from tellwire.cli.dev.rest import Rest
from tellwire.cli.serving import Site, bind, url_of
from tellwire.errors import TellwireError
from tellwire.formats import FORMATS
from tellwire.http_client.sender import open_sender
from tellwire.security.addresses import ANYWHERE
from tellwire.settings import DEV_DEFAULTS, LOOPBACK, AppSecret, Settings
from tellwire.simulator import Knobs, Poster, Simulator, State
from tellwire.verdict.watch import News

_GRACE_SECONDS = 3
_HERE = "127.0.0.1"
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
CATCHER_PORT, SIMULATOR_PORT = 8701, 8703  # 8702 belongs to `simulate --serve`
_GRAPH_VERSION = "v24.0"


class Ports(Struct, frozen=True):
    """The ports to listen on; instead of a taken port the next free one is used."""

    server: int
    catcher: int
    simulator: int


class Stack(Struct, frozen=True, kw_only=True):
    """What runs, and how to reach it."""

    url: str
    catcher_url: str
    catcher: Catcher
    poster: Poster
    rest: Rest
    meta: State
    meta_url: str
    simulated: bool
    """whether messages go to the simulator, not to a META_GRAPH_URL of the user's own"""
    agents: DevAgents
    phone: DevPhone | None


def dev_settings(home: Home, database: Path, *, keep_database: bool) -> Settings:
    """Return the settings in force with what `dev` adds; the catcher and the simulator are allowed addresses.

    Args:
        database: the SQLite file to use.
        keep_database: whether a DATABASE_URL of the settings replaces the file, and a META_GRAPH_URL of the settings
            the simulator's, which is left empty here.
    """
    ours: dict[str, object] = {
        "database_url": f"sqlite:///{database}",
        "admin_key": home.admin_key,
        "meta_verify_token": home.verify_token,
        "meta_graph_url": "",
    }
    given = settings_in_force.load(defaults={**DEV_DEFAULTS, **ours})
    return replace(
        given,
        database_url=given.database_url if keep_database else f"sqlite:///{database}",
        meta_graph_url=given.meta_graph_url if keep_database else "",
        meta_app_secret=(*given.meta_app_secret, AppSecret(home.app_secret)),
        delivery_allow_cidrs=tuple(dict.fromkeys((*given.delivery_allow_cidrs, *LOOPBACK))),
        allowed_hosts=(*given.allowed_hosts, *_LOOPBACK_NAMES) if given.allowed_hosts else (),
    )


@asynccontextmanager
async def running(
    settings: Settings,
    home: Home,
    ports: Ports,
    journeys: Journeys,
    *,
    anew: bool,
    on_catch: Callable[[Catch], None],
    on_news: Callable[[News], None] | None = None,
    scripted: bool = False,
    knobs: Knobs | None = None,
) -> AsyncIterator[Stack]:
    """Start everything, and stop it in the reverse order.

    Deliveries and sending begin only when the endpoints lead to this catcher: an earlier one may have used another
    port.

    Args:
        journeys: gets each attempt, and the ids of the endpoints and agents of `dev`.
        anew: whether existing endpoints have other secrets.
        on_catch: called with each catch.
        on_news: called when the verdict changes.
        scripted: whether the demo agent answers customers; it does not if the user's own agent does, or if messages
            go to the real Meta.
        knobs: the simulator's settings.

    Raises:
        TellwireError: something cannot start, with the reason.
    """
    async with AsyncExitStack() as stack:
        sock = bind(settings.host, ports.server, move=True)
        stack.callback(sock.close)
        catching = bind(_HERE, ports.catcher, move=True)
        stack.callback(catching.close)
        graph = bind(_HERE, ports.simulator, move=True)
        stack.callback(graph.close)
        url, catcher_url, meta_url = url_of(sock), url_of(catching), url_of(graph)
        simulated = not settings.meta_graph_url
        settings = replace(
            settings,
            port=sock.getsockname()[1],
            meta_graph_url=settings.meta_graph_url or f"{meta_url}/{_GRAPH_VERSION}",
        )
        catcher = Catcher(home.secrets, on_catch=on_catch)
        await catcher.start(catching)
        stack.push_async_callback(catcher.stop)  # stops after the app, whose deliveries may be under way
        meta = State(tokens=(), knobs=knobs)  # any token is valid: none of them leaves this machine
        simulator = Simulator(meta, callback=f"{url}/meta/webhook", secret=home.app_secret)
        await simulator.start(graph)
        stack.push_async_callback(simulator.stop)
        with usable(settings):
            app = await App.open(settings, on_attempt=journeys.attempted)
        if on_news is not None:
            app.watch.listeners.append(on_news)
        stack.push_async_callback(app.stop, grace_seconds=_GRACE_SECONDS)
        phone = DevPhone(meta, catcher) if simulated else None
        site = Site(app, sock, grace_seconds=_GRACE_SECONDS, phone=phone)
        await site.start()
        stack.push_async_callback(site.stop)
        rest = Rest(url, settings.admin_key)
        journeys.know(
            formats=await register(rest, {name: f"{catcher_url}/{name}" for name in FORMATS}, home.secrets, anew=anew)
        )
        account = await settle_account(rest, simulated=simulated)
        agents = await settle_agents(rest, account, scripted=scripted and simulated)
        journeys.know(authors={agents.person: "you", agents.scripted: "demo agent"}, simulated=simulated)
        sender = open_sender(reach=ANYWHERE)
        stack.push_async_callback(sender.close)
        poster = Poster(sender, f"{url}/meta/webhook", home.app_secret)
        if not await poster.handshake(settings.meta_verify_token, secrets.token_hex(8)):
            raise TellwireError("the server did not pass Meta's handshake on /meta/webhook")
        await app.start()
        yield Stack(
            url=url,
            catcher_url=catcher_url,
            catcher=catcher,
            poster=poster,
            rest=rest,
            meta=meta,
            meta_url=meta_url,
            simulated=simulated,
            agents=agents,
            phone=phone,
        )
