"""Remove the codes of authentication templates from events."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from tellwire.meta.raw_json import replace
from tellwire.stores.schema.tables import events

_CONTENT = "/snapshot/row/content"


def mask_events(
    connection: Connection, organization_id: str, conversation_id: str, message_id: str, content: bytes
) -> None:
    """Replace the message's content by `content` (the masked one) in every event of a message."""
    mine = (events.c.organization_id == organization_id) & (events.c.conversation_id == conversation_id)
    query = select(events.c.id, events.c.body).where(mine, events.c.message_id == message_id)
    for identifier, body in connection.execute(query).all():
        masked = replace.replaced(body, {_CONTENT: content})
        this = (events.c.organization_id == organization_id) & (events.c.id == identifier)
        connection.execute(update(events).where(this).values(body=masked))
