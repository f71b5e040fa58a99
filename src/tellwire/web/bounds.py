"""PURE. What a peer may send and how long it may take, before anybody knows who it is (docs/reference/rest-api.md,
"Limits")."""

from __future__ import annotations

import ipaddress
from typing import Literal, get_args

from msgspec import Struct

from tellwire.errors import Problem
from tellwire.web.problems import problem_of

KIB = 1024

CloseReason = Literal[
    "head_too_big",
    "too_many_fields",
    "url_too_long",
    "malformed",
    "head_timeout",
    "body_timeout",
    "slow_reader",
    "pipelined",
    "too_much_unread",
    "too_many_connections",
    "too_many_from_peer",
    "made_room",
    "no_descriptor",
]
CLOSE_REASONS: tuple[CloseReason, ...] = get_args(CloseReason)
"""Why a connection was refused or closed; the words are labels of a metric."""


class Bounds(Struct, frozen=True, kw_only=True):
    """The bounds of a connection. Sizes in bytes, times in seconds; `body_rate` in bytes a second."""

    head: int = 32 * KIB
    """of a request: its first line and its header fields"""
    fields: int = 100
    url: int = 8 * KIB
    head_seconds: float = 10.0
    """from the first byte of a head to its end, and from the beginning of a connection to the end of its first head"""
    idle_seconds: float = 75.0
    """between two requests"""
    body_window_seconds: float = 10.0
    body_window: int = KIB
    """of a body within each window"""
    body_seconds: float = 30.0
    """for a body altogether, and more at `body_rate` for what has come of it"""
    body_rate: int = 4 * KIB
    body_renews: int = 64 * KIB
    """of a body, for each of which its client counts as prompt again when a connection has to go"""
    read_seconds: float = 30.0
    """for a client to take `read_window` of its answer"""
    read_window: int = KIB
    unread: int = 4 * 1024 * KIB
    """of a body that still comes after its request was answered; it is thrown away, and the connection kept"""
    pipelined: int = 512 * KIB
    """that wait behind a request which is not answered yet"""
    linger: int = 512 * KIB
    """that are thrown away after a refusal, so that the client can read it"""
    linger_seconds: float = 2.0
    sweep_seconds: float = 0.5
    """between two looks at every connection: deadlines are kept to within that"""


class Refusal(Struct, frozen=True):
    """Why a request is not read to its end: the answer, and the reason under which it is counted."""

    problem: Problem
    reason: CloseReason


def malformed(detail: str) -> Refusal:
    """Return the refusal of what is not HTTP, or so ambiguous that others may read it in another way."""
    return Refusal(problem_of(400, "malformed", detail), "malformed")


def too_many_fields(bounds: Bounds) -> Refusal:
    """Return the refusal of a head with too many header fields."""
    words = f"The request has more than {bounds.fields} fields."
    return Refusal(problem_of(431, "too-many-fields", words), "too_many_fields")


def url_too_long(bounds: Bounds) -> Refusal:
    """Return the refusal of a URL that is too long."""
    words = f"The URL is longer than {bounds.url // KIB} KiB."
    return Refusal(problem_of(414, "url-too-long", words), "url_too_long")


def oversized(head: bytes, bounds: Bounds) -> Refusal:
    """Return the refusal of a head that has not ended where it must; `head` is as much of it as is allowed."""
    url = head.partition(b"\n")[0].partition(b" ")[2].partition(b" ")[0]
    if len(url) > bounds.url:
        return url_too_long(bounds)
    words = f"The request's head is larger than {bounds.head // KIB} KiB."
    return Refusal(problem_of(431, "head-too-large", words), "head_too_big")


def late_head(bounds: Bounds) -> Refusal:
    """Return the refusal of a head that did not come in time."""
    words = f"The request's head was not there within {bounds.head_seconds:g} s."
    return Refusal(problem_of(408, "timeout", words), "head_timeout")


LATE_BODY = Refusal(problem_of(408, "timeout", "The request's body comes too slowly, or not at all."), "body_timeout")


class BodyProgress:
    """Whether a body comes fast enough, asked again and again.

    Each window brings a minimum, and the whole has a deadline that moves on with what has come. Time in which the
    server itself did not read does not count.
    """

    __slots__ = ("_allowed_until", "_bounds", "_seen_at", "_window_received", "_window_until")

    def __init__(self, bounds: Bounds, *, now: float, received: int) -> None:
        self._bounds = bounds
        self._seen_at = now
        self._window_received = received
        self._window_until = now + bounds.body_window_seconds
        self._allowed_until = now + bounds.body_seconds

    def is_late(self, *, now: float, received: int, held_up: bool) -> bool:
        """Return whether the body is given up; `held_up`: the server does not read just now."""
        bounds, since = self._bounds, now - self._seen_at
        self._seen_at = now
        if held_up:
            self._allowed_until += since
            self._window_until = now + bounds.body_window_seconds
            self._window_received = received
            return False
        if now >= self._allowed_until + received / bounds.body_rate:
            return True
        if now < self._window_until:
            return False
        brought = received - self._window_received
        self._window_until = now + bounds.body_window_seconds
        self._window_received = received
        return brought < bounds.body_window


class ReadingProgress:
    """Whether a client takes what is written to it, asked again and again while something waits to be written."""

    __slots__ = ("_bounds", "_left", "_until")

    def __init__(self, bounds: Bounds, *, now: float, left: int) -> None:
        self._bounds = bounds
        self._left = left
        self._until = now + bounds.read_seconds

    def is_late(self, *, now: float, left: int) -> bool:
        """Return whether the client is given up; `left`: bytes that it has not taken yet."""
        if left > self._left or self._left - left >= self._bounds.read_window:
            self._left = left
            self._until = now + self._bounds.read_seconds
        return now >= self._until


class ConnectionCaps(Struct, frozen=True):
    """How many connections may be open, in total and from one peer."""

    total: int
    per_peer: int


_MOST = 4096
_LEAST = 32


def connection_caps(*, fitting: int, total: int | None, per_peer: int | None) -> ConnectionCaps:
    """Return how many connections may be open.

    Args:
        fitting: how many descriptors are left beside everything else: deliveries, the database, files.
        total, per_peer: what was set, None for nothing. `total` is cut to what the descriptors allow; `per_peer` is
            half of the total unless it is set.
    """
    fitting = max(fitting, _LEAST)
    total = min(total or _MOST, fitting)
    return ConnectionCaps(total, min(per_peer or max(total // 2, 1), total))


def peer_of(host: str) -> str:
    """Return what is counted as one peer: an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
