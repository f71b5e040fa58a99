"""PURE. Whether an account gets only copies of what its customers write, because another responder owns the threads.

Meta tells an app nothing when a second responder begins to answer on its number: `messages` stop, and copies come. This
is kept with the facts about the account, so that it can be shown, and ends with the next message.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from tellwire.accounts import facts
from tellwire.model.units import Seconds

ENDED = "standby_ended"
"""The name of the fact that messages have come since; its value is the `Standby` that was."""
WARNED_EVERY: Seconds = 24 * 3600
_QUIET: Seconds = 600
"""How long after a message a copy counts again. Where two responders answer on one number, both come all the time, and
each change rewrites the account."""
_MARK = f'"{facts.STANDBY}":'


class Standby(Struct, frozen=True):
    """Since when only copies come, and when a warning was last given."""

    since: Seconds
    warned: Seconds


_standby = msgspec.json.Decoder(Standby)
_encode = msgspec.json.Encoder().encode


def is_active(about: str) -> bool:
    """Return whether only copies come. This is asked for every message, so the JSON is not read."""
    return _MARK in about


def after_copy(about: str, now: Seconds) -> tuple[str, bool]:
    """Return what is kept of an account (JSON) after a copy of a customer's message, and whether to give a warning."""
    if is_active(about):
        return about, False
    ended = facts.kept(about).get(ENDED)
    if ended is not None and now - ended.at < _QUIET:
        return about, False
    warned = _standby.decode(ended.value).warned if ended is not None else None
    warns = warned is None or now - warned >= WARNED_EVERY
    found = Standby(now, now if warned is None or warns else warned)
    return facts.merged(facts.without(about, ENDED), {facts.STANDBY: _encode(found)}, now), warns


def after_message(about: str, now: Seconds) -> str:
    """Return what is kept of an account after a message that it got itself."""
    active = facts.kept(about).get(facts.STANDBY)
    if active is None:
        return about
    return facts.merged(facts.without(about, facts.STANDBY), {ENDED: bytes(active.value)}, now)
