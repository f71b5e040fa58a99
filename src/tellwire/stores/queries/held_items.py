"""Items that were held for a while and whose while is over."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, text

from tellwire.model.inbound import WaitingPost
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import columns
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.tables import held_items, inbound


def over(connection: Connection, now: Micros, limit: int) -> Sequence[WaitingPost]:
    """POSTs with items that have waited for long enough, as they came, each with which those are."""
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
    found = (ledger_rows.inbound(columns(row)) for row in connection.execute(posts)) if pointers else ()
    return [WaitingPost(post, frozenset(pointers[post.id])) for post in found]
