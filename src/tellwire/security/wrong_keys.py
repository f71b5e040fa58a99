"""PURE. Counts wrong API keys by peer, in bounded memory, and says when a peer sends too many of them."""

from __future__ import annotations

import ipaddress

from msgspec import Struct

from tellwire.model.units import MICROS, MINUTE, Micros

MOST_PER_MINUTE = 60
"""How many wrong keys a minute one peer may send before they are answered 429."""
MOST_OF_ALL_PER_MINUTE = 600
"""From how many wrong keys a minute of all peers together no unknown key is looked up by itself any more."""
MOST_PEERS = 4096
_TELL_EVERY = MINUTE
_SITE_BITS = 64


class Verdict(Struct, frozen=True):
    """How to answer a wrong key.

    `retry_after`: after how many seconds the peer may try another one, 0 while it is within its bound. `tell`: how many
    wrong keys beyond a bound came since this was last above 0, when it is time for a line in the log.
    """

    retry_after: int
    tell: int


class WrongKeys:
    """Wrong keys of the last minute. A peer's are a single number: the time by which its bound has forgotten them.

    So a peer that keeps trying goes on being refused, and one that stops is forgotten within a minute. When the table
    is full, the peer that was quiet for longest leaves it; the bound of all peers together counts on.
    """

    def __init__(
        self, *, most: int = MOST_PER_MINUTE, most_of_all: int = MOST_OF_ALL_PER_MINUTE, peers: int = MOST_PEERS
    ) -> None:
        self._each, self._each_of_all = MINUTE // most, MINUTE // most_of_all
        self._peers = peers
        self._until: dict[str, Micros] = {}
        self._all_until: Micros = 0
        self._told_at: Micros = -_TELL_EVERY
        self._untold = 0

    def __len__(self) -> int:
        return len(self._until)

    def too_many(self, peer: str, now: Micros) -> bool:
        """Return whether this peer, or all together, sent as many wrong keys as a minute may have."""
        until = self._until.get(peer, 0)
        return _is_over(until + self._each, now) or _is_over(self._all_until + self._each_of_all, now)

    def wrong(self, peer: str, now: Micros) -> Verdict:
        """Count a wrong key of a peer."""
        until = _raised(self._until.pop(peer, 0), self._each, now)
        if len(self._until) >= self._peers:
            del self._until[next(iter(self._until))]
        self._until[peer] = until
        self._all_until = _raised(self._all_until, self._each_of_all, now)
        over = _is_over(until, now)
        tell = 0
        if over or _is_over(self._all_until, now):
            self._untold += 1
            if not 0 <= now - self._told_at < _TELL_EVERY:
                tell, self._untold, self._told_at = self._untold, 0, now
        wait = until + self._each - MINUTE - now
        return Verdict(retry_after=-(-wait // MICROS) if over else 0, tell=tell)


def peer_of(address: str) -> str:
    """Return what counts as one peer: an IPv4 address, or the /64 network that an IPv6 address is in."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if known.version == 6 and known.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(known) >> _SITE_BITS << _SITE_BITS, _SITE_BITS)))
    return str(known.ipv4_mapped or known if known.version == 6 else known)


def _raised(until: Micros, each: Micros, now: Micros) -> Micros:
    """Return a bound's time after one more; never so late that a minute's quiet would not clear it."""
    return min(max(until, now) + each, now + MINUTE + each)


def _is_over(until: Micros, now: Micros) -> bool:
    return until - now > MINUTE
