"""PURE. Limits how fast an account sends, so that no delay on the way can break Meta's limits.

We know when a request began and when its answer had come, Meta counts it somewhere in between. So a send counts from
its start, and what forgets by time (the last second, the refill of a pair's bucket) begins at its answer.
Source: Meta, "Throughput" and "Pair rate limits".
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from msgspec import Struct

from tellwire.meta.outgoing.answers import LONGEST_PAUSE, pause_after
from tellwire.meta.phone_numbers import alias
from tellwire.model.units import MICROS, Micros

SECOND: Micros = MICROS
PAIR_GAP: Micros = 6 * SECOND
PAIR_BURST = 45
MEMORY: Micros = PAIR_BURST * PAIR_GAP
"""How long a send can matter: by then a full bucket has emptied."""
_LONGEST_WAIT: Micros = int(LONGEST_PAUSE) * SECOND
LINGER: Micros = 2 * SECOND
"""What has left without an answer may reach Meta this much later."""


def keys_of(account_id: str, order_key: str, recipient: str) -> tuple[str, str]:
    """Return the keys of a recipient: the person, whatever address is used, and the address, whoever it belongs to."""
    return order_key, address_key(account_id, recipient)


def address_key(account_id: str, recipient: str) -> str:
    """Return the key of an address, whoever it belongs to."""
    return f"{account_id}/{alias(recipient)}"


class RateLimit:
    """The rate limit of one account: at most `rate` sends in any second of Meta's, those in flight included."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.in_flight = 0
        self._over: list[Micros] = []  # a heap: until when each that was answered counts

    def room(self, now: Micros) -> int:
        """Return how many sends may begin now."""
        while self._over and self._over[0] <= now:
            heapq.heappop(self._over)
        if self._over and self._over[0] > now + SECOND + LINGER:  # the clock was set back
            self._over = [now + SECOND + LINGER] * len(self._over)
        return max(self.rate - self.in_flight - len(self._over), 0)

    def more_at(self) -> Micros | None:
        """Return when there will be more room by time alone."""
        return self._over[0] if self._over else None

    def begin(self) -> None:
        self.in_flight += 1

    def end(self, at: Micros) -> None:
        """End a send whose answer had come by `at`."""
        self.in_flight -= 1
        heapq.heappush(self._over, at + SECOND)

    def undo(self) -> None:
        """Undo `begin`: the request was not sent."""
        self.in_flight -= 1

    def restore(self, count: int, at: Micros) -> None:
        """Take into account sends that were made before and answered by `at`."""
        for _ in range(count):
            heapq.heappush(self._over, at + SECOND)


class _Pair(Struct):
    """The bucket of one recipient. `level`: what it holds at `at`, in micros of refill; it does not empty while
    something is in flight."""

    level: Micros = 0
    at: Micros = 0
    in_flight: int = 0

    def settle(self, now: Micros) -> None:
        if now > self.at:
            if not self.in_flight:
                self.level = max(self.level - (now - self.at), 0)
            self.at = now


class PairLimits:
    """The limits of all recipients of an account: `PAIR_BURST` sends at once, then one each `PAIR_GAP`.

    A recipient is known by several keys (a person, an address): each is kept.
    """

    def __init__(self) -> None:
        self._pairs: dict[str, _Pair] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def ready_at(self, keys: Iterable[str], now: Micros) -> Micros:
        """Return when another may begin: `now`, or later."""
        return max((self._ready_at(key, now) for key in keys), default=now)

    def _ready_at(self, key: str, now: Micros) -> Micros:
        pair = self._pairs.get(key)
        if pair is None:
            return now
        pair.at = min(pair.at, now + LINGER)  # the clock may have been set back
        pair.settle(now)
        over = pair.level - (PAIR_BURST - 1) * PAIR_GAP
        return max(pair.at, now) + over if over > 0 else now

    def begin(self, keys: Iterable[str], now: Micros) -> None:
        for key in keys:
            pair = self._pairs.setdefault(key, _Pair(at=now))
            pair.settle(now)
            pair.level += PAIR_GAP
            pair.in_flight += 1

    def end(self, keys: Iterable[str], at: Micros) -> None:
        """End a send whose answer had come by `at`."""
        for key in keys:
            pair = self._pairs[key]
            pair.settle(at)
            pair.in_flight -= 1

    def undo(self, keys: Iterable[str], now: Micros) -> None:
        """Undo `begin`: the request was not sent."""
        for key in keys:
            pair = self._pairs[key]
            pair.settle(now)
            pair.level -= PAIR_GAP
            pair.in_flight -= 1

    def restore(self, keys: Iterable[str], count: int, at: Micros) -> None:
        """Take into account sends that were made before, the last of them answered by `at`."""
        for key in keys:
            pair = self._pairs.setdefault(key, _Pair(at=at))
            pair.settle(at)
            pair.level = min(pair.level + count * PAIR_GAP, PAIR_BURST * PAIR_GAP)

    def forget(self, now: Micros) -> None:
        """Drop buckets that are empty."""
        for pair in self._pairs.values():
            pair.settle(now)
        self._pairs = {key: pair for key, pair in self._pairs.items() if pair.level or pair.in_flight}


class AccountLimits:
    """Both limits of one account, and the wait of an account that Meta throttles or that cannot reach Meta."""

    def __init__(self, rate: int) -> None:
        self.rate = RateLimit(rate)
        self.pairs = PairLimits()
        self._held_until: Micros = 0
        self._held_at: Micros = 0
        self._before: Micros = 0  # the wait before that
        self._failures = 0

    def room(self, now: Micros) -> int:
        """Return how many sends may begin now."""
        self._held_until = min(self._held_until, now + _LONGEST_WAIT)  # the clock may have been set back
        return 0 if now < self._held_until else self.rate.room(now)

    def more_at(self, now: Micros) -> Micros | None:
        """Return when there will be more room by time alone."""
        return self._held_until if now < self._held_until else self.rate.more_at()

    def begin(self, keys: Iterable[str], now: Micros) -> None:
        self.rate.begin()
        self.pairs.begin(keys, now)

    def end(self, keys: Iterable[str], at: Micros) -> None:
        """End a send whose answer had come by `at`."""
        self.rate.end(at)
        self.pairs.end(keys, at)

    def undo(self, keys: Iterable[str], now: Micros) -> None:
        """Undo `begin`: the request was not sent."""
        self.rate.undo()
        self.pairs.undo(keys, now)

    def back_off(self, began: Micros, now: Micros, *, jitter: float, longest: float) -> None:
        """Let the account as a whole wait: 1, 4, 16 … seconds, up to `longest`.

        What began before the last wait says nothing new.
        """
        if began < self._held_at:
            return
        self._failures += 1
        self._before, self._held_at = self._held_at, now
        self._held_until = max(self._held_until, now + int(min(pause_after(self._failures, jitter), longest) * SECOND))

    def record_accepted(self, began: Micros) -> None:
        """Note that Meta accepted a message. If it began together with those that were refused last, not all are
        refused: the next wait is a short one again."""
        if began >= self._before:
            self._failures = 0
