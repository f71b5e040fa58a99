"""`tellwire dev`: the command."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from tellwire.catcher import Tally
from tellwire.cli import DONE, FAILED
from tellwire.cli.dev.home import FOLDER, clear, keep, lock, make_home
from tellwire.cli.dev.journeys import Journeys
from tellwire.cli.dev.once import once
from tellwire.cli.dev.screen import Screen, Voice
from tellwire.cli.dev.stack import CATCHER_PORT, FORMATS, Ports, Stack, dev_settings, running
from tellwire.cli.dev.story import converse
from tellwire.cli.output import Json
from tellwire.cli.serving import log_to_stderr, run
from tellwire.errors import TellwireError


def dev(
    *,
    end: Annotated[bool, typer.Option("--once", help="Do the main job once on data of its own, then exit.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help=f"Delete what earlier runs kept in {FOLDER}/.")] = False,
    silent: Annotated[bool, typer.Option("--no-traffic", help="The simulated customer stays silent.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the server; a taken one gives way to the next free.")
    ] = None,
    json: Json = False,
) -> int:
    """Run everything on this machine: server, SQLite, a simulated customer and a catcher that verifies what arrives.

    Ctrl-C stops it and keeps the data. With --once --json one line on stdout says whether both formats arrived.
    """
    started = time.perf_counter()
    log_to_stderr()
    if end:
        return run(lambda stop: _once(stop, started=started, port=port or 0, as_json=json))
    return run(lambda stop: _live(stop, port=port, fresh=fresh, silent=silent, as_json=json))


async def _once(stop: asyncio.Event, *, started: float, port: int, as_json: bool) -> int:
    home, formats, ok = make_home(FORMATS), dict[str, str](), False
    tallies = {name: Tally() for name in FORMATS}
    journeys = Journeys(formats, arrived=lambda _: None, elsewhere=lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="tellwire-", ignore_cleanup_errors=True) as folder:
        settings = dev_settings(home, Path(folder) / "tellwire.db", keep_database=False)
        try:
            async with running(settings, home, Ports(port, 0), journeys, formats, anew=False) as stack:
                tallies = stack.catcher.tallies
                ok = await _unless(stop, once(stack))
                seconds = time.perf_counter() - started
        except TellwireError as error:
            sys.stderr.write(f"tellwire: {error}\n")
            seconds = time.perf_counter() - started
    ok = ok and all(tally.received == tally.verified and not tally.failed for tally in tallies.values())
    document = {"ok": ok, "formats": tallies, "seconds": round(seconds, 3)}
    words = "; ".join(f"{name}: {tally.verified} of {tally.received} verified" for name, tally in tallies.items())
    Voice(as_json=as_json, unheard=stop.set).say(f"{'ok' if ok else 'FAILED'} in {seconds:.2f} s · {words}", document)
    return DONE if ok else FAILED


async def _unless(stop: asyncio.Event, work: Any) -> bool:
    """Do the work, and whether it was done: a signal to stop cancels it."""
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


async def _live(stop: asyncio.Event, *, port: int | None, fresh: bool, silent: bool, as_json: bool) -> int:
    held = lock(FOLDER)
    try:
        if fresh:
            clear(FOLDER)
        home, anew = keep(FOLDER, FORMATS)
        settings = dev_settings(home, FOLDER / "tellwire.db", keep_database=True)
        ports = Ports(settings.port if port is None else port, CATCHER_PORT)
        screen = Screen(Voice(as_json=as_json, unheard=stop.set))
        formats: dict[str, str] = {}
        journeys = Journeys(formats, arrived=screen.arrived, elsewhere=screen.elsewhere)
        async with running(settings, home, ports, journeys, formats, anew=anew) as stack:
            screen.ready(stack, home, settings, notes=_moved(stack, ports))
            await _unless(
                stop, stop.wait() if silent else converse(stack.poster, before=screen.before, after=screen.after)
            )
        journeys.close()
        screen.stopped(stack.catcher.tallies, settings)
        return DONE
    finally:
        os.close(held)


def _moved(stack: Stack, ports: Ports) -> list[str]:
    """What to say of ports that were taken."""
    wanted = {"the server": (stack.url, ports.server), "the catcher": (stack.catcher_url, ports.catcher)}
    return [
        f"port {port} was taken: {what} is at {url}"
        for what, (url, port) in wanted.items()
        if port and not url.endswith(f":{port}")
    ]
