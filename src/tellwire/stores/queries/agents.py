"""Agents of an organization, their runs, and where they are paused."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from tellwire.errors import Conflict
from tellwire.model.agents import Agent, AgentRun
from tellwire.model.units import Micros
from tellwire.security.vault import Vault
from tellwire.stores.queries.audit import AuditChange, note_change
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest, unindexed
from tellwire.stores.records import sending_rows
from tellwire.stores.schema.tables import accounts, agent_runs, agents, handovers

_RUN = tuple(agent_runs.c[name] for name in sending_rows.RUN)


class AgentStatus(Struct, frozen=True, kw_only=True):
    """The state of the agent in a conversation: since when, by whom and why it is paused ("" and 0: it is not), and
    what it has used there."""

    reason: str = ""
    by: str = ""
    since: Micros = 0
    replies: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def add(connection: Connection, change: AuditChange, vault: Vault, agent: Agent) -> Agent:
    """Store a new agent."""
    connection.execute(insert(agents).values(sending_rows.agent_values(agent, vault)))
    note_change(connection, change, "agent.created", agent.id)
    return agent


def get(connection: Connection, vault: Vault, organization_id: str, agent_id: str) -> Agent | None:
    """Return an agent of an organization, None when there is none."""
    mine = (agents.c.id == agent_id) & (agents.c.organization_id == organization_id)
    row = connection.execute(select(agents).where(mine)).one_or_none()
    return None if row is None else _agent(row, vault)


def page(connection: Connection, vault: Vault, organization_id: str, request: PageRequest) -> Page[Agent]:
    """Return a page of the agents of an organization."""
    query = select(agents).where(agents.c.organization_id == organization_id)
    return newest(connection, query, agents.c.id, request, lambda row: _agent(row, vault))


def answering(connection: Connection, vault: Vault, *, most: int) -> list[Agent]:
    """Return AI agents that are at work, of every organization, the newest first."""
    working = (agents.c.kind == "ai") & (agents.c.state == "active")
    rows = connection.execute(select(agents).where(working).order_by(agents.c.id.desc()).limit(most))
    return [_agent(row, vault) for row in rows]


def change(connection: Connection, change: AuditChange, vault: Vault, agent: Agent) -> Agent:
    """Write a changed agent."""
    mine = (agents.c.id == agent.id) & (agents.c.organization_id == agent.organization_id)
    connection.execute(update(agents).where(mine).values(sending_rows.agent_values(agent, vault)))
    note_change(connection, change, "agent.changed", agent.id)
    return agent


def remove(connection: Connection, change: AuditChange, agent_id: str) -> None:
    """Delete an agent; its messages stay.

    Raises:
        Conflict: it answers the customers of an account.
    """
    theirs = (accounts.c.organization_id == change.organization_id) & (accounts.c.agent_id == agent_id)
    number = connection.execute(select(accounts.c.phone_number_id).where(theirs)).scalars().first()
    if number is not None:
        raise Conflict(f"It is the agent of the account {number}: give that account another agent, or none.")
    connection.execute(
        delete(agents).where(agents.c.organization_id == change.organization_id, agents.c.id == agent_id)
    )
    note_change(connection, change, "agent.deleted", agent_id)


def is_ai(connection: Connection, organization_id: str, agent_id: str) -> bool:
    """Return whether an AI agent has this id."""
    mine = (agents.c.id == agent_id) & (agents.c.organization_id == organization_id)
    return connection.execute(select(agents.c.kind).where(mine)).scalar() == "ai"


def runs(connection: Connection, organization_id: str, agent_id: str, request: PageRequest) -> Page[AgentRun]:
    """Return a page of an agent's runs."""
    owner = unindexed(agent_runs.c.organization_id) == organization_id
    query = select(*_RUN).where(agent_runs.c.agent_id == agent_id, owner)
    return newest(connection, query, agent_runs.c.id, request, _run)


def status(connection: Connection, organization_id: str, conversation_id: str) -> AgentStatus:
    """Return the state of the agent in a conversation."""
    mine = (handovers.c.conversation_id == conversation_id) & (handovers.c.organization_id == organization_id)
    paused = connection.execute(select(handovers).where(mine)).one_or_none()
    total = [func.coalesce(func.sum(column), 0) for column in (agent_runs.c.input_tokens, agent_runs.c.output_tokens)]
    owner = unindexed(agent_runs.c.organization_id) == organization_id
    theirs = (agent_runs.c.conversation_id == conversation_id) & owner
    input_tokens, output_tokens = connection.execute(select(*total).where(theirs)).one()
    replied = select(func.count()).where(theirs, agent_runs.c.message_id != "")
    return AgentStatus(
        reason=paused.reason if paused else "",
        by=paused.handed_by if paused else "",
        since=paused.created_at if paused else 0,
        replies=connection.execute(replied).scalar_one(),
        input_tokens=int(input_tokens),
        output_tokens=int(output_tokens),
    )


def _agent(row: Row[tuple[object, ...]], vault: Vault) -> Agent:
    return sending_rows.agent(columns(row), vault)


def _run(row: Row[tuple[object, ...]]) -> AgentRun:
    return AgentRun(**columns(row))
