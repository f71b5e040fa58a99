"""What sending and agents keep of messages and conversations, when these are taken away."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, delete, exists, select, text, update

from tellwire.model.units import Micros
from tellwire.stores.schema.sending import DUE_SEND, agent_runs, agent_turns, handovers, sends, windows
from tellwire.stores.schema.tables import messages

_NEEDED = ("scheduled", "queued", "sending", "unknown")
_ERASED = "cancelled: its contact was erased"

SETTLED: ColumnElement[bool] = ~exists().where(
    sends.c.organization_id == messages.c.organization_id,
    sends.c.message_id == messages.c.id,
    sends.c.state.in_(_NEEDED),
)
"""Messages of which nothing is to be sent, and nobody is to decide what became of them."""


def sends_of(connection: Connection, organization_id: str, message_ids: Collection[str]) -> None:
    """Take away the sends of messages that go."""
    mine = sends.c.organization_id == organization_id
    connection.execute(delete(sends).where(mine, sends.c.message_id.in_(message_ids)))


def cancel_sends(connection: Connection, organization_id: str, conversation_ids: Collection[str], now: Micros) -> None:
    """Take back what was still to be sent in the conversations of somebody who is erased."""
    theirs = (sends.c.organization_id == organization_id) & sends.c.conversation_id.in_(conversation_ids)
    columns = {"state": "cancelled", "cause": _ERASED, "updated_at": now}
    connection.execute(update(sends).where(theirs, text(DUE_SEND)).values(columns))


def windows_of(connection: Connection, organization_id: str, contact_ids: Collection[str]) -> None:
    """Forget when somebody called."""
    mine = windows.c.organization_id == organization_id
    connection.execute(delete(windows).where(mine, windows.c.party.in_(contact_ids)))


def agents_traces(connection: Connection, organization_id: str, conversation_ids: Collection[str], limit: int) -> bool:
    """Take away what agents keep of conversations, at most `limit` runs; True when there may be more."""
    for table in (handovers, agent_turns):
        mine = table.c.organization_id == organization_id
        connection.execute(delete(table).where(mine, table.c.conversation_id.in_(conversation_ids)))
    runs = select(agent_runs.c.id).where(
        agent_runs.c.conversation_id.in_(conversation_ids), agent_runs.c.organization_id == organization_id
    )
    found = connection.execute(runs.limit(limit)).scalars().all()
    mine = agent_runs.c.organization_id == organization_id
    connection.execute(delete(agent_runs).where(mine, agent_runs.c.id.in_(found)))
    return len(found) == limit
