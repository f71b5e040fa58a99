"""The removal of rows of sending and agents when their messages and conversations are removed."""

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
"""The condition for messages that need not be sent any more, and whose outcome is known."""


def delete_sends(connection: Connection, organization_id: str, message_ids: Collection[str]) -> None:
    """Delete the sends of messages that are removed."""
    mine = sends.c.organization_id == organization_id
    connection.execute(delete(sends).where(mine, sends.c.message_id.in_(message_ids)))


def cancel_sends(connection: Connection, organization_id: str, conversation_ids: Collection[str], now: Micros) -> None:
    """Cancel the sends that are still due in the conversations of a person who is erased."""
    theirs = (sends.c.organization_id == organization_id) & sends.c.conversation_id.in_(conversation_ids)
    columns = {"state": "cancelled", "cause": _ERASED, "updated_at": now}
    connection.execute(update(sends).where(theirs, text(DUE_SEND)).values(columns))


def delete_windows(connection: Connection, organization_id: str, contact_ids: Collection[str]) -> None:
    """Delete the times of calls of contacts."""
    mine = windows.c.organization_id == organization_id
    connection.execute(delete(windows).where(mine, windows.c.party.in_(contact_ids)))


def delete_agent_rows(
    connection: Connection, organization_id: str, conversation_ids: Collection[str], limit: int
) -> bool:
    """Delete the rows of agents about conversations, at most `limit` runs; return True when there may be more."""
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
