"""Reads of the sends of outgoing messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, exists, select, text

from tellwire.model.messaging import Message, Send
from tellwire.stores.records import sending_rows
from tellwire.stores.schema.sending import DUE_SEND, NOT_ACCEPTED, sends

_SEND = tuple(sends.c[name] for name in sending_rows.SEND)


def of_messages(connection: Connection, organization_id: str, messages: Iterable[Message]) -> Mapping[str, Send]:
    """Return the sends of messages, by message id; incoming messages and those sent by other software have none."""
    wanted = [message.id for message in messages if message.direction == "outgoing"]
    if not wanted:
        return {}
    query = select(*_SEND).where(sends.c.organization_id == organization_id, sends.c.message_id.in_(wanted))
    return {send.message_id: send for send in map(sending_rows.send, connection.execute(query))}


def unsent(connection: Connection, account_id: str, *, after: str, limit: int) -> Sequence[str]:
    """Return the next messages of an account, behind `after`, that are still to be sent and are not being sent."""
    query = select(sends.c.message_id).where(
        sends.c.account_id == account_id, text(DUE_SEND), sends.c.message_id > after
    )
    return connection.execute(query.order_by(sends.c.message_id).limit(limit)).scalars().all()


def in_state(organization_id: str, message_id: ColumnElement[str], state: str) -> ColumnElement[bool]:
    """Return the condition that a message's send is in a state.

    Sends in any other state than `accepted` are few, so for them the search begins there."""
    if state == "accepted":
        accepted = (sends.c.organization_id == organization_id) & (sends.c.message_id == message_id)
        return exists().where(accepted, sends.c.state == state)
    few = select(sends.c.message_id).where(
        sends.c.organization_id == organization_id, sends.c.state == state, text(NOT_ACCEPTED)
    )
    return message_id.in_(few)
