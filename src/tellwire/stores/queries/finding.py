"""Find something by whatever somebody knows of it. Searches without an index look at the newest rows only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, or_, select, text

from tellwire.journeys.excerpt import excerpt, says
from tellwire.journeys.question import Hit
from tellwire.journeys.records import Posted
from tellwire.model.inbound import Inbound, ItemReport, Outcome, seen_by, share
from tellwire.model.messaging import NEVER
from tellwire.model.tenancy import Account
from tellwire.privacy import tombstones
from tellwire.stores.queries import deliveries as delivery_queries
from tellwire.stores.queries import inbound_posts, media, messages
from tellwire.stores.queries import tombstones as marks
from tellwire.stores.queries.paging import MOST_BYTES, columns
from tellwire.stores.records import inbound_rows
from tellwire.stores.schema.sending import REQUESTED, sends
from tellwire.stores.schema.tables import (
    UNUSUAL,
    agent_runs,
    contact_aliases,
    contacts,
    conversations,
    deliveries,
    events,
    inbound,
    templates,
)
from tellwire.stores.schema.tables import messages as message_table

MOST_MESSAGES = 5000
"""So many of the newest messages are searched for words."""
MOST_CONTACTS = 50_000
"""So many of the newest contacts are searched for a name."""
MOST_POSTS = 300
"""So many of the newest POSTs that were not plainly applied are searched for an id."""
MOST_ITEMS = 20
_ROWS = 500
_MESSAGE = tuple(
    message_table.c[name] for name in ("id", "conversation_id", "direction", "created_at", "content", "contact_id")
)


class Looked(Struct, frozen=True):
    """What a search found, and whether there was more to look at than it may."""

    hits: list[Hit]
    cut: bool = False


class Searcher(Struct, frozen=True, kw_only=True):
    """Who asks, and how much may be shown. `whole`: an operator, who sees what is nobody's too."""

    organization_id: str
    whole: bool
    most: int = 20


# --- by ids -----------------------------------------------------------------------------------------------------------


def of_id(connection: Connection, searcher: Searcher, identifier: str) -> list[Hit]:
    """Return what has an id of ours: a message, a conversation, a contact, a delivery, an event, a file, a template, an
    agent's turn, or a POST."""
    found: list[Hit] = []
    for look in (_message, _conversation, _contact, _delivery, _event, _file, _template, _run):
        hit = look(connection, searcher.organization_id, identifier)
        found += [] if hit is None else [hit]
    return found or of_post(connection, searcher, identifier)


def _message(connection: Connection, owner: str, identifier: str) -> Hit | None:
    query = select(*_MESSAGE).where(message_table.c.organization_id == owner, message_table.c.id == identifier)
    row = connection.execute(query).one_or_none()
    return None if row is None else _message_hit(row)


def _message_hit(row: Any) -> Hit:
    return Hit(
        kind="message",
        id=row.id,
        title=excerpt(row.content),
        at=row.created_at,
        message_id=row.id,
        conversation_id=row.conversation_id,
    )


def _conversation(connection: Connection, owner: str, identifier: str) -> Hit | None:
    columns = (conversations.c.id, conversations.c.contact_address, conversations.c.created_at, conversations.c.party)
    query = select(*columns).where(conversations.c.organization_id == owner, conversations.c.id == identifier)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    person = messages.get_contact(connection, owner, row.party)
    title = (person.name if person else "") or row.contact_address
    return Hit(kind="conversation", id=row.id, title=title, at=row.created_at, conversation_id=row.id)


def _contact(connection: Connection, owner: str, identifier: str) -> Hit | None:
    person = messages.get_contact(connection, owner, identifier)
    if person is not None and person.merged_into:
        person = messages.get_contact(connection, owner, person.merged_into)
    return None if person is None else contact_hit(person)


def contact_hit(person: Any) -> Hit:
    """Return a contact as it is shown among what was found."""
    address = f"+{person.phone.removeprefix('+')}" if person.phone else person.username or person.user_id
    title = f"{person.name} ({address})" if person.name and address else person.name or address or "without a name"
    return Hit(kind="contact", id=person.id, title=title, at=person.created_at)


def _delivery(connection: Connection, owner: str, identifier: str) -> Hit | None:
    query = (
        select(deliveries.c.id, deliveries.c.state, deliveries.c.created_at, events.c.name, events.c.message_id,
               events.c.conversation_id)
        .outerjoin(events, (events.c.organization_id == owner) & (events.c.id == deliveries.c.event_id))
        .where(deliveries.c.organization_id == owner, deliveries.c.id == identifier)
    )  # fmt: skip
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Hit(
        kind="delivery",
        id=row.id,
        title=f"{row.name or 'an event that is no longer kept'}, {row.state}",
        at=row.created_at,
        message_id=row.message_id or "",
        conversation_id=row.conversation_id or "",
    )


def _event(connection: Connection, owner: str, identifier: str) -> Hit | None:
    names = ("id", "name", "created_at", "message_id", "conversation_id")
    query = select(*(events.c[name] for name in names)).where(
        events.c.organization_id == owner, events.c.id == identifier
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Hit(
        kind="event",
        id=row.id,
        title=row.name,
        at=row.created_at,
        message_id=row.message_id,
        conversation_id=row.conversation_id,
    )


def _file(connection: Connection, owner: str, identifier: str) -> Hit | None:
    file = media.get(connection, owner, identifier)
    if file is None:
        return None
    title = file.filename or file.mime_type or file.state
    return Hit(kind="media", id=file.id, title=title, at=file.created_at, message_id=file.message_id)


def _template(connection: Connection, owner: str, identifier: str) -> Hit | None:
    query = select(templates.c.id, templates.c.name, templates.c.language, templates.c.created_at).where(
        templates.c.organization_id == owner, templates.c.id == identifier
    )
    row = connection.execute(query).one_or_none()
    return (
        None
        if row is None
        else Hit(kind="template", id=row.id, title=f"{row.name} ({row.language})", at=row.created_at)
    )


def _run(connection: Connection, owner: str, identifier: str) -> Hit | None:
    names = ("id", "outcome", "message_id", "conversation_id", "started_at")
    query = select(*(agent_runs.c[name] for name in names)).where(
        agent_runs.c.organization_id == owner, agent_runs.c.id == identifier
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Hit(
        kind="agent_run",
        id=row.id,
        title=f"an agent's turn: {row.outcome}",
        at=row.started_at,
        message_id=row.message_id,
        conversation_id=row.conversation_id,
    )


def of_post(connection: Connection, searcher: Searcher, identifier: str) -> list[Hit]:
    """Return the items of a POST that the searcher sees, by the POST's id."""
    post = inbound_posts.get(connection, searcher.organization_id, identifier, whole=searcher.whole, body=False)
    if post is None:
        return []
    return [_item_hit(post, item) for item in _seen(searcher, post)[:MOST_ITEMS]]


def _seen(searcher: Searcher, post: Inbound) -> tuple[ItemReport, ...]:
    return post.items if searcher.whole else seen_by(post, searcher.organization_id).items


def _item_hit(post: Inbound, item: ItemReport) -> Hit:
    why = f": {item.reason}" if item.reason else ""
    return Hit(
        kind="inbound",
        id=post.id,
        title=f"{item.kind or item.field or 'an item'}, {item.outcome.value.replace('_', ' ')}{why}",
        at=post.received_at,
        message_id=item.message_id,
    )


def posted(connection: Connection, searcher: Searcher, inbound_id: str, *, wamid: str = "") -> Posted | None:
    """Return the one item of a POST that is asked about; None where it is not one."""
    post = inbound_posts.get(connection, searcher.organization_id, inbound_id, whole=searcher.whole, body=False)
    items = () if post is None else _seen(searcher, post)
    wanted = [(place, item) for place, item in enumerate(items, 1) if not wamid or item.wamid == wamid]
    if post is None or len(wanted) != 1:
        return None
    place, item = wanted[0]
    return Posted(inbound=post, item=item, place=place, count=len(items))


def of_webhook_id(connection: Connection, searcher: Searcher, webhook_id: str) -> list[Hit]:
    """Return the deliveries that a receiver knows by a `webhook-id`."""
    ids = delivery_queries.of_webhook_id(connection, webhook_id)[: searcher.most]
    found = (_delivery(connection, searcher.organization_id, each) for each in ids)
    return [hit for hit in found if hit is not None]


def of_wamid(connection: Connection, searcher: Searcher, accounts: Collection[Account], wamid: str) -> list[Hit]:
    """Return the messages that Meta knows by an id, among these accounts."""
    mine = message_table.c.account_id.in_([each.id for each in accounts])
    query = select(*_MESSAGE).where(
        mine, message_table.c.wamid == wamid, message_table.c.organization_id == searcher.organization_id
    )
    return [_message_hit(row) for row in connection.execute(query.limit(searcher.most))] if accounts else []


def of_request(connection: Connection, searcher: Searcher, request_id: str) -> list[Hit]:
    """Return the messages that a request asked to send."""
    mine = (sends.c.request_id == request_id) & (sends.c.organization_id == searcher.organization_id)
    same = (message_table.c.id == sends.c.message_id) & (message_table.c.organization_id == sends.c.organization_id)
    query = select(*_MESSAGE).select_from(sends.join(message_table, same)).where(mine, text(REQUESTED))
    return [_message_hit(row) for row in connection.execute(query.limit(searcher.most))]


def of_meta_file(connection: Connection, searcher: Searcher, meta_id: str) -> list[Hit]:
    """Return the file that Meta knows by an id."""
    file = media.of_meta_id(connection, searcher.organization_id, meta_id)
    return [Hit(kind="media", id=file.id, title=file.filename or file.mime_type, at=file.created_at,
                message_id=file.message_id)] if file else []  # fmt: skip


def waiting_posts(connection: Connection, searcher: Searcher, wanted: Callable[[ItemReport], bool]) -> Looked:
    """Return the items that are not plainly applied and fit, of the newest POSTs."""
    outcomes = [each.value for each in Outcome if each not in (Outcome.APPLIED, Outcome.DUPLICATE)]
    listed = tuple(column for column in inbound.c if column.name != "body")
    found: list[Hit] = []
    cut = False
    for outcome in outcomes:
        near = select(*listed).where(inbound.c.outcome == outcome, text(UNUSUAL))
        near = near.order_by(inbound.c.id.desc()).limit(MOST_POSTS)
        rows = connection.execute(near).all()
        cut = cut or len(rows) == MOST_POSTS
        for row in rows:
            post = inbound_rows.inbound({**columns(row), "body": b""})
            if _may_see(searcher, post):
                found += [_item_hit(post, item) for item in _seen(searcher, post) if wanted(item)]
    return Looked(sorted(found, key=lambda hit: hit.id, reverse=True)[: searcher.most], cut)


def _may_see(searcher: Searcher, post: Inbound) -> bool:
    owner = searcher.organization_id
    return post.organization_id == owner or share(owner) in post.shares or (searcher.whole and not post.organization_id)


def is_erased(connection: Connection, searcher: Searcher, key: bytes, accounts: Collection[Account], name: str) -> bool:
    """Return whether somebody with this address, or a message with this id, was erased within the last weeks."""
    owner = searcher.organization_id
    wanted = [tombstones.of_address(key, owner, name)] if key else []
    wanted += [tombstones.of_message(key, owner, each.id, name) for each in accounts] if key else []
    return bool(marks.marked(connection, wanted))


# --- by people and words ----------------------------------------------------------------------------------------------


def of_address(connection: Connection, searcher: Searcher, spellings: Sequence[str]) -> list[Hit]:
    """Return the contacts that have, or had, a phone number or user id."""
    query = select(contact_aliases.c.contact_id, contact_aliases.c.until).where(
        contact_aliases.c.organization_id == searcher.organization_id, contact_aliases.c.value.in_(spellings)
    )
    rows = connection.execute(query.order_by(contact_aliases.c.until.desc()).limit(searcher.most)).all()
    current = [row.contact_id for row in rows if row.until == NEVER] or [row.contact_id for row in rows]
    hits = (_contact(connection, searcher.organization_id, each) for each in current)
    return list({hit.id: hit for hit in hits if hit is not None}.values())


def of_group(connection: Connection, searcher: Searcher, accounts: Collection[Account], party: str) -> list[Hit]:
    """Return the newest conversation of each account with one of Meta's groups."""
    query = select(conversations.c.id).where(
        conversations.c.party == party,
        conversations.c.account_id.in_([each.id for each in accounts]),
        conversations.c.contact_address == party,
    )
    ids = connection.execute(query.order_by(conversations.c.id.desc()).limit(1)).scalars().all()
    hits = (_conversation(connection, searcher.organization_id, each) for each in ids)
    return [hit for hit in hits if hit is not None]


def of_name(connection: Connection, searcher: Searcher, name: str) -> Looked:
    """Return the contacts whose name holds a text, among the newest."""
    newest = contacts.c.organization_id == searcher.organization_id
    last = select(contacts.c.id).where(newest).order_by(contacts.c.id.desc()).offset(MOST_CONTACTS).limit(1)
    beyond = connection.execute(last).scalar()
    spelled = [contacts.c.name.icontains(name, autoescape=True), contacts.c.username == name.removeprefix("@")]
    if not name.isascii():  # SQLite knows the case of ASCII only
        spelled += [contacts.c.name.contains(each, autoescape=True) for each in {name.upper(), name.title()}]
    fields = ("id", "name", "phone", "username", "user_id", "created_at")
    query = select(*(contacts.c[each] for each in fields)).where(newest, contacts.c.merged_into == "", or_(*spelled))
    if beyond is not None:
        query = query.where(contacts.c.id > beyond)
    rows = connection.execute(query.order_by(contacts.c.id.desc()).limit(searcher.most)).all()
    return Looked([contact_hit(row) for row in rows], beyond is not None)


def of_contacts(connection: Connection, searcher: Searcher, contact_ids: Collection[str]) -> list[Hit]:
    """Return the newest messages of the newest conversations of contacts."""
    own = select(conversations.c.id).where(conversations.c.party.in_(contact_ids))
    own = own.order_by(conversations.c.id.desc()).limit(searcher.most)
    found: list[Hit] = []
    for conversation_id in connection.execute(own).scalars().all():
        query = select(*_MESSAGE).where(
            message_table.c.conversation_id == conversation_id,
            message_table.c.organization_id == searcher.organization_id,
        )
        rows = connection.execute(query.order_by(message_table.c.id.desc()).limit(searcher.most - len(found)))
        found += map(_message_hit, rows)
        if len(found) >= searcher.most:
            break
    return found


def of_words(connection: Connection, searcher: Searcher, words: str) -> Looked:
    """Return the messages that hold these words, among the newest."""
    found: list[Hit] = []
    looked_at, before, size = 0, "", 0
    while looked_at < MOST_MESSAGES and size < MOST_BYTES:
        query = select(*_MESSAGE).where(message_table.c.organization_id == searcher.organization_id)
        rows = connection.execute(_below(query, before)).all()
        for row in rows:
            size += len(row.content)
            if says(row.content, words):
                found.append(_message_hit(row))
        looked_at += len(rows)
        if len(rows) < _ROWS:
            return Looked(found[: searcher.most], len(found) > searcher.most)
        if len(found) >= searcher.most:
            break
        before = rows[-1].id
    return Looked(found[: searcher.most], cut=True)


def _below(query: Select[Any], before: str) -> Select[Any]:
    if before:
        query = query.where(message_table.c.id < before)
    return query.order_by(message_table.c.id.desc()).limit(_ROWS)
