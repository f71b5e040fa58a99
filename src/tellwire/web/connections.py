"""Keep the register of a server's connections: how many there are and whose, which have no request, which are late."""

from __future__ import annotations

import asyncio
from typing import Protocol

from tellwire.observability.counters import Counters
from tellwire.observability.rare_log import RareLog
from tellwire.web.bounds import Bounds, CloseReason, ConnectionCaps


class Registered(Protocol):
    """A connection, as the register knows it."""

    @property
    def peer(self) -> Peer: ...

    def look(self, now: float) -> None:
        """Close it if it has not gone on for too long."""
        ...

    def drop(self) -> None:
        """Close it at once."""
        ...


class Peer:
    """What comes from one address."""

    __slots__ = ("name", "open", "spare")

    def __init__(self, name: str) -> None:
        self.name = name
        self.open = 0
        self.spare: dict[Registered, None] = {}
        """Those that wait for their client (for a request, the rest of a body, or an answer to be taken), the one that
        has done so for longest first."""


class Connections:
    """The open connections of one server."""

    def __init__(self, bounds: Bounds, caps: ConnectionCaps, counters: Counters) -> None:
        self.bounds = bounds
        self.caps = caps
        self._counters = counters
        self._log = RareLog("tellwire.web", "http_connection_refused")
        self._peers: dict[str, Peer] = {}
        self._open: set[Registered] = set()
        self._spare: dict[Registered, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look at every connection now and then."""
        self._loop = loop
        self._timer = loop.call_later(self.bounds.sweep_seconds, self._sweep)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def peer(self, name: str) -> Peer:
        """Return the peer of this name."""
        return self._peers.get(name) or Peer(name)

    def make_room(self, peer: Peer) -> CloseReason | None:
        """Make room for one more connection of a peer, by closing one that can be spared; return why there is none."""
        if peer.open >= self.caps.per_peer:
            return None if self.drop_spare(peer) else "too_many_from_peer"
        if len(self._open) >= self.caps.total:
            return None if self.drop_spare() else "too_many_connections"
        return None

    def drop_spare(self, peer: Peer | None = None) -> bool:
        """Close the connection, perhaps of one peer, that has waited for its client for longest; return whether there
        was one."""
        oldest = next(iter(peer.spare if peer else self._spare), None)
        if oldest is None:
            return False
        self.closed("made_room", oldest.peer)
        self.leave(oldest)
        oldest.drop()
        return True

    def enter(self, connection: Registered) -> None:
        """Count a connection, until it leaves."""
        peer = connection.peer
        self._peers[peer.name] = peer
        peer.open += 1
        self._open.add(connection)
        self._counters.http_connections = len(self._open)

    def leave(self, connection: Registered) -> None:
        """Forget a connection."""
        if connection not in self._open:
            return
        self.busy(connection)
        self._open.discard(connection)
        self._counters.http_connections = len(self._open)
        peer = connection.peer
        peer.open -= 1
        if not peer.open:
            del self._peers[peer.name]

    def waits(self, connection: Registered) -> None:
        """Note that from now on a connection waits for its client."""
        for spare in (self._spare, connection.peer.spare):
            spare.pop(connection, None)
            spare[connection] = None

    def busy(self, connection: Registered) -> None:
        """Note that a connection has a request in progress, which waits for this server."""
        self._spare.pop(connection, None)
        connection.peer.spare.pop(connection, None)

    def closed(self, reason: CloseReason, peer: Peer) -> None:
        """Count and log a connection that was refused or closed."""
        self._counters.http_closed[reason] += 1
        if self._loop is not None:
            self._log.note(reason, self._loop.time(), peer=peer.name)

    def _sweep(self) -> None:
        assert self._loop is not None  # noqa: S101 - it runs on it
        now = self._loop.time()
        for connection in list(self._open):
            connection.look(now)
        self._log.flush(now)
        self._timer = self._loop.call_later(self.bounds.sweep_seconds, self._sweep)
