"""PURE. The order keys of one endpoint: one request of each in flight, the rest behind it.

Source: docs/reference/delivery.md, "Order".

A head that failed waits for its own time and blocks its key. Under `keyed` it is overtaken when its bound has run out
although the endpoint took other keys' deliveries; under `strict` never; under `none` each delivery is its own key.
With a buffer a head waits for others that are sent with it (`buffering`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable

from msgspec.structs import replace

from tellwire.delivery import buffering as groups
from tellwire.delivery.breaker import Breaker
from tellwire.delivery.buffering import Buffering
from tellwire.delivery.key import Key, Timetable
from tellwire.model.deliveries import Ordering, Work
from tellwire.model.units import Micros


class Order:
    """The keys of one endpoint.

    Args:
        health: the endpoint's; says what is evidence against a head.
        crowd: how many blocked heads may stay in memory with nobody behind them.
    """

    def __init__(self, health: Breaker, *, crowd: int) -> None:
        self.keys: dict[str, Key] = {}
        self.blocked = 0
        self.overtaken: list[Key] = []
        self.joined: list[Key] = []
        self.barred: dict[str, Key] = {}
        self.newly_barred = False
        self.collecting = Timetable()
        self.buffering: Buffering | None = None
        self._health = health
        self._crowd = crowd
        self._ready: deque[Key] = deque()
        self._waiting = Timetable()
        self._bounds = Timetable()
        self._unproven: dict[str, Key] = {}
        self._bound: Micros = 0
        self._ordering: Ordering = "keyed"

    def configure(self, ordering: Ordering, bound: Micros, buffering: Buffering | None) -> None:
        """`bound`: for how long a head holds up its key though the endpoint accepts others."""
        self._ordering = ordering
        self._bound = bound
        self.buffering = buffering

    # --- coming in ----------------------------------------------------------------------------------------------------

    def name(self, work: Work) -> str:
        """Return the key that a delivery belongs to."""
        return work.delivery.id if self._ordering == "none" else work.delivery.order_key

    def add(self, name: str, work: Work, now: Micros) -> None:
        """Add a delivery behind the others of its key."""
        key = self.keys.get(name)
        if key is None:
            key = self.keys[name] = Key(name, [work])
            self._enter(key, now)
            return
        works = key.works
        if key.place == "collecting" and groups.is_of(works[0], work):
            works[0] = replace(works[0], more=(*works[0].more, work))
        elif works[-1].delivery.id < work.delivery.id:
            works.append(work)
        else:
            works.insert(bisect_left(works, work.delivery.id, 1, key=lambda w: w.delivery.id), work)
        if key.place == "collecting" and self.buffering is not None and self.buffering.is_complete(works, work):
            self._go(key, now)
        if key.ripe:
            self._consider(key, now)

    def _enter(self, key: Key, now: Micros) -> None:
        head = key.works[0].delivery
        key.first_at = head.first_attempt_at
        key.failed_at = key.sent_at = key.held_until = 0
        key.ripe = False
        if head.behind and not head.attempts and self._ordering != "none":
            self._bar(key, head.behind)
        elif self.buffering is not None and (until := self.buffering.collects_until(key.works, now)) > now:
            key.place = "collecting"
            key.due_at = until
            self.collecting.put(until, key)
        else:
            self._go(key, now)

    def _go(self, key: Key, now: Micros) -> None:
        """Let a head go when its turn comes, or wait for its next attempt."""
        head = key.works[0].delivery
        if head.attempts and head.due_at > now:
            self._wait(key, head.due_at)
        else:
            key.place = "ready"
            self._ready.append(key)

    def _block(self, key: Key) -> None:
        key.blocked = 1 + len(key.works[0].more)
        self.blocked += key.blocked

    def _unblock(self, key: Key) -> None:
        self.blocked -= key.blocked
        key.blocked = 0

    def _bar(self, key: Key, behind: str) -> None:
        """Let a head wait until deliveries of another key are out of its way, not for a time."""
        key.place = "waiting"
        key.behind = set(behind.split())
        self._block(key)
        self.barred[key.name] = key
        self.newly_barred = True

    def out_of_line(self, delivery_ids: Iterable[str]) -> None:
        """Let the heads go that waited for these deliveries alone, which have had their turn."""
        for key in list(self.barred.values()):
            key.behind.difference_update(delivery_ids)
            if not key.behind:
                self._unbar(key)
                key.place = "ready"
                self._ready.append(key)

    def _unbar(self, key: Key) -> None:
        if self.barred.pop(key.name, None) is not None:
            self._unblock(key)
            key.behind = set()

    def _wait(self, key: Key, due_at: Micros) -> None:
        key.place = "waiting"
        key.due_at = due_at
        self._block(key)
        self._waiting.put(due_at, key)

    # --- going out ----------------------------------------------------------------------------------------------------

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def next_ready(self) -> Key | None:
        """Take the key whose head goes next; its state is then `flying`."""
        ready = self._ready
        while ready:
            key = ready.popleft()
            if key.place == "ready":
                key.place = "flying"
                if self.buffering is None or not self._joins(key, self.buffering):
                    return key
        return None

    def _joins(self, key: Key, buffering: Buffering) -> bool:
        """Put a head together with what is sent with it; True when that is to be recorded first."""
        run = buffering.run(key.works)
        if run < 2:
            return False
        key.works[:run] = [groups.joined(key.works[:run])]
        self.joined.append(key)
        return True

    def recorded(self, key: Key) -> None:
        """Let a head go whose group is recorded."""
        key.place = "ready"
        self._ready.appendleft(key)

    def next_probe(self) -> Key | None:
        """Take the head with which an endpoint that is down is probed: the one tried last until it has had its tries,
        then another."""
        tried = self.keys.get(self._health.tried)
        if tried is not None and (tried.place not in ("ready", "waiting") or tried.behind):
            tried = None
        if tried is not None and not self._health.wants_another:
            return self._fly(tried)
        return self._fly(self._other(tried) or tried)

    def _fly(self, key: Key | None) -> Key | None:
        if key is None:
            return None
        self._unblock(key)
        key.place = "flying"
        return None if self.buffering is not None and self._joins(key, self.buffering) else key

    def _other(self, tried: Key | None) -> Key | None:
        found: Key | None = None
        passed = False
        while self._ready and found is None:
            key = self._ready.popleft()
            if key is tried:
                passed = True
            elif key.place == "ready":
                found = key
        if passed and tried is not None:
            self._ready.append(tried)
        aside = []
        while self._waiting and found is None:
            due_at, key = self._waiting.take()
            if key is tried:
                aside.append(due_at)
            elif key.place == "waiting" and key.due_at == due_at:
                found = key
        if tried is not None:
            for due_at in aside:
                self._waiting.put(due_at, tried)
        return found

    def in_flight(self) -> set[str]:
        """Return the order keys of the deliveries that are in flight."""
        return {k.works[0].delivery.order_key for k in self.keys.values() if k.place == "flying"}

    # --- coming back --------------------------------------------------------------------------------------------------

    def failed(self, key: Key, *, sent_at: Micros, now: Micros) -> bool:
        """Record that a head failed, perhaps by its own fault; return True when it is to be overtaken."""
        key.first_at = key.first_at or sent_at
        key.sent_at = sent_at
        key.failed_at = now
        return self._has_followers(key) and self._movable(key, now)

    def retry_later(self, key: Key, head: Work, *, held_until: Micros, now: Micros) -> None:
        """Let a failed head wait for its own time."""
        key.works[0] = head
        key.held_until = held_until
        self._wait(key, head.delivery.due_at)
        if self._ordering == "keyed" and key.failed_at:
            self._bounds.put(max(now, self._since(key) + self._bound), key)

    def release(self, key: Key, now: Micros) -> bool:
        """Remove the head, which is done or goes on elsewhere; return True when the key has more on disk behind the
        head's id."""
        del key.works[0]
        if key.works:
            self._enter(key, now)
            return False
        key.place = "gone"
        del self.keys[key.name]
        return key.cut

    def cut(self, key: Key) -> list[Work]:
        """Remove from memory what is behind a blocked head, and leave it on disk; return how much that was."""
        behind = key.works[1:]
        del key.works[1:]
        key.cut = True
        return behind

    def cut_blocked(self) -> list[Work]:
        """Call `cut` for every blocked key that has something behind its head."""
        return [w for k in self.keys.values() if k.place == "waiting" and len(k.works) > 1 for w in self.cut(k)]

    def hurry(self) -> None:
        """Let all heads go that wait for others, but for those that are being read."""
        entries, self.collecting = self.collecting, Timetable()
        while entries:
            at, key = entries.take()
            if key.place == "collecting" and not key.works[0].delivery.together:
                self._go(key, 0)
            elif key.place == "collecting":
                self.collecting.put(at, key)

    def drop(self) -> None:
        """Forget everything but the heads in flight."""
        for key in self.overtaken:
            key.place = "waiting"
        for key in self.keys.values():
            if key.place == "flying":
                del key.works[1:]
                key.cut = False
            else:
                key.place = "gone"
        self.keys = {name: key for name, key in self.keys.items() if key.place == "flying"}
        for some in (self._ready, self._waiting, self._bounds, self._unproven, self.overtaken, self.barred):
            some.clear()
        self.collecting.clear()
        self.blocked = 0

    def drop_partitions(self, partitions: Collection[int]) -> list[Work]:
        """Forget everything of these partitions but the heads in flight; return what left memory.

        All of a key's deliveries are of one partition.
        """
        dropped: list[Work] = []
        taken = set(map(id, self.overtaken))
        for key in [k for k in self.keys.values() if k.works[0].delivery.partition in partitions]:
            if key.place == "flying" and id(key) not in taken:
                dropped += self.cut(key)
                key.cut = False
            else:
                self._unblock(key)
                self.barred.pop(key.name, None)
                dropped += self.discard(key)
        self.overtaken = [key for key in self.overtaken if key.place != "gone"]
        return dropped

    def discard(self, key: Key) -> list[Work]:
        """Forget a key that does not wait, its head in flight too; return what left memory."""
        key.place = "gone"
        del self.keys[key.name]
        return key.works

    def remove(self, delivery_id: str, now: Micros) -> bool:
        """Take out one delivery that is not in flight; True when it was there."""
        for key in self.keys.values():
            for index, work in enumerate(key.works):
                if work.delivery.id != delivery_id and all(each.delivery.id != delivery_id for each in work.more):
                    continue
                if index:
                    del key.works[index]
                elif key.place == "flying":
                    return False
                elif left := groups.without(work, delivery_id):
                    key.works[0] = left
                    if key.blocked:
                        self._unblock(key)
                        self._block(key)
                else:
                    self._unbar(key)
                    self._unblock(key)
                    self.release(key, now)
                return True
        return False

    # --- time and evidence --------------------------------------------------------------------------------------------

    def tick(self, now: Micros) -> None:
        """Release the heads that are due, and consider those whose bound has run out for being overtaken."""
        for due_at, key in self.collecting.due(now):
            if key.place == "collecting" and key.due_at == due_at:
                self._go(key, now)
        for _, key in self._bounds.due(now):
            self._consider(key, now)
        if self._health.down:
            return
        for due_at, key in self._waiting.due(now):
            if key.place == "waiting" and key.due_at == due_at:
                self._unblock(key)
                key.place = "ready"
                self._ready.appendleft(key)  # the oldest of all that are ready

    def next_time(self) -> Micros | None:
        """Return when `tick` has something to do; a head's own time does not count while the endpoint is down."""
        tables = (
            (self._bounds, self.collecting) if self._health.down else (self._bounds, self.collecting, self._waiting)
        )
        return min((table.first for table in tables if table.first is not None), default=None)

    def accepted(self, now: Micros) -> None:
        """Record that the endpoint accepted a delivery, which is evidence against the heads that were waiting for
        it."""
        if self._unproven:
            unproven, self._unproven = self._unproven, {}
            for key in unproven.values():
                self._consider(key, now)

    def forgive(self, now: Micros) -> None:
        """Let every head go at once after an outage of the whole endpoint, unless the receiver asked to wait."""
        for key in self.keys.values():
            if key.place == "waiting" and not key.behind and key.due_at > (due_at := max(now, key.held_until)):
                key.due_at = due_at
                self._waiting.put(due_at, key)

    def _has_followers(self, key: Key) -> bool:
        return len(key.works) > 1 or key.cut

    def _since(self, key: Key) -> Micros:
        return max(key.first_at, self._health.forgiven_at)

    def _movable(self, key: Key, now: Micros) -> bool:
        """Return whether a head may be overtaken: its bound has run out while the endpoint took others, and it was
        sent, and failed, after the last outage."""
        health, since = self._health, self._since(key)
        return (
            self._ordering == "keyed"
            and not health.down
            and now >= since + self._bound
            and health.accepted_at > since
            and key.sent_at >= max(1, health.recovered_at)
        )

    def _consider(self, key: Key, now: Micros) -> None:
        if key.place != "waiting":
            return
        if self._movable(key, now):
            if self._has_followers(key) or self.blocked > self._crowd:
                self._unblock(key)
                key.place = "flying"
                self.overtaken.append(key)
            else:
                key.ripe = True
        elif self._health.accepted_at <= self._since(key):
            self._unproven[key.name] = key
