"""Implement `tellwire simulate --serve`: a simulated Meta, also for code that sends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tellwire.cli import DONE, printing
from tellwire.cli.output import print_json
from tellwire.cli.serving import bind, run, url_of
from tellwire.errors import BadSettings, Problem
from tellwire.simulator import TOKEN, Business, Knobs, Simulator, State
from tellwire.simulator.control import counts
from tellwire.simulator.knobs import changed_knobs


class Serving(Struct, frozen=True, kw_only=True):
    """The options of `--serve`."""

    host: str
    port: int
    callback: str
    secret: str
    business: Business
    token: str
    knobs: Knobs
    seed: int | None
    as_json: bool


def serve(what: Serving) -> int:
    """Serve until a signal comes, then print what happened."""
    return run(lambda stop: _serve(what, stop))


def knobs_of(given: Sequence[str]) -> Knobs:
    """Return the knobs with those set that `NAME=VALUE` texts name.

    Raises:
        BadSettings: a text is malformed, there is no such knob, or it does not take the value.
    """
    named: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise BadSettings(f"--knob takes NAME=VALUE, not {each!r}")
        try:
            named[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            named[name] = value
    try:
        return changed_knobs(Knobs(), named)
    except Problem as problem:
        raise BadSettings(f"--knob {problem}") from None


async def _serve(what: Serving, stop: asyncio.Event) -> int:
    sock = bind(what.host, what.port, names=("--host", "--port"))
    state = State(businesses=(what.business,), tokens=(what.token or TOKEN,), knobs=what.knobs, seed=what.seed)
    simulator = Simulator(state, callback=what.callback, secret=what.secret)
    url = await simulator.start(sock, url=url_of(sock))
    try:
        _tell(what, url)
        await stop.wait()
        if what.as_json:
            print_json(counts(state))
        else:
            told = state.journal.counts
            printing.out(f"{told.sends} sends, {told.accepted} accepted, {sum(told.refused.values())} refused\n")
    finally:
        await simulator.stop()
    return DONE


def _tell(what: Serving, url: str) -> None:
    known = {
        "url": url,
        "callback": what.callback,
        "phone_number_id": what.business.phone_number_id,
        "waba_id": what.business.waba_id,
        "display_phone_number": what.business.display_phone_number,
    }
    if what.as_json:
        print_json({**known, "token": None if what.token else TOKEN})
        return
    for name, value in known.items():
        printing.out(f"{name:<20}  {value}\n")
    printing.out(f"{'token':<20}  {'as given' if what.token else TOKEN}\nCtrl-C stops it.\n")
    sys.stdout.flush()
