"""Outgoing messages as the courier finds them: what is due, who goes first, and what an earlier owner left behind."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, or_, select, text

from tellwire.meta.outgoing.masking import TEMPLATE
from tellwire.model.messaging import Send
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros
from tellwire.ports.queues import AccountSends, DueSend, RecentSends
from tellwire.stores.queries import service_windows
from tellwire.stores.records import sending_rows
from tellwire.stores.schema.sending import DUE_SEND, IN_FLIGHT, sends, templates
from tellwire.stores.schema.tables import accounts, conversations, messages

_SEND = tuple(sends.c[name] for name in sending_rows.SEND)
_OTHER = sends.alias("other")
_OTHER_OPEN = text("other.state IN ('scheduled', 'queued', 'sending')")  # as the index says it
_LONG = 60 * 1_000_000


def dues(connection: Connection, account_ids: Collection[str], now: Micros) -> list[AccountSends]:
    """What is due by account; two look-ups for each, however much waits."""
    mine = sends.c.account_id == accounts.c.id
    first = select(func.min(sends.c.due_at)).where(mine, text(DUE_SEND), sends.c.due_at <= now)
    following = select(func.min(sends.c.due_at)).where(mine, text(DUE_SEND), sends.c.due_at > now)
    query = select(accounts.c.id, first.scalar_subquery(), following.scalar_subquery()).where(
        accounts.c.id.in_(account_ids)
    )
    return [AccountSends(row[0], row[1] is not None, row[2] or 0) for row in connection.execute(query)]


def heads(connection: Connection, account_id: str, now: Micros, limit: int) -> list[DueSend]:
    """The sends of an account that are due and the first of their order key, longest due first.

    One that is scheduled for later is behind; one that waits for its next try is first, and blocks.
    """
    first = ~exists().where(
        _OTHER.c.order_key == sends.c.order_key,
        _OTHER_OPEN,
        _OTHER.c.message_id != sends.c.message_id,
        or_(_OTHER.c.state == "sending", _before()),
    )
    query = (
        select(*_SEND)
        .where(
            sends.c.account_id == account_id,
            text(f"sends.{DUE_SEND}"),
            sends.c.due_at <= now,
            first,
        )
        .order_by(sends.c.due_at, sends.c.message_id)
        .limit(limit)
    )
    found = [sending_rows.send(row) for row in connection.execute(query)]
    return [DueSend(send, _late(connection, send, now)) for send in found]


def _before() -> ColumnElement[bool]:
    ours, theirs = sends.c, _OTHER.c
    return or_(
        theirs.order_at < ours.order_at,
        and_(theirs.order_at == ours.order_at, theirs.message_id < ours.message_id),
    )


def _late(connection: Connection, send: Send, now: Micros) -> bool:
    """Whether its window has closed; looked at only when it has waited, because it was looked at when it was made."""
    if send.unchecked or (not send.scheduled_at and now - send.created_at < _LONG):
        return False
    content = select(messages.c.content).where(
        messages.c.organization_id == send.organization_id, messages.c.id == send.message_id
    )
    if bytes(connection.execute(content).scalar_one_or_none() or b"").startswith(TEMPLATE):
        return False
    party = select(conversations.c.party).where(
        conversations.c.organization_id == send.organization_id, conversations.c.id == send.conversation_id
    )
    who = connection.execute(party).scalar_one_or_none()
    return who is not None and service_windows.closed(connection, send.organization_id, send.account_id, who, now)


def left_behind(connection: Connection, epochs: Mapping[int, int]) -> list[Send]:
    """Sends that were being sent under older leases than these (epochs by partition): few, as many as are in flight."""
    query = select(*_SEND).where(text(IN_FLIGHT), sends.c.partition.in_(epochs))
    found = [sending_rows.send(row) for row in connection.execute(query)]
    return [send for send in found if send.epoch < epochs[send.partition]]


def recent(connection: Connection, account_id: str, since: Micros, later: Micros, linger: Micros) -> list[RecentSends]:
    """What was sent since then, every try counted, by recipient.

    Args:
        later: stands for the end of what has none yet.
        linger: what ended without an answer may have arrived so much later.
    """
    state, ended = sends.c.state, sends.c.updated_at
    last = case((state == "sending", later), (state == "unknown", ended + linger), else_=ended)
    tries = case((sends.c.attempts < 1, 1), else_=sends.c.attempts)
    query = (
        select(sends.c.order_key, sends.c.recipient, func.sum(tries), func.max(last))
        .where(sends.c.account_id == account_id, sends.c.started_at >= since)
        .group_by(sends.c.order_key, sends.c.recipient)
    )
    return [RecentSends(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query)]


def ended_since(connection: Connection, account_id: str, since: Micros, ended: Micros) -> int:
    """How many sends that began after `since` ended after `ended`, or have not ended."""
    query = select(func.count()).where(
        sends.c.account_id == account_id,
        sends.c.started_at >= since,
        or_(sends.c.state == "sending", sends.c.updated_at > ended),
    )
    return int(connection.execute(query).scalar_one())


def is_authentication(connection: Connection, account: Account, name: str, language: str) -> bool | None:
    """Whether a template is for one-time codes; None when it is not known here."""
    query = select(templates.c.category).where(
        templates.c.organization_id == account.organization_id,
        templates.c.waba_id == account.waba_id,
        templates.c.name == name,
        templates.c.language == language,
    )
    category = connection.execute(query).scalar_one_or_none()
    return None if category is None else category.upper() == "AUTHENTICATION"
