"""Implement the command `tellwire dev`."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from tellwire.cli import DONE, FAILED, printing, profiles
from tellwire.cli.dev.catcher import Catch, CatchCounts
from tellwire.cli.dev.chat import BeforePost, ChattingCustomer, both
from tellwire.cli.dev.commands import Commands
from tellwire.cli.dev.home import FOLDER, clear, keep, lock, make_home
from tellwire.cli.dev.journeys import Journeys
from tellwire.cli.dev.once import KNOBS, once
from tellwire.cli.dev.replies import Replies
from tellwire.cli.dev.screen import LinePrinter, Screen, interactive
from tellwire.cli.dev.stack import CATCHER_PORT, SIMULATOR_PORT, Ports, Stack, dev_settings, running
from tellwire.cli.dev.terminal import typed
from tellwire.cli.dev.unknown import tell_of_unknown
from tellwire.cli.output import Json
from tellwire.cli.serving import log_to_stderr, run
from tellwire.errors import TellwireError
from tellwire.formats import FORMATS
from tellwire.simulator import Knobs

_KNOBS = Knobs(sent_after=0.1, delivered_after=0.4, read_after=0.8)
"""Delays that are long enough for a person to watch the statuses come."""
_TOLD = ("trouble", "more_trouble")


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

    On a terminal each message is one line that changes; /help lists the commands. Ctrl-C stops it and keeps the data.
    With --once --json one line on stdout says whether all formats arrived.
    """
    started = time.perf_counter()
    _log_trouble()
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
            printing.err(f"tellwire: {error}\n")
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
        screen = _screen(as_json=as_json, on_closed=stop.set)
        journeys = Journeys(arrived=screen.arrived, elsewhere=screen.elsewhere, moved=screen.moved)
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
            simulator = stack.meta if stack.simulated else None
            replies = Replies(stack.rest, screen, person=stack.agents.person, simulated=stack.simulated, answer=answer)
            listeners.append(replies.caught)
            commands = Commands(stack.rest, screen, replies, customer, phone=stack.phone, simulator=simulator)
            link = await stack.rest.call("POST", "/v1/login-links", {})
            screen.ready(stack, home, settings, console=link["url"], notes=_moved(stack, ports))
            try:
                with profiles.left_by("dev", url=stack.url, key=settings.admin_key, settings=settings):
                    await _unless(stop, _happenings(stack, screen, customer, commands, silent=silent, as_json=as_json))
            finally:
                await replies.stop()
        journeys.close()
        screen.stopped(stack.catcher.tallies, settings)
        return DONE
    finally:
        os.close(held)


async def _happenings(
    stack: Stack, screen: Screen, customer: ChattingCustomer, commands: Commands, *, silent: bool, as_json: bool
) -> None:
    """Do what is typed and let the customer chat, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(commands.take_all(_lines(screen, commands, group)))
        if not as_json:
            group.create_task(tell_of_unknown(stack.rest, screen.unknown))
        if not silent:
            group.create_task(customer.converse())
        await asyncio.Event().wait()


def _screen(*, as_json: bool, on_closed: Callable[[], None]) -> Screen:
    """Return the screen that fits: lines that change on a terminal, else lines one after the other."""
    if as_json or not interactive():
        return Screen(LinePrinter(as_json=as_json, on_closed=on_closed))
    from tellwire.cli.dev.live import Board, LiveScreen, NoteStream  # noqa: PLC0415 - costs time, and only here

    board = Board()
    _log_trouble(NoteStream(board, asyncio.get_running_loop()))
    return LiveScreen(board)


def _lines(screen: Screen, commands: Commands, group: asyncio.TaskGroup) -> AsyncIterator[str]:
    """Return what is typed, below a screen whose lines change, or piped in."""
    if screen.board is None:
        return typed()
    from tellwire.cli.dev.prompt import Prompt  # noqa: PLC0415 - costs time, and only here

    prompt = Prompt(screen.board, commands.table)
    group.create_task(prompt.run())
    return prompt.lines()


def _log_trouble(stream: TextIO | None = None) -> None:
    """Log warnings and errors: what an operator reads at the level "info" is nothing for who tries things out here.
    What does not work is told by the screen already."""
    log_to_stderr(stream, as_json=None if stream is None else False, level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not (isinstance(record.msg, dict) and record.msg.get("event") in _TOLD))


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
