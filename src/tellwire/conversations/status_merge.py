"""PURE. Merge statuses into a message row, monotonously (docs/reference/formats.md, "Merge").

Merging any set of status facts in any order, with any repetition, gives the same row: times are minima, pricing and
errors are maxima of (rank, earliness, bytes).
"""

from __future__ import annotations

from msgspec.structs import replace

from tellwire.conversations import payments
from tellwire.model.messaging import Message, StatusFact
from tellwire.model.units import MICROS

RANK = {"sent": 1, "delivered": 2, "read": 3, "played": 4, "failed": 5}


def merge(message: Message, fact: StatusFact) -> Message:
    """Return the row with one more status fact; `fact.errors` is in the formats' shape (a JSON array, or b"")."""
    at = fact.at * MICROS
    status = message.status
    created = fact.name == "pending" and status.get("pending") == message.created_at
    if status.get(fact.name, at + 1) > at and not created:
        status = {**status, fact.name: at}
    order = (RANK.get(fact.name, 0), -fact.at)
    pricing = _best((message.pricing_rank, message.pricing), (order, fact.pricing))
    errors = (message.errors_rank, message.errors)
    if fact.name == "failed":
        errors = _best(errors, (order, fact.errors))
    # The earliest status of an external row is the nearest to when the message was sent.
    timestamp = min(message.timestamp, fact.at) if message.kind == "external" else message.timestamp
    if (status, timestamp, pricing[1], errors[1]) == (
        message.status,
        message.timestamp,
        message.pricing,
        message.errors,
    ) and (pricing[0], errors[0]) == (message.pricing_rank, message.errors_rank):
        return message
    return replace(
        message,
        status=status,
        timestamp=timestamp,
        pricing_rank=pricing[0],
        pricing=pricing[1],
        errors_rank=errors[0],
        errors=errors[1],
    )


def joined(message: Message, other: Message) -> Message:
    """Return the row with every status fact and payment of another row of the same message."""
    for name, at in other.status.items():
        message = merge(message, StatusFact(name=name, at=at // MICROS))
    pricing = _best((message.pricing_rank, message.pricing), (other.pricing_rank, other.pricing))
    errors = _best((message.errors_rank, message.errors), (other.errors_rank, other.errors))
    message = replace(message, pricing_rank=pricing[0], pricing=pricing[1], errors_rank=errors[0], errors=errors[1])
    return payments.added(message, payments.of(other))


_Ranked = tuple[tuple[int, int], bytes]


def _best(known: _Ranked, new: _Ranked) -> _Ranked:
    if not new[1]:
        return known
    if not known[1]:
        return new
    return max(known, new)
