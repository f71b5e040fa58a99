"""Due turns of agents, and the facts that are needed before a model is called."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, func, select

from tellwire.model.agents import AgentTurn, Situation
from tellwire.model.messaging import Message
from tellwire.model.units import Micros
from tellwire.stores.queries import conversations
from tellwire.stores.queries.paging import unindexed
from tellwire.stores.records import ledger_rows, sending_rows
from tellwire.stores.schema.tables import agent_runs, agent_turns, agent_usage, handovers, messages

_TURN = tuple(agent_turns.c[name] for name in sending_rows.TURN)
_MESSAGE = tuple(messages.c[name] for name in ledger_rows.MESSAGE)


def due(
    connection: Connection,
    now: Micros,
    *,
    limit: int,
    after: tuple[Micros, str] = (-1, ""),
    not_of: Collection[str] = (),
) -> list[AgentTurn]:
    """Return due turns, oldest first, behind the pair `after` of (`due_at`, conversation id), without those of the
    organizations `not_of`."""
    at, conversation = after
    behind = (agent_turns.c.due_at > at) | (
        (agent_turns.c.due_at == at) & (agent_turns.c.conversation_id > conversation)
    )
    query = select(*_TURN).where(agent_turns.c.due_at <= now, agent_turns.c.due_at >= at, behind)
    if not_of:
        query = query.where(agent_turns.c.organization_id.not_in(not_of))
    rows = connection.execute(query.order_by(agent_turns.c.due_at, agent_turns.c.conversation_id).limit(limit))
    return [sending_rows.turn(row) for row in rows]


def next_due(connection: Connection, now: Micros) -> Micros | None:
    """Return when the next turn becomes due after `now`; None when there is none."""
    return connection.execute(select(func.min(agent_turns.c.due_at)).where(agent_turns.c.due_at > now)).scalar()


def situation(connection: Connection, turn: AgentTurn, agent_id: str, *, last: int, now: Micros) -> Situation:
    """Return a turn's conversation with its `last` messages, and what its agent has used."""
    owner = turn.organization_id
    conversation = conversations.get(connection, owner, turn.conversation_id)
    paused = select(handovers.c.reason).where(
        handovers.c.organization_id == owner, handovers.c.conversation_id == turn.conversation_id
    )
    replied = select(func.count()).where(
        agent_runs.c.conversation_id == turn.conversation_id,
        agent_runs.c.agent_id == agent_id,
        agent_runs.c.message_id != "",
    )
    used = select(agent_usage.c.replies, agent_usage.c.tokens).where(
        agent_usage.c.organization_id == owner,
        agent_usage.c.agent_id == agent_id,
        agent_usage.c.day == sending_rows.day_of(now),
    )
    replies_today, tokens_today = connection.execute(used).one_or_none() or (0, 0)
    return Situation(
        conversation=conversation,
        messages=_last_messages(connection, turn, last),
        handed_over=connection.execute(paused).scalar() or "",
        replies=connection.execute(replied).scalar_one(),
        replies_today=replies_today,
        tokens_today=tokens_today,
    )


def _last_messages(connection: Connection, turn: AgentTurn, last: int) -> Sequence[Message]:
    """Return the conversation's last messages, oldest first, including the one to answer."""
    owner = unindexed(messages.c.organization_id) == turn.organization_id
    mine = (messages.c.conversation_id == turn.conversation_id) & owner
    rows = connection.execute(select(*_MESSAGE).where(mine).order_by(messages.c.id.desc()).limit(last)).all()
    found = [ledger_rows.message(row) for row in reversed(rows)]
    if all(each.id != turn.message_id for each in found):
        row = connection.execute(select(*_MESSAGE).where(mine, messages.c.id == turn.message_id)).one_or_none()
        found = [*([ledger_rows.message(row)] if row else []), *found]
    return found
