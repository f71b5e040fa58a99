"""Outgoing messages of ours on their way to Meta, as reads see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, Connection, exists, select, text

from tellwire.model import Message, Send
from tellwire.stores import sending_records
from tellwire.stores.sending_tables import OPEN_SEND, sends

_SEND = tuple(sends.c[name] for name in sending_records.SEND)


def of_messages(connection: Connection, organization_id: str, messages: Iterable[Message]) -> Mapping[str, Send]:
    """The sends of messages, by the message's id; incoming ones and those that others sent have none."""
    wanted = [message.id for message in messages if message.direction == "outgoing"]
    if not wanted:
        return {}
    query = select(*_SEND).where(sends.c.organization_id == organization_id, sends.c.message_id.in_(wanted))
    return {send.message_id: send for send in map(sending_records.send, connection.execute(query))}


def stands(organization_id: str, message_id: ColumnElement[str], state: str) -> ColumnElement[bool]:
    """Whether a message's send is in a state."""
    return exists().where(
        sends.c.organization_id == organization_id, sends.c.message_id == message_id, sends.c.state == state
    )


def any_open(connection: Connection, conversation_id: str) -> bool:
    """Whether a conversation has something that is still to be sent."""
    query = select(sends.c.message_id).where(sends.c.conversation_id == conversation_id, text(OPEN_SEND)).limit(1)
    return connection.execute(query).first() is not None
