"""The queries that are the same on every database: pages, time bounds, look-ups, stored answers, figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text
from tests.world import CUSTOMER, DAY, HOUR, USER_ID, World, contact, incoming, text_message, value

from tellwire.formats.chat import ids
from tellwire.formats.chat.ids import shown as chat_id
from tellwire.model.ledger import KeptAnswer
from tellwire.model.messaging import NEVER
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, ApiKey
from tellwire.security import api_keys
from tellwire.stores.queries import (
    audit,
    conversations,
    deliveries,
    idempotency,
    inbound_posts,
    organizations,
    status_figures,
)
from tellwire.stores.queries import events as event_queries
from tellwire.stores.queries import messages as message_queries
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.conversations import ConversationFilter
from tellwire.stores.queries.deliveries import DeliveryFilter
from tellwire.stores.queries.events import EventFilter
from tellwire.stores.queries.messages import MessageFilter
from tellwire.stores.queries.paging import Page, PageRequest

pytestmark = pytest.mark.usefixtures("each_store")

P = ParamSpec("P")
T = TypeVar("T")

ORG = DEFAULT_ORGANIZATION
ALL = PageRequest(200)


def audit_change(world: World, organization_id: str = ORG) -> AuditChange:
    return AuditChange(organization_id, "a test", world.clock.now(), world.store.new_id)


async def read(world: World, query: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs) -> T:
    """Run one of the queries."""
    return await world.store.read(lambda c: query(c, *arguments, **more))


PAGES: dict[str, Callable[[Connection, str, PageRequest], Page[Any]]] = {
    "events": lambda c, org, turn: event_queries.page(c, org, EventFilter(), turn),
    "deliveries": lambda c, org, turn: deliveries.page(c, org, DeliveryFilter(), turn),
    "conversations": lambda c, org, turn: conversations.page(c, org, ConversationFilter(), turn),
    "messages": lambda c, org, turn: message_queries.page(c, org, MessageFilter(), turn),
    "contacts": lambda c, org, turn: message_queries.contacts_page(c, org, "", turn),
    "inbound": inbound_posts.page,
    "audit": audit.page,
}


async def test_pages_hold_at_most_their_limit_and_join(world: World) -> None:
    await world.endpoint()
    for index in range(5):
        await world.post(incoming(f"wamid.{index}", sender=f"521550000000{index}"))
        await world.store.write(lambda c: audit.note(c, audit_change(world), "tested", "nothing"))
    for name, page in PAGES.items():
        whole = await read(world, page, ORG, ALL)
        assert len(whole.items) >= 5, name
        assert whole.after == ""
        joined: list[Any] = []
        turn = PageRequest(2)
        while True:
            part = await read(world, page, ORG, turn)
            assert len(part.items) <= 2
            joined += part.items
            if not part.after:
                break
            turn = PageRequest(2, part.after)
        assert joined == whole.items, name
        exact = await read(world, page, ORG, PageRequest(len(whole.items)))
        assert exact == whole, name
        assert (await read(world, page, "another", ALL)).items == [], name


async def test_since_holds_though_the_clock_was_set_back(world: World) -> None:
    await world.post(incoming("wamid.1"))
    world.clock.move(-HOUR)
    await world.post(incoming("wamid.2"))
    back = world.clock.now()
    for since, wamids in ((back, ["wamid.2", "wamid.1"]), (back + 1, ["wamid.1"]), (back + 2 * HOUR, [])):
        chosen = MessageFilter(since=since)
        page = await read(world, message_queries.page, ORG, chosen, ALL)
        assert [entry.message.wamid for entry in page.items] == wamids


async def test_events_after_one_come_in_order_and_in_portions(world: World) -> None:
    assert await world.store.read(lambda c: event_queries.last_id(c, ORG)) == ""
    for index in range(3):
        await world.post(incoming(f"wamid.{index}"))
    events = [event.id for event in await world.events()]
    assert await world.store.read(lambda c: event_queries.last_id(c, ORG)) == events[-1]
    found = await world.store.read(lambda c: event_queries.after(c, ORG, events[0], 2))
    assert [event.id for event in found] == events[1:3]
    assert await world.store.read(lambda c: event_queries.after(c, "another", "", 2)) == []


async def test_chat_ids_are_found_by_their_second(world: World) -> None:
    for index in range(4):
        await world.post(incoming(f"wamid.{index}", sender=f"521550000000{index}"))
        world.clock.move(400_000)
    rows = await world.query("SELECT id, conversation_id FROM messages")
    for message_id, conversation_id in rows:
        for given in (chat_id(message_id), chat_id(conversation_id)):
            found = await read(world, conversations.of_shown_id, ORG, given, ids)
            assert found == conversation_id
            missed = await read(world, conversations.of_shown_id, "another", given, ids)
            assert missed == ""
        assert await read(world, conversations.message_of_shown_id, ORG, chat_id(message_id), ids) == message_id
    for given in ("0" * 24, "f" * 24, chat_id(rows[0][0])[:-1] + "x"):
        assert await read(world, conversations.of_shown_id, ORG, given, ids) == ""


async def test_people_are_found_by_any_alias_and_after_a_merge(world: World) -> None:
    await world.post(incoming("wamid.1"))
    world.clock.move(1_000_000)
    named = value(
        contacts=[contact(None, "B", USER_ID)],
        messages=[text_message("wamid.2", sender=None, from_user_id=USER_ID)],
    )
    await world.post(named)
    world.clock.move(1_000_000)
    both = value(contacts=[contact(CUSTOMER, "B", USER_ID)], messages=[text_message("wamid.3", from_user_id=USER_ID)])
    await world.post(both)
    page = await world.store.read(lambda c: message_queries.contacts_page(c, ORG, "", ALL))
    (survivor,) = page.items
    for alias in (CUSTOMER, f"+{CUSTOMER}", USER_ID):
        found = await read(world, message_queries.contacts_page, ORG, alias, ALL)
        assert found.items == [survivor]
        assert await read(world, conversations.party_of, ORG, alias) == survivor.id
    known = await world.store.read(lambda c: message_queries.aliases_of(c, survivor.id))
    assert known == [(CUSTOMER, NEVER), (USER_ID, NEVER)]
    messages = await world.store.read(lambda c: message_queries.page(c, ORG, MessageFilter(), ALL))
    assert {entry.contact for entry in messages.items} == {survivor}
    ((younger,),) = await world.query("SELECT id FROM contacts WHERE merged_into <> ''")
    merged = await world.store.read(lambda c: message_queries.get_contact(c, ORG, younger))
    assert merged is not None
    assert merged.merged_into == survivor.id
    assert await world.store.read(lambda c: conversations.party_of(c, ORG, younger)) == survivor.id


async def test_answers_are_kept_for_a_day_and_sealed(world: World) -> None:
    vault, answer = world.store.vault, KeptAnswer("hash", 201, b'{"secret":"an invented one"}')

    async def find(key: str, organization_id: str = ORG) -> KeptAnswer | None:
        now = world.clock.now()
        return await world.store.read(lambda c: idempotency.find(c, vault, organization_id, key, now=now))

    async def keep(key: str) -> None:
        now = world.clock.now()
        await world.store.write(lambda c: idempotency.keep(c, vault, ORG, key, answer, now=now))

    await keep("a")
    assert await find("a") == answer
    assert await find("b") is None
    assert await find("a", "another") is None
    assert "invented" not in str(await world.query("SELECT CAST(answer AS TEXT) FROM idempotency_keys"))
    world.clock.move(DAY)
    assert await find("a") is None
    await keep("b")
    assert await world.query("SELECT key FROM idempotency_keys") == [("b",)]
    await keep("b")
    assert await find("b") == answer
    await world.store.write(lambda c: idempotency.erase(c, ORG, "b"))
    assert await find("b") == KeptAnswer("hash", 201, b"")


async def test_keys_are_found_by_hash_only(world: World) -> None:
    key = api_keys.make(bytes(32))
    record = api_keys.record(key, organization_id=ORG, name="x", scopes=("read", "admin"), expires_at=5)
    kept = await world.store.write(lambda c: organizations.add_key(c, audit_change(world), record))
    assert kept.id
    asked = [api_keys.digest(key), key, "0" * 64]
    assert await world.store.read(lambda c: organizations.keys_of_hashes(c, asked)) == {api_keys.digest(key): kept}
    assert await world.store.read(lambda c: organizations.keys_of_hashes(c, [])) == {}
    assert await world.store.read(lambda c: organizations.get_key(c, "another", kept.id, operators=True)) is None

    async def revoke(organization_id: str = ORG, name: str = kept.id, *, operators: bool = False) -> ApiKey | None:
        by = audit_change(world, organization_id)
        return await world.store.write(lambda c: organizations.revoke_key(c, by, name, operators=operators))

    assert await revoke("another") is None
    before = world.store.registry().version
    revoked = await revoke()
    assert world.store.registry().version > before
    assert revoked is not None
    assert revoked.revoked_at == world.clock.now()
    world.clock.move(5)
    assert await revoke() == revoked
    operators = await world.store.write(
        lambda c: organizations.add_key(c, audit_change(world), replace(record, hash="x", operator=True))
    )
    assert await revoke(name=operators.id) is None
    gone = await revoke(name=operators.id, operators=True)
    assert gone is not None
    assert gone.operator


async def test_figures(world: World) -> None:
    endpoint = await world.endpoint()
    await world.post(incoming("wamid.old"))
    first = world.clock.now()
    world.clock.move(DAY + HOUR)
    await world.post(incoming("wamid.new"))
    await world.post(incoming("wamid.new"))
    await world.store.write(
        lambda c: c.execute(text("UPDATE deliveries SET state = 'failed' WHERE sequence = 2")).rowcount
    )
    assert await world.store.read(status_figures.undelivered) == {"pending": 4, "failed": 1}
    assert await world.store.read(lambda c: status_figures.oldest(c, "live")) == {endpoint.id: first}
    assert await world.store.read(lambda c: status_figures.oldest(c, "parked")) == {}
    assert await world.store.read(status_figures.late) == 0
    assert await world.store.read(status_figures.held) == {}


async def test_the_oldest_of_every_endpoint_that_has_some(world: World) -> None:
    endpoints = [await world.endpoint() for _ in range(5)]
    await world.post(incoming("wamid.1"))
    first = world.clock.now()
    world.clock.move(HOUR)
    await world.post(incoming("wamid.2"))

    def work(connection: Connection) -> None:
        for number, state in enumerate(("delivered", "parked", "failed")):
            values = {"s": state, "e": endpoints[number].id}
            connection.execute(text("UPDATE deliveries SET state = :s WHERE endpoint_id = :e"), values)
        late = {"e": endpoints[3].id, "at": first + 7}
        connection.execute(text("UPDATE deliveries SET lane = 'late', due_at = :at WHERE endpoint_id = :e"), late)

    await world.store.write(work)
    assert await world.store.read(lambda c: status_figures.oldest(c, "live")) == {endpoints[4].id: first}
    assert await world.store.read(lambda c: status_figures.oldest(c, "parked")) == {endpoints[1].id: first}
    assert await world.store.read(status_figures.late) == first + 7


async def test_revision(world: World) -> None:
    assert await world.store.read(status_figures.revision)
    await world.store.write(lambda c: c.execute(text("DROP TABLE alembic_version")).rowcount)
    assert await world.store.read(status_figures.revision) == ""
