"""Outgoing messages for the sending worker: which are due, in what order, and which an earlier owner left in flight."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, or_, select, text

from tellwire.meta.outgoing.masking import TEMPLATE
from tellwire.model.messaging import Send
from tellwire.model.tenancy import Account
from tellwire.model.units import MINUTE, Micros
from tellwire.ports.queues import AccountSends, DueSend, RecentSends, Refusal
from tellwire.stores.queries import marketing, service_windows
from tellwire.stores.records import sending_rows
from tellwire.stores.schema.sending import DUE_SEND, IN_FLIGHT, OPEN_SEND, sends, templates
from tellwire.stores.schema.tables import accounts, conversations, messages

_SEND = tuple(sends.c[name] for name in sending_rows.SEND)
_OTHER = sends.alias("other")
_OTHER_OPEN = text("other.state IN ('scheduled', 'queued', 'sending')")  # as the index says it
_LONG = MINUTE


def by_account(connection: Connection, account_ids: Collection[str], now: Micros) -> list[AccountSends]:
    """Return for each account whether a send is due and when the next one is, with two look-ups, however many wait."""
    mine = sends.c.account_id == accounts.c.id
    first = select(func.min(sends.c.due_at)).where(mine, text(DUE_SEND), sends.c.due_at <= now)
    following = select(func.min(sends.c.due_at)).where(mine, text(DUE_SEND), sends.c.due_at > now)
    query = select(accounts.c.id, first.scalar_subquery(), following.scalar_subquery()).where(
        accounts.c.id.in_(account_ids)
    )
    return [AccountSends(row[0], row[1] is not None, row[2] or 0) for row in connection.execute(query)]


def first_of_each(connection: Connection, account_id: str, now: Micros, limit: int) -> list[DueSend]:
    """Return the due sends of an account that are the first of their order key, longest due first.

    A send that is scheduled for later comes later in the order; one that waits for its next try blocks those behind it.
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
    return [DueSend(send, _refused(connection, send, now)) for send in found]


def _before() -> ColumnElement[bool]:
    ours, theirs = sends.c, _OTHER.c
    return or_(
        theirs.order_at < ours.order_at,
        and_(theirs.order_at == ours.order_at, theirs.message_id < ours.message_id),
    )


def _refused(connection: Connection, send: Send, now: Micros) -> Refusal:
    """Return why a send may not go out any more. All was checked when it was made, so only sends that have waited are
    checked again."""
    if send.expires_at and now > send.expires_at:
        return "expired"
    if (send.unchecked and send.despite_stop) or (not send.scheduled_at and now - send.created_at < _LONG):
        return ""
    content = select(messages.c.content).where(
        messages.c.organization_id == send.organization_id, messages.c.id == send.message_id
    )
    found = bytes(connection.execute(content).scalar_one_or_none() or b"")
    conversation = select(conversations.c.party).where(
        conversations.c.organization_id == send.organization_id, conversations.c.id == send.conversation_id
    )
    party = connection.execute(conversation).scalar_one_or_none()
    if party is None:
        return ""
    owner, account_id = send.organization_id, send.account_id
    if found.startswith(TEMPLATE):
        stopped = not send.despite_stop and marketing.unwanted(connection, owner, account_id, party, found)
        return "stopped" if stopped else ""
    late = not send.unchecked and service_windows.closed(connection, owner, account_id, party, now)
    return "late" if late else ""


def waits_ahead(connection: Connection, order_key: str, until: Micros) -> bool:
    """Return whether a message of an order key waits to be tried again after `until`, and all others behind it."""
    query = select(sends.c.message_id).where(
        sends.c.order_key == order_key, text(OPEN_SEND), sends.c.state == "queued", sends.c.due_at > until
    )
    return connection.execute(query.limit(1)).first() is not None


def is_first(connection: Connection, send: Send) -> bool:
    """Return whether no other open send of the same order key goes before this one."""
    others = select(_OTHER.c.message_id).where(
        _OTHER.c.order_key == send.order_key,
        _OTHER_OPEN,
        _OTHER.c.message_id != send.message_id,
        or_(
            _OTHER.c.state == "sending",
            _OTHER.c.order_at < send.order_at,
            and_(_OTHER.c.order_at == send.order_at, _OTHER.c.message_id < send.message_id),
        ),
    )
    return connection.execute(others.limit(1)).first() is None


def left_behind(connection: Connection, epochs: Mapping[int, int]) -> list[Send]:
    """Return the sends in flight under older leases than these (epochs by partition); there are few."""
    query = select(*_SEND).where(text(IN_FLIGHT), sends.c.partition.in_(epochs))
    found = [sending_rows.send(row) for row in connection.execute(query)]
    return [send for send in found if send.epoch < epochs[send.partition]]


def recent_sends(
    connection: Connection, account_id: str, since: Micros, later: Micros, linger: Micros
) -> list[RecentSends]:
    """Return the sends started since `since`, by recipient, with every try counted.

    Args:
        later: the time to use as the end of sends that have not ended.
        linger: micros by which a send without an answer may have arrived later.
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
    """Return how many sends that began after `since` ended after `ended`, or have not ended."""
    query = select(func.count()).where(
        sends.c.account_id == account_id,
        sends.c.started_at >= since,
        or_(sends.c.state == "sending", sends.c.updated_at > ended),
    )
    return int(connection.execute(query).scalar_one())


def is_authentication(connection: Connection, account: Account, name: str, language: str) -> bool | None:
    """Return whether a template is for one-time codes; None when it is not known here."""
    query = select(templates.c.category).where(
        templates.c.organization_id == account.organization_id,
        templates.c.waba_id == account.waba_id,
        templates.c.name == name,
        templates.c.language == language,
    )
    category = connection.execute(query).scalar_one_or_none()
    return None if category is None else category.upper() == "AUTHENTICATION"
