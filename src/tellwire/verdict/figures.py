"""PURE. The figures that the verdict is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tellwire.model.deliveries import Endpoint
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros
from tellwire.verdict.traffic import Traffic

MOST_WAITING = 10_000
"""Counting what waits stops here: a figure that reaches it means "at least"."""


class Unrouted(Struct, frozen=True):
    """Items that wait for an account. `name`: their phone number id, or the id of their business account."""

    name: str
    count: int
    last_at: Micros
    first_at: Micros = 0


class Outage(Struct, frozen=True):
    """An endpoint that takes nothing: since when, and why the last attempt failed."""

    since: Micros
    cause: str


class Refusals(Struct, frozen=True, kw_only=True):
    """What this process refused to Meta, or to who looks like Meta.

    `signatures`: when a POST with a wrong signature last came, by the id that it names: a phone number id, a WABA id,
    "" for none or for too many. `without_secret`: when the last signed POST came while no app secret was known.
    `handshake`: when a handshake last brought another verify token; each 0 for never.
    """

    signatures: Mapping[str, Micros] = {}
    without_secret: Micros = 0
    handshake: Micros = 0


class ClockOffset(Struct, frozen=True):
    """By how many seconds our clock is ahead of another (behind when negative), and whose clock that is."""

    seconds: float
    source: str


class Disk(Struct, frozen=True):
    """A file system: what we keep there, where, and its bytes."""

    holds: str
    place: str
    total: int
    free: int


class FailingChannel(Struct, frozen=True):
    """A channel through which no alert can be told: its name, since when, and why the last try failed."""

    channel: str
    since: Micros
    cause: str


class Stored(Struct, frozen=True, kw_only=True):
    """The figures that stand in the database.

    `unrouted`: items of the last day that wait for an account. `traffic`: by account id. `outages` and `oldest` by
    endpoint id: those that fail, and when the oldest delivery that waits was recorded. `waiting`: how many deliveries
    wait for an endpoint in trouble, by its id, `unsent` how many messages for an account that is paused; counting stops
    at `MOST_WAITING`. `failing_channels`: those of alerts.
    """

    unrouted: Sequence[Unrouted] = ()
    traffic: Mapping[str, Traffic] = {}
    outages: Mapping[str, Outage] = {}
    oldest: Mapping[str, Micros] = {}
    waiting: Mapping[str, int] = {}
    unsent: Mapping[str, int] = {}
    failing_channels: Sequence[FailingChannel] = ()


class Figures(Struct, frozen=True, kw_only=True):
    """Everything that the verdict is made from, as of `at`.

    `up_since`: when this process began. `failing`: why commits or results cannot be written, for each that fails.
    `heard`: when this process last took a customer's message, by phone number id. `clock`: the last comparison of our
    clock with Meta's, None for none.
    """

    at: Micros
    up_since: Micros
    failing: Sequence[str] = ()
    accounts: Sequence[Account] = ()
    endpoints: Sequence[Endpoint] = ()
    stored: Stored = Stored()
    refusals: Refusals = Refusals()
    heard: Mapping[str, Micros] = {}
    clock: ClockOffset | None = None
    disks: Sequence[Disk] = ()
