"""PURE. Which deliveries of one order key are sent together, and how long the first of them waits for the others.

Source: docs/reference/formats.md, "Buffering".

A group is made when its turn has come, and recorded before its first attempt (`Delivery.together`): so whoever sends it
again, after a failure or a crash, sends the same messages under the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec.structs import replace

from tellwire.model import bursts
from tellwire.model.deliveries import Buffer, Endpoint, SentAs, Work
from tellwire.model.units import MICROS, Micros, micros
from tellwire.ports.formats import Joining

_READING: Micros = MICROS
"""How long the first of a group that is read from disk waits for the others, which may be on the next page."""


class Buffering:
    """The buffer of one endpoint, with what its format can put into one body."""

    def __init__(self, buffer: Buffer, joining: Joining) -> None:
        self._most = buffer.most
        self._types = buffer.types
        self._span = micros(buffer.seconds)
        self._joining = joining

    def collects_until(self, works: Sequence[Work], now: Micros) -> Micros:
        """Return until when the head of these may wait for more behind it; `now` or less when it goes at once."""
        head = works[0]
        if head.delivery.together:
            return 0 if self.is_complete(works, works[-1]) else now + _READING
        run = self.run(works)
        if not run or run < len(works) or run >= self._most:
            return 0
        return bursts.over_at(head.delivery.created_at, now, pause=self._span, longest=self._span)

    def is_complete(self, works: Sequence[Work], newest: Work) -> bool:
        """Return whether a head that collects goes now: enough has come, or something that it does not go with.

        Args:
            works: the head and what is behind it.
            newest: what came last of these; all others go with the head.
        """
        head = works[0]
        if head.delivery.together:
            return len(works) > 1 or group_id(head.members) == head.delivery.together
        return len(works) >= self._most or not (newest is head or self._follows(head, newest))

    def run(self, works: Sequence[Work]) -> int:
        """Return how many of these, from the head on, are to be sent together; 0 when the head is none that waits."""
        head = works[0]
        if not self._is_new(head) or not self._joining.takes(head.event, self._types):
            return 0
        count = 1
        for work in works[1 : self._most]:
            if not self._follows(head, work):
                break
            count += 1
        return count

    def _is_new(self, work: Work) -> bool:
        """Return whether it was never tried: what was tried alone goes on alone, under its own id."""
        return not work.delivery.attempts and not work.delivery.together

    def _follows(self, head: Work, work: Work) -> bool:
        return (
            work.event.conversation_id == head.event.conversation_id
            and not work.delivery.behind
            and self._is_new(work)
            and self._joining.takes(work.event, self._types)
        )


def buffering_of(endpoint: Endpoint, joining: Joining | None) -> Buffering | None:
    """Return the buffer of an endpoint whose format joins; None when it has none, or no order that it could keep."""
    if endpoint.buffer is None or joining is None or endpoint.ordering == "none":
        return None
    return Buffering(endpoint.buffer, joining)


def sent_as(work: Work) -> SentAs:
    """Return how the receiver knows what is sent in one request."""
    if not work.more:
        return SentAs(work.delivery.webhook_id, work.delivery.sequence)
    members = work.members
    return SentAs(group_id(members), members[-1].delivery.sequence)


def group_id(members: Sequence[Work]) -> str:
    """Return the `webhook-id` that these are sent under: of one its own, of several one that stands for exactly them.

    A receiver drops an id that it knows: were it the same for fewer, it would drop what it never got.
    """
    own = members[0].delivery.webhook_id
    if len(members) == 1:
        return own
    names = " ".join(work.delivery.id for work in members)
    return f"{own}_{blake2b(names.encode(), digest_size=8).hexdigest()}"


def joined(works: Sequence[Work]) -> Work:
    """Return these as one work, each with the id of the group."""
    together = group_id(works)
    first, *more = (replace(work, delivery=replace(work.delivery, together=together)) for work in works)
    return replace(first, more=tuple(more))


def is_of(head: Work, work: Work) -> bool:
    """Return whether a delivery that was read from disk belongs to the group of another."""
    return bool(work.delivery.together) and work.delivery.together == head.delivery.together


def without(head: Work, delivery_id: str) -> Work | None:
    """Return what is left of a work when a delivery leaves it; None when that is nothing."""
    left = [work for work in head.members if work.delivery.id != delivery_id]
    return replace(left[0], more=tuple(left[1:])) if left else None
