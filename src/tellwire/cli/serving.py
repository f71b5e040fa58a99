"""Share what `serve` and `dev` need: a loop that signals end, a listening socket, and an app's HTTP server on it."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import structlog
import uvloop

import tellwire_sdk
from tellwire import settings
from tellwire.app import App
from tellwire.errors import BadSettings, TellwireError
from tellwire.formats import FORMATS, SCHEMAS, event_names, row
from tellwire.formats.openapi import webhooks
from tellwire.http_client.descriptors import raise_descriptor_limit
from tellwire.http_client.self_calls import SelfCalls
from tellwire.observability import logs
from tellwire.web import Services, WebApp, create_app
from tellwire.web.bounds import ConnectionCaps, connection_caps
from tellwire.web.server import Server, listening
from tellwire.web.services import Phone

log = structlog.get_logger("tellwire")

GRACE_SECONDS = 4
"""How long (seconds) requests under way, and then deliveries, may take to end after a signal: supervisors kill a
process after 10 s."""
_MOVES = 50
_NAMES = ("TELLWIRE_HOST", "TELLWIRE_PORT")
_SWITCH_SECONDS = 0.0005
"""How soon a busy event loop hands the interpreter to the store's writer thread, which asks for it at each statement.
The default of 5 ms made the writer wait (this value gives up to 1.4 times the messages/s, measured with `bench`)."""


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> int:
    """Run `main` on uvloop and return its exit code. `main` gets an event that SIGINT and SIGTERM set.

    A second signal ends the process at once.
    """
    raise_descriptor_limit()
    sys.setswitchinterval(_SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_with_signals(main))


async def _with_signals(main: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def stopped() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped)
    return await main(stop)


def log_to_stderr(stream: TextIO | None = None, *, as_json: bool | None = None, level: int = logging.INFO) -> None:
    """Set up logging to stderr, or to another stream (`logs.set_up`); libraries log warnings and errors only."""
    logs.set_up(stream, as_json=as_json, level=level)
    for library in ("alembic", "uvicorn", "httpx2", "openai"):
        logging.getLogger(library).setLevel(logging.WARNING)


def bind(host: str, port: int, *, move: bool = False, names: tuple[str, str] = _NAMES) -> socket.socket:
    """Listen on an address; with `move` on the next free port if this one is taken. `names`: the settings of both.

    Raises:
        TellwireError: the port is taken or not allowed, or the host is no address of this machine.
    """
    for candidate in [port, *range(port + 1, min(port + _MOVES, 65536)), 0] if move else [port]:
        try:
            return listening(host, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and move:
                continue
            raise TellwireError(_why(host, candidate, error, names)) from None
    raise TellwireError(f"no port is free on {host}: choose another address with {names[0]}")


def _why(host: str, port: int, error: OSError, names: tuple[str, str]) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is taken: stop what listens there, or choose another with {names[1]}"
        case errno.EACCES:
            return f"this user may not listen on port {port}: choose one above 1023 with {names[1]}"
        case _:
            return f"cannot listen on {host} port {port}: {error.strerror}; see {names[0]} and {names[1]}"


def url_of(sock: socket.socket) -> str:
    """Return the URL that reaches a listening socket from this machine."""
    host, port = sock.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def services_of(app: App, phone: Phone | None = None, *, local_key: str = "") -> Services:
    """Return the services of an app that its web layer needs."""
    return Services(
        store=app.store,
        ingest=app.ingest,
        clock=app.clock,
        settings=app.settings,
        formats=FORMATS,
        stream_format=row,
        event_names=event_names.ALL,
        schemas=SCHEMAS,
        webhooks=webhooks(),
        check_url=app.check_url,
        check_model_url=app.check_model_url,
        check_tool_url=app.check_tool_url,
        agent_trial=app.agent_trial,
        ask_for_consent=app.endpoint_tester.ask_for_consent,
        send_test=app.endpoint_tester.send_test,
        whsec_form=tellwire_sdk.whsec_form,
        wire=app.wire,
        route_unrouted=app.housekeeping.route_unrouted,
        erase=app.erasure_worker.start,
        wake=app.dispatcher.wake,
        wake_downloads=app.download_worker.wake,
        files=app.files,
        counters=app.counters,
        watch=app.watch,
        alerts=app.alerts,
        graph=app.graph,
        probe=SelfCalls(),
        template_sync=app.template_sync,
        engine=app.dispatcher,
        sending_worker=app.sending_worker,
        send_answers=app.send_answers,
        tracer=app.tracer,
        phone=phone,
        login_provider=app.login_provider,
        setting_sources=_setting_sources(),
        local_key=local_key,
    )


def _setting_sources() -> Mapping[str, str]:
    with suppress(BadSettings):  # the settings file was changed meanwhile
        return settings.read().sources
    return {}


class Site:
    """The HTTP server of an app on a listening socket, in the running loop."""

    def __init__(
        self,
        app: App,
        sock: socket.socket,
        *,
        grace_seconds: int = GRACE_SECONDS,
        phone: Phone | None = None,
        local_key: str = "",
    ) -> None:
        self._server = _Part(
            create_app(services_of(app, phone, local_key=local_key), probes_only=app.role == "deliver"),
            grace_seconds=grace_seconds,
            caps=_caps(app),
        )
        self._sock = sock
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start serving; return once requests are answered."""
        self._serving = asyncio.create_task(self._server.serve([self._sock]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._serving
        spare_the_collector()

    async def stop(self) -> None:
        """Accept nothing new, and finish what is under way within the grace time."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


def _caps(app: App) -> ConnectionCaps:
    """Return how many connections fit beside what the rest of the process needs; log it if that is too few."""
    descriptors = app.descriptors
    caps = connection_caps(
        fitting=descriptors.server,
        total=app.settings.http_max_connections,
        per_peer=app.settings.http_max_connections_per_peer,
    )
    wanted = app.settings.http_max_connections or 0
    if descriptors.server < caps.total or caps.total < wanted:
        log.warning(
            "few_descriptors",
            descriptors=descriptors.total,
            reserved=descriptors.total - descriptors.server,
            connections=caps.total,
            hint="raise the limit of open files (ulimit -n, LimitNOFILE)",
        )
    return caps


def spare_the_collector() -> None:
    """Exclude what is loaded by now from garbage collection."""
    gc.collect()
    gc.freeze()


class _Part(Server):
    """A server inside a process that handles signals itself; `ready` is set once it accepts requests."""

    def __init__(self, application: WebApp, *, grace_seconds: int, caps: ConnectionCaps) -> None:
        super().__init__(application, grace_seconds=grace_seconds, caps=caps)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the server and set `ready`."""
        await super().startup(sockets)
        self.ready.set()
