"""Implement the command `tellwire dev`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from tellwire.cli import DONE, FAILED, profiles
from tellwire.cli.dev.catcher import Catch, CatchCounts
from tellwire.cli.dev.chat import BeforePost, ChattingCustomer, both
from tellwire.cli.dev.home import FOLDER, clear, keep, lock, make_home
from tellwire.cli.dev.journeys import Journeys
from tellwire.cli.dev.once import KNOBS, once
from tellwire.cli.dev.replies import Replies
from tellwire.cli.dev.screen import LinePrinter, Screen
from tellwire.cli.dev.stack import CATCHER_PORT, SIMULATOR_PORT, Ports, Stack, dev_settings, running
from tellwire.cli.dev.terminal import typed
from tellwire.cli.output import Json
from tellwire.cli.serving import log_to_stderr, run
from tellwire.errors import TellwireError
from tellwire.formats import FORMATS
from tellwire.simulator import Knobs

_KNOBS = Knobs(sent_after=0.1, delivered_after=0.4, read_after=0.8)
"""Delays that are long enough for a person to watch the statuses come."""


def dev(
    *,
    end: Annotated[bool, typer.Option("--once", help="Do the main job once on data of its own, then exit.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help=f"Delete what earlier runs kept in {FOLDER}/.")] = False,
    silent: Annotated[bool, typer.Option("--no-traffic", help="The simulated customer stays silent.")] = False,
    agentless: Annotated[bool, typer.Option("--no-agent", help="The scripted demo agent does not answer.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the server; a taken one gives way to the next free.")
    ] = None,
    json: Json = False,
) -> int:
    """Run everything on this machine: server, SQLite, a simulated Meta with a customer who writes, and a catcher that
    verifies what arrives. A line that is typed, or piped in, is sent to the customer who wrote last.

    Ctrl-C stops it and keeps the data. With --once --json one line on stdout says whether all formats arrived.
    """
    started = time.perf_counter()
    log_to_stderr()
    if end:
        return run(lambda stop: _once(stop, started=started, port=port or 0, as_json=json))
    return run(lambda stop: _live(stop, port=port, fresh=fresh, silent=silent, scripted=not agentless, as_json=json))


async def _once(stop: asyncio.Event, *, started: float, port: int, as_json: bool) -> int:
    home, ok = make_home(tuple(FORMATS)), False
    tallies = {name: CatchCounts() for name in FORMATS}
    journeys = Journeys(arrived=lambda _: None, elsewhere=lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="tellwire-", ignore_cleanup_errors=True) as folder:
        settings = dev_settings(home, Path(folder) / "tellwire.db", keep_database=False)
        try:
            async with running(
                settings, home, Ports(port, 0, 0), journeys, anew=False, on_catch=journeys.caught, knobs=KNOBS
            ) as stack:
                tallies = stack.catcher.tallies
                ok = await _unless(stop, once(stack))
                seconds = time.perf_counter() - started
        except TellwireError as error:
            sys.stderr.write(f"tellwire: {error}\n")
            seconds = time.perf_counter() - started
    ok = ok and all(tally.received == tally.verified and not tally.failed for tally in tallies.values())
    document = {"ok": ok, "formats": tallies, "seconds": round(seconds, 3)}
    words = "; ".join(f"{name}: {tally.verified} of {tally.received} verified" for name, tally in tallies.items())
    LinePrinter(as_json=as_json, on_closed=stop.set).say(
        f"{'ok' if ok else 'FAILED'} in {seconds:.2f} s · {words}", document
    )
    return DONE if ok else FAILED


async def _unless(stop: asyncio.Event, work: Any) -> bool:
    """Run the work until `stop` is set, which cancels it. Return whether it finished."""
    doing, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if doing.done():
        await doing
        return True
    doing.cancel()
    with suppress(asyncio.CancelledError):
        await doing
    return False


async def _live(
    stop: asyncio.Event, *, port: int | None, fresh: bool, silent: bool, scripted: bool, as_json: bool
) -> int:
    held = lock(FOLDER)
    try:
        if fresh:
            clear(FOLDER)
        home, anew = keep(FOLDER, tuple(FORMATS))
        settings = dev_settings(home, FOLDER / "tellwire.db", keep_database=True)
        ports = Ports(settings.port if port is None else port, CATCHER_PORT, SIMULATOR_PORT)
        screen = Screen(LinePrinter(as_json=as_json, on_closed=stop.set))
        journeys = Journeys(arrived=screen.arrived, elsewhere=screen.elsewhere)
        listeners: list[Callable[[Catch], None]] = [journeys.caught]

        def caught(catch: Catch) -> None:
            for listen in listeners:
                listen(catch)

        async with running(
            settings,
            home,
            ports,
            journeys,
            anew=anew,
            on_catch=caught,
            on_news=screen.trouble,
            scripted=scripted,
            knobs=_KNOBS,
        ) as stack:
            before: BeforePost = screen.before
            if stack.phone is not None:
                before = both(screen.before, stack.phone.noted)
                stack.phone.connect(stack.poster, before=before, after=screen.after)
            customer = ChattingCustomer(stack.meta, stack.poster, before=before, after=screen.after)
            answer = customer.answer if stack.simulated and not silent else None
            replies = Replies(stack.rest, screen, person=stack.agents.person, simulated=stack.simulated, answer=answer)
            listeners.append(replies.caught)
            link = await stack.rest.call("POST", "/v1/login-links", {})
            screen.ready(stack, home, settings, console=link["url"], notes=_moved(stack, ports))
            try:
                with profiles.left_by("dev", url=stack.url, key=settings.admin_key, settings=settings):
                    await _unless(stop, _happenings(customer, replies, silent=silent))
            finally:
                await replies.stop()
        journeys.close()
        screen.stopped(stack.catcher.tallies, settings)
        return DONE
    finally:
        os.close(held)


async def _happenings(customer: ChattingCustomer, replies: Replies, *, silent: bool) -> None:
    """Send typed lines and let the customer chat, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(replies.send_all(typed()))
        if not silent:
            group.create_task(customer.converse())
        await asyncio.Event().wait()


def _moved(stack: Stack, ports: Ports) -> list[str]:
    """Return notes about ports that were taken."""
    wanted = {
        "the server": (stack.url, ports.server),
        "the catcher": (stack.catcher_url, ports.catcher),
        "the simulated Graph API": (stack.meta_url, ports.simulator),
    }
    return [
        f"port {port} was taken: {what} is at {url}"
        for what, (url, port) in wanted.items()
        if port and not url.endswith(f":{port}")
    ]
