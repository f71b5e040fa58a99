"""Held items whose time to wait is over."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, text

from tellwire.model.inbound import WaitingPost
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import columns
from tellwire.stores.records import inbound_rows
from tellwire.stores.schema.tables import held_items, inbound


def waited_long_enough(connection: Connection, now: Micros, limit: int) -> Sequence[WaitingPost]:
    """Return stored POSTs in the order they came, each with the pointers of its items that have waited long enough."""
    query = (
        select(held_items.c.inbound_id, held_items.c.pointer)
        .where(text("retry_at > 0"), held_items.c.retry_at <= now)
        .order_by(held_items.c.retry_at)
        .limit(limit)
    )
    pointers: dict[str, set[str]] = {}
    for inbound_id, pointer in connection.execute(query):
        pointers.setdefault(inbound_id, set()).add(pointer)
    posts = select(inbound).where(inbound.c.id.in_(pointers)).order_by(inbound.c.id)
    found = (inbound_rows.inbound(columns(row)) for row in connection.execute(posts)) if pointers else ()
    return [WaitingPost(post, frozenset(pointers[post.id])) for post in found]
