"""All that is stored about one message. Every search has a bound, whatever the message went through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, or_, select

from tellwire.ids import id_floor
from tellwire.journeys.records import Outage, Posted, Records, Try, Way
from tellwire.journeys.untold import why_not
from tellwire.model.agents import AgentRun, AgentTurn
from tellwire.model.deliveries import Event
from tellwire.model.inbound import Inbound, ItemReport, seen_by, share
from tellwire.model.messaging import Message
from tellwire.model.registry import Registry
from tellwire.model.routing import NamesOf
from tellwire.model.units import HOUR, MICROS, Micros
from tellwire.stores.queries import conversations, health, media, members, messages, organizations
from tellwire.stores.queries.paging import columns, unindexed
from tellwire.stores.records import attempt_rows, inbound_rows, ledger_rows, sending_rows
from tellwire.stores.schema.tables import agent_runs, agent_turns, attempts, deliveries, events, handovers, inbound

MOST_DELIVERIES = 200
_MOST_EVENTS = 200
_EVENTS_LOOKED_AT = 5000
_POSTS_BEFORE, _POSTS_AFTER = 100, 500
_EARLIER = 60
_RUNS = 20
_EVENT = tuple(events.c[name] for name in ledger_rows.EVENT)
_DELIVERY = tuple(deliveries.c[name] for name in ledger_rows.DELIVERY)
_RUN = tuple(agent_runs.c[name] for name in sending_rows.RUN)
_TURN = tuple(agent_turns.c[name] for name in sending_rows.TURN)
_LISTED = tuple(column for column in inbound.c if column.name != "body")


class Known(Struct, frozen=True, kw_only=True):
    """What a process knows without a query."""

    organization_id: str
    registry: Registry
    names: Mapping[str, NamesOf]
    """by payload format"""
    now: Micros
    retention: Micros


def of_message(connection: Connection, known: Known, message_id: str) -> Records | None:
    """Return all about a message of an organization, None when there is none."""
    owner = known.organization_id
    entry = messages.get(connection, owner, message_id)
    if entry is None:
        return None
    message = entry.message
    about = _events(connection, owner, message)
    told = [event for event in about if event.entity != "meta"]
    ways, cut = _ways(connection, owner, [event.id for event in about])
    mine = {each.id: each for each in known.registry.endpoints.values() if each.organization_id == owner}
    account = next((each for each in known.registry.accounts.values() if each.id == message.account_id), None)
    reached = {way.delivery.endpoint_id for way in ways}
    untold = {}
    if told:
        for each in mine.values():
            if each.id not in reached:
                untold[each.id] = why_not(each, told[0], known.names[each.format](told[0]), account)
    run, turn = _agents_turn(connection, owner, message)
    return Records(
        now=known.now,
        message=message,
        contact=entry.contact,
        conversation=conversations.get(connection, owner, message.conversation_id),
        account=account,
        facts=messages.facts_of(connection, message),
        send=entry.send,
        author=_author(connection, owner, entry.send.author) if entry.send is not None else "",
        files=media.of_messages(connection, [message.id]),
        posted=None if entry.send is not None else _posted(connection, owner, message),
        events=told,
        meta_events=frozenset(event.id for event in about if event.entity == "meta"),
        ways=ways,
        endpoints=mine,
        outages=_outages(connection, owner, sorted(reached)),
        untold=untold,
        agents={each.id: each for each in known.registry.agents.values() if each.organization_id == owner},
        run=run,
        turn=turn,
        handover=_handover(connection, owner, message.conversation_id),
        cut=cut,
        retention=known.retention,
    )


def of_item(known: Known, posted: Posted) -> Records:
    """Return what there is to say of an item that has become no message."""
    return Records(now=known.now, posted=posted, endpoints={}, outages={}, untold={}, agents={})


def _events(connection: Connection, organization_id: str, message: Message) -> list[Event]:
    """Return the first events about a message, found by its conversation: they come after it, as ids rise."""
    owner = unindexed(events.c.organization_id) == organization_id
    of = (events.c.conversation_id == message.conversation_id) & (events.c.id >= message.id)
    near = select(*_EVENT).where(of, owner).order_by(events.c.id).limit(_EVENTS_LOOKED_AT).subquery()
    query = select(near).where(near.c.message_id == message.id).order_by(near.c.id).limit(_MOST_EVENTS)
    return [ledger_rows.event(row) for row in connection.execute(query)]


def _ways(connection: Connection, organization_id: str, event_ids: Sequence[str]) -> tuple[list[Way], bool]:
    """Return the first deliveries of events with the first and the last attempt of each, and whether there are more."""
    if not event_ids:
        return [], False
    owner = unindexed(deliveries.c.organization_id) == organization_id
    query = select(*_DELIVERY).where(deliveries.c.event_id.in_(event_ids), owner)
    rows = connection.execute(query.order_by(deliveries.c.id).limit(MOST_DELIVERIES + 1)).all()
    found = [ledger_rows.delivery(row) for row in rows[:MOST_DELIVERIES]]
    last = {each.id: each.attempts for each in found if each.attempts}
    tries: dict[tuple[str, int], Try] = {}
    if last:
        ends = or_(
            attempts.c.number == 1,
            and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.number == deliveries.c.attempts),
        )
        query = (
            select(*(attempts.c[name] for name in attempt_rows.ATTEMPT[:-1]))
            .join(
                deliveries,
                (deliveries.c.organization_id == organization_id) & (deliveries.c.id == attempts.c.delivery_id),
            )
            .where(attempts.c.delivery_id.in_(last), ends)
        )
        for row in connection.execute(query):
            one = attempt_rows.attempt((*row, b""))
            tries[one.delivery_id, one.number] = Try(
                number=one.number,
                at=one.started_at,
                outcome=one.outcome,
                cause=one.cause,
                status=one.response_status,
                millis=one.durations.get("total", 0.0),
            )
    ways = [
        Way(delivery=each, first=tries.get((each.id, 1)), last=tries.get((each.id, each.attempts))) for each in found
    ]
    return ways, len(rows) > MOST_DELIVERIES


def _outages(connection: Connection, organization_id: str, endpoint_ids: Sequence[str]) -> dict[str, Outage]:
    known = health.of_endpoints(connection, organization_id, endpoint_ids)
    return {name: Outage(each.failing_since, each.cause) for name, each in known.items() if each.failing_since}


def _posted(connection: Connection, organization_id: str, message: Message) -> Posted | None:
    """Return the POST that brought a message: the last ones before its row are looked through, as ids rise; then those
    after Meta's time of it, because it may have waited."""
    before = select(*_LISTED).where(inbound.c.id < message.id).order_by(inbound.c.id.desc()).limit(_POSTS_BEFORE)
    found = _that_brought(_mine(connection, organization_id, before), message, organization_id)
    if found is not None or not message.timestamp:
        return found
    since = id_floor((message.timestamp - _EARLIER) * MICROS)
    after = select(*_LISTED).where(inbound.c.id >= since, inbound.c.id < message.id)
    after = after.order_by(inbound.c.id).limit(_POSTS_AFTER)
    return _that_brought(_mine(connection, organization_id, after), message, organization_id)


def _mine(connection: Connection, organization_id: str, some: Any) -> Iterable[Inbound]:
    near = some.subquery()
    shared = near.c.shares.contains(share(organization_id), autoescape=True)
    for row in connection.execute(select(near).where(or_(near.c.organization_id == organization_id, shared))):
        yield inbound_rows.inbound({**columns(row), "body": b""})


def _that_brought(posts: Iterable[Inbound], message: Message, organization_id: str) -> Posted | None:
    """Return the POST with the item that the message was made of, which is one with its wamid."""
    for post in posts:
        items = seen_by(post, organization_id).items
        for place, item in enumerate(items, 1):
            if item.message_id == message.id and _brings(item, message):
                return Posted(inbound=post, item=item, place=place, count=len(items))
    return None


def _brings(item: ItemReport, message: Message) -> bool:
    return not message.wamid or not item.wamid or item.wamid == message.wamid


def _agents_turn(
    connection: Connection, organization_id: str, message: Message
) -> tuple[AgentRun | None, AgentTurn | None]:
    """Return the turn of the agent that followed a customer's message soon, and the one that is still to come."""
    if message.direction != "incoming":
        return None, None
    owner = unindexed(agent_runs.c.organization_id) == organization_id
    of = (agent_runs.c.conversation_id == message.conversation_id) & (agent_runs.c.id > message.id)
    query = select(*_RUN).where(of, owner).order_by(agent_runs.c.id).limit(_RUNS)
    runs = [AgentRun(**columns(row)) for row in connection.execute(query)]
    soon = [run for run in runs if run.started_at - message.created_at < HOUR]
    last = next((run for run in soon if run.outcome not in ("superseded", "retrying")), soon[-1] if soon else None)
    query = select(*_TURN).where(
        agent_turns.c.organization_id == organization_id, agent_turns.c.conversation_id == message.conversation_id
    )
    row = connection.execute(query).one_or_none()
    turn = None if row is None else sending_rows.turn(row)
    return last, turn if turn is not None and turn.message_id >= message.id else None


def _author(connection: Connection, organization_id: str, actor: str) -> str:
    """Return in words whom the audit names so: an API key, a member, or who runs the installation."""
    kind, _, identifier = actor.partition(" ")
    match kind:
        case "api-key":
            key = organizations.get_key(connection, organization_id, identifier, operators=True)
            return f"The API key {key.name}" if key is not None else "An API key"
        case "member":
            member = members.get(connection, organization_id, identifier)
            return member.name or member.email if member is not None else "A member who left"
        case "":
            return ""
        case _:
            return "Who runs this installation"


def _handover(connection: Connection, organization_id: str, conversation_id: str) -> str:
    query = select(handovers.c.reason).where(
        handovers.c.organization_id == organization_id, handovers.c.conversation_id == conversation_id
    )
    row = connection.execute(query).one_or_none()
    return "" if row is None else row.reason or "a person took over"
